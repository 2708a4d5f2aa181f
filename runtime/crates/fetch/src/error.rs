//! Why a fetch failed, as text for the person who has to fix it.

use std::{error::Error as StdError, fmt, io, time::Duration};

use pattoo_base::tls::clock_note;
use thiserror::Error;

use super::{
    connection::NoConnection,
    denied::{Denied, GrantHint, Reason},
    fetch_limits::Limits,
    origin::Origin,
    resolver::Refused,
};

/// Why a fetch gave no response. The cases are those of `http.error` in the contract with guests; no text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// It was not granted. [`Denied::grant_hint`] says what to grant.
    #[error("{0}")]
    Denied(Box<Denied>),
    /// The request is none: the guest's mistake.
    #[error("{0}")]
    Invalid(String),
    /// It took too long.
    #[error("no response within {after:?} ({wait})")]
    Timeout {
        /// Which time ran out.
        wait: Wait,
        /// How much there was of it.
        after: Duration,
    },
    /// The site could not be reached, broke off, or does not speak HTTP.
    #[error("{0}")]
    Connection(String),
    /// TLS failed, most often because the certificate is not trusted.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// A size or count limit.
    #[error("{}", cap.exceeded(*limit))]
    TooLarge {
        /// Which limit.
        cap: Cap,
        /// Its value.
        limit: u64,
    },
    /// The site redirected more often than is followed; holds the limit.
    #[error("more than {0} redirects (limit redirects)")]
    Redirects(u32),
    /// The caller accepts no more data: see [`Meter`](super::Meter), which has the reason.
    #[error("the rest of the response is not read")]
    Exhausted,
}

impl Error {
    /// Whether it is about the connection to the site, and not about what was sent on it.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Tls(_) | Self::Timeout { wait: Wait::Connect, .. })
    }

    /// What an operator would write to allow it, if it was denied and can be allowed.
    pub fn grant_hint(&self) -> Option<GrantHint> {
        match self {
            Self::Denied(denied) => denied.grant_hint(),
            _ => None,
        }
    }
}

/// Which time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// What the guest itself gave the request.
    Guest,
    /// [`Limits::total`].
    Total,
    /// [`Limits::connect`].
    Connect,
    /// [`Limits::idle`].
    Idle,
}

impl Wait {
    /// The limit that gives more of it, if it is one.
    pub fn setting(self) -> Option<&'static str> {
        match self {
            Self::Guest => None,
            Self::Total => Some("fetch_timeout"),
            Self::Connect => Some("fetch_connect_timeout"),
            Self::Idle => Some("fetch_idle_timeout"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting() {
            None => f.write_str("the request's own timeout"),
            Some(setting) => write!(f, "limit {setting}"),
        }
    }
}

/// Which size or count was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// [`Limits::response_bytes`].
    ResponseBody,
    /// [`Limits::compressed_bytes`].
    CompressedBody,
    /// [`Limits::response_headers`].
    ResponseHeaders,
    /// [`Limits::response_header_bytes`].
    ResponseHeaderBytes,
    /// [`Limits::request_bytes`].
    RequestBody,
    /// [`Limits::request_headers`].
    RequestHeaders,
    /// [`Limits::request_header_bytes`].
    RequestHeaderBytes,
}

impl Cap {
    /// The field of [`Limits`] that raises it.
    pub fn setting(self) -> &'static str {
        match self {
            Self::ResponseBody => "response_bytes",
            Self::CompressedBody => "compressed_bytes",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseHeaderBytes => "response_header_bytes",
            Self::RequestBody => "request_bytes",
            Self::RequestHeaders => "request_headers",
            Self::RequestHeaderBytes => "request_header_bytes",
        }
    }

    /// What is counted, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ResponseBody => "the bytes of the response body",
            Self::CompressedBody => "the bytes of the compressed response body",
            Self::ResponseHeaders => "the header fields of the response",
            Self::ResponseHeaderBytes => "the bytes of the response's header fields",
            Self::RequestBody => "the bytes of the request body",
            Self::RequestHeaders => "the header fields of the request",
            Self::RequestHeaderBytes => "the bytes of the request's header fields",
        }
    }

    /// Whether header fields are counted, and not bytes.
    pub fn is_count(self) -> bool {
        matches!(self, Self::ResponseHeaders | Self::RequestHeaders)
    }

    /// Whether it is on what the guest sends.
    pub fn is_of_request(self) -> bool {
        matches!(self, Self::RequestBody | Self::RequestHeaders | Self::RequestHeaderBytes)
    }

    /// That there is more than the limit.
    fn exceeded(self, limit: u64) -> String {
        let setting = self.setting();
        if self.is_count() {
            let what = if self.is_of_request() { "request" } else { "response" };
            return format!("the {what} has more than {limit} header fields (limit {setting})");
        }
        format!("{self} exceed the limit of {limit} (limit {setting})")
    }

    /// An error if there is more than the limit.
    pub(super) fn check(self, found: usize, limit: impl TryInto<u64>) -> Result<(), Error> {
        let limit = limit.try_into().unwrap_or(u64::MAX);
        if u64::try_from(found).unwrap_or(u64::MAX) > limit {
            Err(Error::TooLarge { cap: self, limit })
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What the HTTP library says when a header block outgrows its buffer; it has no type for it that a client can see.
const HEAD_TOO_LARGE: &str = "message head is too large";

/// Why no connection was made to an address, if it was refused.
pub(super) fn refusal(error: &(dyn StdError + 'static)) -> Option<Reason> {
    causes(error).iter().find_map(|cause| cause.downcast_ref()).map(|Refused(reason)| reason.clone())
}

/// What went wrong in transport, found by going down the chain of causes.
pub(super) fn transport_error(error: &(dyn StdError + 'static), origin: &Origin, limits: &Limits) -> Error {
    let causes = causes(error);
    match causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(tls) => Error::Tls(format!("{origin}: {tls}{}", clock_note(tls))),
        None if causes.iter().any(|cause| cause.is::<NoConnection>()) => {
            Error::Timeout { wait: Wait::Connect, after: limits.connect }
        }
        None if causes.iter().any(|cause| cause.to_string() == HEAD_TOO_LARGE) => {
            Error::TooLarge { cap: Cap::ResponseHeaderBytes, limit: limits.response_header_bytes }
        }
        None => Error::Connection(format!("{origin}: {}", told(&causes))),
    }
}

/// What causes say, less what the library says about itself.
fn told(causes: &[&(dyn StdError + 'static)]) -> String {
    let mut texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
    texts.retain(|text| !text.starts_with("client error ("));
    texts.dedup();
    if texts.is_empty() { "the connection failed".to_owned() } else { texts.join(": ") }
}

/// An error and what caused it. An I/O error hides the error it was made from behind that error's own source.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut all = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        all.push(error);
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    all
}
