//! `pattoo:agent/http`: fetching from the web origins that were granted.
//!
//! The policy itself is that of [`crate::http`], which knows nothing of wasm; here is how a guest asks, and how much it may.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};

use super::{Calls, Denial, Host, LimitReached, bindings::pattoo::agent::http as wit};
use crate::http::{Denied, Error, Request, Response};

/// How much of the web one collection has used.
#[derive(Debug, Default)]
pub struct HttpUse {
    fetches: u32,
    bytes: usize,
    calls: Calls,
}

impl HttpUse {
    pub(super) fn used(self) -> Calls {
        self.calls
    }

    /// Counts a fetch that was tried, for its origin. One of an origin that was not granted is counted for none.
    fn count(&mut self, origin: Option<String>, failed: bool) {
        if let Some(origin) = origin {
            self.calls.count(origin, 1, u64::from(failed));
        }
    }

    fn waited_since(&mut self, began: Instant) {
        self.calls.time = self.calls.time.saturating_add(began.elapsed());
    }
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

    /// An answer as the guest gets it: counted, if there is room for it. What was denied is remembered for the operator.
    fn answer(&mut self, result: Result<Response, Error>) -> Result<wit::Response, wit::Error> {
        match result {
            Ok(response) => {
                let limit = self.assignment.limits.fetched_bytes;
                let bytes = self.http.bytes.saturating_add(response.body.len());
                if bytes > limit {
                    let value = bytesize::ByteSize(limit as u64).display().iec().to_string();
                    let what = "the response bodies of one collection";
                    let reached = LimitReached { what, value, setting: "fetched_bytes" };
                    return Err(wit::Error::Quota(reached.to_string()));
                }
                self.http.bytes = bytes;
                Ok(response.into())
            }
            Err(error) => {
                if let Error::Denied(denied) = &error {
                    self.deny(denial(denied));
                }
                Err(error.into())
            }
        }
    }
}

/// What would have to be granted, for the operator's eyes.
fn denial(denied: &Denied) -> Denial {
    let hint = denied.grant_hint();
    // Its lines as one flow mapping: `- { origin: …, methods: [POST] }`.
    let line = hint.as_ref().map(|hint| {
        let entries: Vec<&str> = hint.yaml.trim_start_matches("- ").lines().map(str::trim).collect();
        format!("http: [{{ {} }}]", entries.join(", "))
    });
    Denial { what: denied.to_string(), flag: hint.and_then(|hint| hint.flag), line }
}

impl wit::Host for Host {
    async fn fetch(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        if let Err(quota) = self.count_fetch() {
            return Ok(Err(quota));
        }
        let began = Instant::now();
        let origin = self.assignment.http.granted_origin(&request.url);
        let result = self.assignment.http.fetch(request.into()).await;
        self.http.waited_since(began);
        self.http.count(origin, result.is_err());
        Ok(self.answer(result))
    }

    async fn fetch_all(
        &mut self,
        requests: Vec<wit::Request>,
    ) -> wasmtime::Result<Vec<Result<wit::Response, wit::Error>>> {
        let began = Instant::now();
        let counted: Vec<_> =
            requests.into_iter().map(|request| self.count_fetch().map(|()| Request::from(request))).collect();
        let assignment = Arc::clone(&self.assignment);
        let fetches = counted.into_iter().map(|request| async {
            match request {
                Ok(request) => {
                    let origin = assignment.http.granted_origin(&request.url);
                    Ok((origin, assignment.http.fetch(request).await))
                }
                Err(quota) => Err(quota),
            }
        });
        // Each is counted as it comes, so that beyond the limit there are never more bodies than fetches under way.
        let concurrent = assignment.limits.concurrent_fetches.max(1);
        let mut fetched = stream::iter(fetches).buffered(concurrent);
        let mut answers = Vec::new();
        while let Some(result) = fetched.next().await {
            answers.push(result.and_then(|(origin, result)| {
                self.http.count(origin, result.is_err());
                self.answer(result)
            }));
        }
        self.http.waited_since(began);
        Ok(answers)
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
