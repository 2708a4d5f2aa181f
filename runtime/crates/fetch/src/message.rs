//! Requests as a guest gives them, and responses as it gets them.

use std::time::Duration;

use http::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use super::{
    error::{Cap, Error, Wait},
    fetch_limits::Limits,
    origin::Origin,
    redirect::Hop,
    request_headers,
};

/// A request as the guest gave it: nothing in it has been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method; the standard ones in any case.
    pub method: String,
    /// An absolute URL.
    pub url: String,
    /// Header fields, in order.
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Vec<u8>>,
    /// Time for the whole fetch, if less than [`Limits::total`].
    pub timeout: Option<Duration>,
    /// Times for its parts.
    pub patience: Patience,
}

/// How long a guest waits for the parts of an answer. Each can only shorten what the limits say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// From the request to the complete response header, connecting included.
    pub header: Option<Duration>,
    /// Between any two pieces of the body.
    pub pieces: Option<Duration>,
}

impl Patience {
    /// What counts of a time that the guest asked for and one that is a limit.
    pub(super) fn shorter(asked: Option<Duration>, limit: Duration, wait: Wait) -> (Duration, Wait) {
        match asked {
            Some(asked) if asked < limit => (asked, Wait::Guest),
            _ => (limit, wait),
        }
    }
}

/// A response, complete and within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status; anything the site answers is a response, 404 and 500 too.
    pub status: u16,
    /// Header fields, names in lower case; values that are not UTF-8 are read as Latin-1. When the body was decompressed,
    /// `content-encoding` and `content-length` are gone.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer encoding, and decompressed unless the guest asked for an encoding itself.
    pub body: Vec<u8>,
}

impl Request {
    /// The first hop, if this is a clean request.
    pub(super) fn vetted(self, limits: &Limits) -> Result<Hop, Error> {
        let method = method(&self.method)?;
        let (url, origin) = destination(&self.url, None, limits).map_err(Error::Invalid)?;
        let headers = request_headers::vetted(&self.headers, limits)?;
        if let Some(body) = &self.body {
            Cap::RequestBody.check(body.len(), limits.request_bytes)?;
        }
        Ok(Hop { method, url, origin, headers, body: self.body, from: None })
    }
}

/// The longest method that is sent. The longest that is registered has 17 letters (`UPDATEREDIRECTREF`, RFC 4437).
pub const MAX_METHOD: usize = 64;

/// A method name; methods are case-sensitive (RFC 9110 section 9.1), but `get` has only ever meant one thing.
fn method(name: &str) -> Result<Method, Error> {
    if name.len() > MAX_METHOD {
        return Err(Error::Invalid(format!(
            "the method has {} bytes, and at most {MAX_METHOD} are allowed",
            name.len()
        )));
    }
    let upper = name.to_ascii_uppercase();
    let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&upper.as_str());
    let name = if standard { &upper } else { name };
    let method = Method::from_bytes(name.as_bytes())
        .map_err(|_| Error::Invalid(format!("{name:?} is not a valid HTTP method, such as GET")))?;
    match method {
        Method::CONNECT | Method::TRACE => Err(Error::Invalid(format!("the method {method} is never sent"))),
        method => Ok(method),
    }
}

/// The longest host, with what else stands before the path, as it is written: four times the longest name, since it may be percent-encoded.
/// To make ASCII of a label of other letters takes time that grows with the square of its length.
const AUTHORITY: usize = 1_024;

/// What stands between scheme and path, if the text has a scheme or begins with slashes: only there a host is parsed.
fn authority(text: &str) -> Option<&str> {
    let (scheme, after) = text.split_once(':').unwrap_or(("", ""));
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let rest = if is_scheme { after } else { text.strip_prefix("//")? };
    rest.trim_start_matches('/').split(['/', '?', '#']).next()
}

/// Reads a URL, relative to `base` if there is one, into what is sent and where to.
pub(super) fn destination(text: &str, base: Option<&Url>, limits: &Limits) -> Result<(Url, Origin), String> {
    let longest = limits.url_bytes;
    let too_long = |length: usize| u64::try_from(length).unwrap_or(u64::MAX) > longest;
    let long = || format!("the URL is longer than {longest} bytes (limit url_bytes)");
    if too_long(text.len()) {
        return Err(long());
    }
    if let Some(authority) = authority(text.trim_start()).filter(|authority| authority.len() > AUTHORITY) {
        return Err(format!("the host of the URL has {} bytes, and at most {AUTHORITY} are allowed", authority.len()));
    }
    // The URL parser drops tabs and line ends and takes `\` for `/`; what needs that is no URL.
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    if text.chars().any(char::is_control) || before_query.contains('\\') {
        return Err(format!("the URL {text:?} contains a control character or a backslash"));
    }
    let not_a_url = || format!("{text:?} is not a complete URL, such as https://site-a.example.org/values.json");
    let mut url = Url::options().base_url(base).parse(text).map_err(|_| not_a_url())?;
    let origin = Origin::of(&url).map_err(|error| error.to_string())?;
    // One spelling of the host on the wire, in TLS and in the pool: the one that was compared with the grants.
    if url.host_str() != Some(origin.host().as_str()) {
        url.set_host(Some(&origin.host())).map_err(|_| not_a_url())?;
    }
    url.set_fragment(None);
    // Encoding what may not stand in a URL makes it longer.
    if too_long(url.as_str().len()) { Err(long()) } else { Ok((url, origin)) }
}

/// Bytes of all names and values.
pub(super) fn header_bytes(map: &HeaderMap) -> usize {
    let length = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len().saturating_add(value.len());
    map.iter().map(length).fold(0_usize, usize::saturating_add)
}

/// The header fields of a response as text, if they are within the limits.
pub(super) fn response_headers(map: &HeaderMap, limits: &Limits) -> Result<Vec<(String, String)>, Error> {
    Cap::ResponseHeaders.check(map.len(), limits.response_headers)?;
    Cap::ResponseHeaderBytes.check(header_bytes(map), limits.response_header_bytes)?;
    Ok(map.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

/// A value as text: UTF-8, else Latin-1.
pub(super) fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}
