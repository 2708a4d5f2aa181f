//! `pattoo:agent/http` and `wasi:http`: fetching from the web origins that were granted.
//!
//! The policy itself is that of [`crate::http`], which knows nothing of wasm; here is how a guest asks, and how much it may.
//! There are two ways to ask: our own interface, and in `wasi` the one that the standard libraries of some languages use.
//! Both end in `web`, so that there is no difference in what they reach and what it counts.

mod wasi;
mod web;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

pub(super) use self::{
    wasi::{WebHooks, field_size_limit},
    web::{Refusal, Web},
};
use super::{Host, bindings::pattoo::agent::http as wit};
use crate::http::{Error, Patience, Request, Response};

impl Web {
    /// Fetches for the guest, however long it takes until there is a place for it.
    async fn fetch(&self, request: wit::Request) -> Result<wit::Response, wit::Error> {
        self.count()?;
        let _place = self.place().await;
        Ok(self.send(request.into()).await?.into())
    }
}

impl wit::Host for Host {
    async fn fetch(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        Ok(self.web.fetch(request).await)
    }

    async fn fetch_all(
        &mut self,
        requests: Vec<wit::Request>,
    ) -> wasmtime::Result<Vec<Result<wit::Response, wit::Error>>> {
        let at_once = self.assignment.limits.concurrent_fetches.max(1);
        if requests.len() > at_once {
            self.web.wait();
        }
        let fetches = requests.into_iter().map(|request| self.web.fetch(request));
        Ok(stream::iter(fetches).buffered(at_once).collect().await)
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
            patience: Patience::default(),
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

impl From<Refusal> for wit::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Quota(reached) => Self::Quota(reached.to_string()),
            Refusal::Fault(error) => error.into(),
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
