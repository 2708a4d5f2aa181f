//! `pattoo:agent/http`: fetching from the web origins that were granted.
//!
//! The policy itself is that of [`crate::http`], which knows nothing of wasm; here is how a guest asks, and how much it may.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::{Denial, Host, LimitReached, bindings::pattoo::agent::http as wit};
use crate::http::{Denied, Error, Request, Response};

/// How much of the web one collection has used.
#[derive(Debug, Default)]
pub struct HttpUse {
    fetches: u32,
}

impl Host {
    /// Counts one more fetch, or says that there were too many.
    fn count_fetch(&mut self) -> Result<(), wit::Error> {
        let limit = self.assignment.limits.fetches;
        if self.http.fetches >= limit {
            let reached = LimitReached {
                what: "the HTTP requests of one collection",
                value: limit.to_string(),
                setting: "fetches",
            };
            return Err(wit::Error::Quota(reached.to_string()));
        }
        self.http.fetches = self.http.fetches.saturating_add(1);
        Ok(())
    }

    /// An answer as the guest gets it; what was denied is remembered for the operator.
    fn answer(&mut self, result: Result<Response, Error>) -> Result<wit::Response, wit::Error> {
        if let Err(Error::Denied(denied)) = &result {
            self.deny(denial(denied));
        }
        result.map(Into::into).map_err(Into::into)
    }
}

/// What would have to be granted, for the operator's eyes.
fn denial(denied: &Denied) -> Denial {
    let (flag, line) = match denied.grant_hint() {
        Some(hint) => (hint.flag, Some(hint.yaml)),
        None => (None, None),
    };
    Denial { what: denied.to_string(), flag, line }
}

impl wit::Host for Host {
    async fn fetch(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        if let Err(quota) = self.count_fetch() {
            return Ok(Err(quota));
        }
        let result = self.assignment.http.fetch(request.into()).await;
        Ok(self.answer(result))
    }

    async fn fetch_all(
        &mut self,
        requests: Vec<wit::Request>,
    ) -> wasmtime::Result<Vec<Result<wit::Response, wit::Error>>> {
        let counted: Vec<_> =
            requests.into_iter().map(|request| self.count_fetch().map(|()| Request::from(request))).collect();
        let client = &self.assignment.http;
        let fetches = counted.into_iter().map(|request| async move {
            match request {
                Ok(request) => Ok(client.fetch(request).await),
                Err(quota) => Err(quota),
            }
        });
        let concurrent = self.assignment.limits.concurrent_fetches.max(1);
        let fetched: Vec<_> = stream::iter(fetches).buffered(concurrent).collect().await;
        Ok(fetched.into_iter().map(|result| result.and_then(|result| self.answer(result))).collect())
    }
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
        Self {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: request.body,
            timeout: request.timeout_ms.map(|millis| Duration::from_millis(millis.into())),
        }
    }
}

impl From<Response> for wit::Response {
    fn from(response: Response) -> Self {
        let header = |(name, value)| wit::Header { name, value };
        Self {
            status: response.status,
            headers: response.headers.into_iter().map(header).collect(),
            body: response.body,
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Denied(_) => Self::Denied(text),
            Error::Invalid(_) => Self::Invalid(text),
            Error::Timeout { .. } => Self::Timeout,
            Error::Connection(_) => Self::Connection(text),
            Error::Tls(_) => Self::Tls(text),
            Error::TooLarge { limit, .. } => Self::TooLarge(limit),
            Error::Redirects(limit) => Self::Redirects(limit),
        }
    }
}
