//! `wasi:http/outgoing-handler`: the way to the web of languages that have one of their own, such
//! as JavaScript's `fetch`.
//!
//! The interface and its resources are the library's; what is sent, and whether, is decided here
//! and nowhere else: a request that the guest has built is taken apart into the same [`Request`]
//! that our own interface takes. So redirects are followed by the host here too, each hop checked;
//! a guest that would follow them itself sees none. A request and its response are held whole,
//! under the limits of one fetch, so that a guest which never finishes the one or reads the other
//! holds no connection.
//!
//! There is no way in: `wasi:http/incoming-handler` is an export that is never called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use pattoo_fetch::{Cap, Error, HeaderName, Limits, Patience, Reason, Request, Response, Wait, is_header_of_the_host};
use wasmtime_wasi_http::{Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use super::counted_client::{Received, Web, WebRefusal, field};
use crate::capability::Charge;

/// How many failed requests of one collection are logged: a guest that asks in this way often has
/// no words for what went wrong.
const MAX_LOGGED: u32 = 10;
/// The largest piece in which a guest may write a request body. One is held for each body that is
/// not read yet.
pub(super) const PIECE: usize = 16 << 10;
/// What the library counts for a name or a value beside its text.
const PER_FIELD: usize = 40;

/// What a response or a failure comes in.
type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), WasiError>> + Send>), WasiError>;

/// The largest header, in the library's own count, that a guest may build: larger than any that
/// would be sent, so that the precise error is that of sending.
pub(super) fn field_size_limit(limits: &Limits) -> usize {
    let text = usize::try_from(limits.request_header_bytes).unwrap_or(usize::MAX);
    let fields = limits.request_headers.saturating_add(1).saturating_mul(PER_FIELD.saturating_mul(2));
    text.saturating_mul(2).saturating_add(fields)
}

/// What the library asks us.
#[derive(Debug)]
pub(super) struct WebHooks {
    web: Web,
    logged: Arc<AtomicU32>,
}

impl WebHooks {
    pub(super) fn new(web: &Web) -> Self {
        Self { web: web.clone(), logged: Arc::default() }
    }
}

/// The length of the body is ours too, but guests say it, and the library holds them to it.
fn is_forbidden(name: &HeaderName) -> bool {
    is_header_of_the_host(name.as_str()) && *name != http::header::CONTENT_LENGTH
}

impl WasiHttpHooks for WebHooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (web, logged) = (self.web.clone(), Arc::clone(&self.logged));
        Box::new(async move {
            let response = fetch(&web, request, options.unwrap_or_default()).await.map_err(|refusal| {
                if let Failure::Refused(WebRefusal::End(reached)) = &refusal {
                    web.end(reached.clone());
                }
                // What was denied is reported as such.
                if let Failure::Refused(WebRefusal::Fault(error)) = &refusal
                    && !matches!(error, Error::Denied(_))
                    && logged.fetch_add(1, Ordering::Relaxed) < MAX_LOGGED
                {
                    web.log(tracing::Level::INFO, &format!("a request over `wasi:http` failed: {error}"));
                }
                WasiError::from(refusal)
            })?;
            let Received { response, charge } = response;
            let nothing_more: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((assembled(response, charge)?, nothing_more))
        })
    }
}

/// Why a request over this interface has no response.
enum Failure {
    /// As over any other.
    Refused(WebRefusal),
    /// The guest did not finish what it began to send.
    Body(WasiError),
}

impl<E: Into<WebRefusal>> From<E> for Failure {
    fn from(refusal: E) -> Self {
        Self::Refused(refusal.into())
    }
}

async fn fetch(web: &Web, request: http::Request<WasiBody>, options: RequestOptions) -> Result<Received, Failure> {
    let (head, body) = request.into_parts();
    let fields = head.headers.iter().map(|(name, value)| field(name.as_str().len(), value.len()));
    let texts =
        fields.fold(head.uri.to_string().len().saturating_add(head.method.as_str().len()), usize::saturating_add);
    // As it was built, and as it is sent.
    let mut held = web.account().charge(texts.saturating_mul(2).saturating_add(2 * PIECE)).map_err(WebRefusal::End)?;
    web.count()?;
    let _place = web.place().await;
    let began = Instant::now();
    let total = web.limits().total;
    let body = tokio::time::timeout(total, whole(body, web.limits(), &mut held))
        .await
        .unwrap_or_else(|_| Err(Error::Timeout { wait: Wait::Total, after: total }.into()))
        // What is refused from here on is said where it is sent.
        .map_err(|failure| match failure {
            Failure::Refused(WebRefusal::Fault(error)) => web.refused(error).into(),
            other => other,
        })?;
    let header = |(name, value): (&HeaderName, &http::HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Error::Invalid(format!("the value of the header {name} is not UTF-8")))?;
        Ok((name.as_str().to_owned(), value.to_owned()))
    };
    let stated = head.headers.iter().filter(|(name, _)| **name != http::header::CONTENT_LENGTH);
    let request = Request {
        method: head.method.as_str().to_owned(),
        url: head.uri.to_string(),
        headers: stated.map(header).collect::<Result<_, Error>>()?,
        body: Some(body).filter(|body| !body.is_empty()),
        timeout: Some(total.saturating_sub(began.elapsed())),
        patience: Patience {
            header: options
                .first_byte_timeout
                .map(|wait| wait.saturating_add(options.connect_timeout.unwrap_or(web.limits().connect))),
            pieces: options.between_bytes_timeout,
        },
    };
    Ok(web.send(request).await?)
}

