//! Why there is no response, or not the one that was wanted.

use core::fmt;

/// A fetch failed, or what came back is not what was wanted. Displayed it says which and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// The method of the request.
    pub method: String,
    /// The URL of the request.
    pub url: String,
    /// Why it failed.
    pub kind: ErrorKind,
}

/// Why a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The origin, method or path is not granted, or the name leads to an address that a grant of this kind does not reach. The
    /// text names what would have to be granted.
    Denied(String),
    /// The request makes no sense: not an absolute URL, a header that is not allowed, a body that is too large.
    Invalid(String),
    /// It timed out.
    Timeout,
    /// The name was not found, the connection was refused or broken, or what came back is not HTTP.
    Connection(String),
    /// The connection is not secure: the certificate is not trusted, has expired or belongs to another host.
    Tls(String),
    /// The response is larger than this number of bytes.
    TooLarge(u64),
    /// There were more redirects than this number.
    Redirects(u32),
    /// The collection has fetched all that its operator allows.
    Quota(String),
    /// What a later version of the contract may have to say.
    Other(String),
    /// There is a response, and [`error_for_status`](super::Response::error_for_status) found this status.
    Status(u16),
    /// There is a response, and [`json`](super::Response::json) could not read it.
    Json(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method, self.url)?;
        match &self.kind {
            ErrorKind::Denied(text) => write!(f, "denied: {text}"),
            ErrorKind::Timeout => f.write_str("the request timed out"),
            ErrorKind::TooLarge(limit) => write!(f, "the response is larger than {limit} bytes"),
            ErrorKind::Redirects(limit) => write!(f, "there were more than {limit} redirects"),
            ErrorKind::Status(status) => write!(f, "the site answered {status}"),
            ErrorKind::Json(text) => write!(f, "the response is not the JSON that was expected: {text}"),
            ErrorKind::Invalid(text)
            | ErrorKind::Connection(text)
            | ErrorKind::Tls(text)
            | ErrorKind::Quota(text)
            | ErrorKind::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Error {}
