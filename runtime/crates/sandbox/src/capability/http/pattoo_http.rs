//! What a collector calls of `pattoo:agent/http`.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pattoo_fetch::{Error, Patience, Request, Response};
use tokio::time::timeout_at;

use super::counted_client::{Received, Web, WebRefusal, field};
use crate::capability::{Charge, Host, LimitReached, bindings::pattoo::agent::http as wit};

impl Web {
    /// Fetches for the guest, however long it takes until there is a place for it. The request is
    /// charged already.
    async fn fetch(&self, request: wit::Request) -> Result<Received, WebRefusal> {
        self.count()?;
        let _place = self.place().await;
        self.send(request.into()).await
    }
}

/// What a request takes in memory while it is under way: as the guest gave it, and as it is sent.
fn size(request: &wit::Request) -> usize {
    let fields = request.headers.iter().map(|header| field(header.name.capacity(), header.value.capacity()));
    let texts = fields.fold(request.method.len().saturating_add(request.url.len()), usize::saturating_add);
    let body = request.body.as_ref().map_or(0, Vec::len);
    texts.saturating_add(body).saturating_mul(2).saturating_add(size_of::<wit::Request>())
}

/// The result of a fetch as the guest gets it, and what it holds. An error ends the collection.
fn to_guest(
    result: Result<Received, WebRefusal>,
) -> Result<(Result<wit::Response, wit::Error>, Option<Charge>), LimitReached> {
    match result {
        Ok(Received { response, charge }) => Ok((Ok(response.into()), Some(charge))),
        Err(WebRefusal::End(reached)) => Err(reached),
        Err(WebRefusal::Quota(reached)) => Ok((Err(wit::Error::Quota(reached.to_string())), None)),
        Err(WebRefusal::Fault(error)) => Ok((Err(error.into()), None)),
    }
}

impl wit::Host for Host {
    async fn fetch(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Error>> {
        self.hand_over(0)?;
        if self.context.is_past_deadline() {
            return Ok(Err(wit::Error::Timeout));
        }
        let _request = self.context.account.charge(size(&request))?;
        let fetched = timeout_at(self.context.deadline, self.capabilities.http.web.fetch(request)).await;
        let Ok(fetched) = fetched else { return Ok(Err(wit::Error::Timeout)) };
        let (result, charge) = to_guest(fetched)?;
        self.handed_over = charge.unwrap_or_else(|| self.context.account.nothing());
        Ok(result)
    }

    async fn fetch_all(
        &mut self,
        requests: Vec<wit::Request>,
    ) -> wasmtime::Result<Vec<Result<wit::Response, wit::Error>>> {
        /// A result, and the text of an error.
        const PER_RESULT: usize = 512;
        /// How many refusals, which take no time of their own, are made before others have their
        /// turn.
        const PER_TURN: usize = 1_000;
        self.hand_over(requests.len().saturating_mul(PER_RESULT))?;
        let sizes = requests.iter().map(size).fold(0, usize::saturating_add);
        let _requests = self.context.account.charge(sizes)?;
        let at_once = self.context.assignment.limits.http.concurrent.max(1);
        if requests.len() > at_once {
            self.capabilities.http.web.wait();
        }
        let web = &self.capabilities.http.web;
        // What has not arrived at the deadline is a timeout.
        let mut results: Vec<_> = requests.iter().map(|_| Err(wit::Error::Timeout)).collect();
        if self.context.is_past_deadline() {
            return Ok(results);
        }
        let fetches = requests.into_iter().enumerate();
        let fetches = fetches.map(|(index, request)| async move { (index, to_guest(web.fetch(request).await)) });
        let mut fetched = stream::iter(fetches).buffer_unordered(at_once);
        let mut arrived = 0_usize;
        while let Ok(Some((index, one))) = timeout_at(self.context.deadline, fetched.next()).await {
            let (result, charge) = one?;
            if let Some(charge) = charge {
                self.handed_over.absorb(charge);
            }
            if let Some(place) = results.get_mut(index) {
                *place = result;
            }
            arrived = arrived.saturating_add(1);
            if arrived.is_multiple_of(PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(results)
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

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            // The collector knows its request, and the SDKs name it. Where a redirect led it does not.
            Error::Denied(denied) if !denied.redirected => Self::Denied(denied.reason.to_string()),
            Error::Denied(_) => Self::Denied(text),
            Error::Invalid(_) => Self::Invalid(text),
            Error::Timeout { .. } => Self::Timeout,
            Error::Connection(_) => Self::Connection(text),
            Error::Tls(_) => Self::Tls(text),
            Error::TooLarge { cap, .. } if cap.is_of_request() => Self::Invalid(text),
            // The contract's case is in bytes.
            Error::TooLarge { cap, .. } if cap.is_count() => Self::Other(text),
            Error::TooLarge { limit, .. } => Self::TooLarge(limit),
            Error::Redirects(limit) => Self::Redirects(limit),
            Error::Exhausted => Self::Other(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use pattoo_fetch::{Cap, Error};

    use crate::capability::bindings::pattoo::agent::http as wit;

    #[test]
    fn limit_is_too_large_only_if_it_is_on_the_bytes_of_a_response() {
        let told = |cap| wit::Error::from(Error::TooLarge { cap, limit: 100 });
        for cap in [Cap::ResponseBody, Cap::CompressedBody, Cap::ResponseHeaderBytes] {
            assert!(matches!(told(cap), wit::Error::TooLarge(100)), "{cap:?}");
        }
        let fields = "the response has more than 100 header fields (limit response_headers)";
        assert!(matches!(told(Cap::ResponseHeaders), wit::Error::Other(text) if text == fields));
        for cap in [Cap::RequestBody, Cap::RequestHeaders, Cap::RequestHeaderBytes] {
            assert!(matches!(told(cap), wit::Error::Invalid(text) if text.contains("100")), "{cap:?}");
        }
    }
}