/// Reads what the guest writes, and never more of it than may be sent.
async fn whole(mut body: WasiBody, limits: &Limits, held: &mut Charge) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let piece = frame.map_err(Failure::Body)?.into_data();
        let piece = piece.map_err(|_| Error::Invalid("trailers of a request are not sent".to_owned()))?;
        if (whole.len().saturating_add(piece.len())) as u64 > limits.request_bytes {
            return Err(Error::TooLarge { cap: Cap::RequestBody, limit: limits.request_bytes }.into());
        }
        // As a list that grows, and once more as it is sent.
        held.add(piece.len().saturating_mul(4)).map_err(WebRefusal::End)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The body of a response, charged for as long as a piece of it is anywhere.
struct Charged {
    body: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// A response as the library takes it.
fn assembled(response: Response, charge: Charge) -> Result<http::Response<WasiBody>, WasiError> {
    let Response { status, headers, body } = response;
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let body =
        Full::new(Bytes::from_owner(Charged { body, _charge: charge })).map_err(|never| match never {}).boxed_unsync();
    builder.body(body).map_err(|error| WasiError::InternalError(Some(error.to_string())))
}

impl From<Failure> for WasiError {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Refused(WebRefusal::Fault(error)) => error,
            Failure::Refused(WebRefusal::Quota(reached) | WebRefusal::End(reached)) => {
                return Self::InternalError(Some(reached.to_string()));
            }
            Failure::Body(error) => return error,
        };
        let text = || Some(error.to_string());
        let small = |limit: &u64| u32::try_from(*limit).ok();
        match &error {
            Error::Denied(denied) => match denied.reason {
                Reason::Address { .. } => Self::DestinationIpProhibited,
                _ => Self::HttpRequestDenied,
            },
            Error::Invalid(_) | Error::Connection(_) | Error::Exhausted => Self::InternalError(text()),
            Error::Timeout { wait: Wait::Connect, .. } => Self::ConnectionTimeout,
            Error::Timeout { .. } => Self::HttpResponseTimeout,
            Error::Tls(_) => Self::TlsProtocolError,
            Error::Redirects(_) => Self::LoopDetected,
            Error::TooLarge { cap, limit } => match cap {
                Cap::ResponseBody | Cap::CompressedBody => Self::HttpResponseBodySize(Some(*limit)),
                // Those of WASI are in bytes.
                Cap::ResponseHeaders => Self::HttpResponseHeaderSectionSize(None),
                Cap::ResponseHeaderBytes => Self::HttpResponseHeaderSectionSize(small(limit)),
                Cap::RequestBody => Self::HttpRequestBodySize(Some(*limit)),
                Cap::RequestHeaders => Self::HttpRequestHeaderSectionSize(None),
                Cap::RequestHeaderBytes => Self::HttpRequestHeaderSectionSize(small(limit)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Frame;
    use pattoo_fetch::{Cap, Error, Limits};

    use super::{Failure, whole};
    use crate::capability::{Account, http::counted_client::WebRefusal};

    #[tokio::test]
    async fn an_endless_request_body_is_not_read_beyond_its_limit() {
        let read = Arc::new(AtomicUsize::new(0));
        let reads = Arc::clone(&read);
        let pieces = stream::repeat_with(move || {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(Frame::data(Bytes::from_static(&[0; 1000])))
        });
        let limits = Limits { request_bytes: 10_000, ..Limits::default() };
        let mut held = Account::new(&crate::capability::CollectionLimits::default()).nothing();
        let refused = whole(StreamBody::new(pieces).boxed_unsync(), &limits, &mut held).await;
        let too_large = Error::TooLarge { cap: Cap::RequestBody, limit: 10_000 };
        assert!(matches!(refused, Err(Failure::Refused(WebRefusal::Fault(error))) if error == too_large));
        assert_eq!(read.load(Ordering::Relaxed), 11);
    }
}
