//! Web sites that answer what a test wants.

use crate::http::{ErrorKind, Request, Response};

/// What is found under a URL.
#[derive(Clone, Debug)]
pub struct Answer(Result<Response, ErrorKind>);

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self(Ok(response))
    }
}

impl From<ErrorKind> for Answer {
    fn from(error: ErrorKind) -> Self {
        Self(Err(error))
    }
}

/// Status 200 and a body of JSON.
impl From<serde_json::Value> for Answer {
    fn from(value: serde_json::Value) -> Self {
        Self(Ok(Response::new(200, value.to_string()).with_header("content-type", "application/json")))
    }
}

/// A URL that a test made known, and with it its origin.
#[derive(Clone, Debug)]
pub(super) struct Site {
    url: String,
    origin: Origin,
    answer: Answer,
}

impl Site {
    #[expect(clippy::panic, reason = "a test that grants nonsense must fail")]
    pub(super) fn new(url: &str, answer: Answer) -> Self {
        match Origin::of(url) {
            Some(origin) => Self { url: url.to_owned(), origin, answer },
            None => panic!("{url:?} is not an absolute URL with scheme http or https"),
        }
    }
}

/// Scheme, host and port, the latter two in lower case and as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let default_port = if secure { 443 } else { 80 };
        // The colons of an IPv6 address stand in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority.as_str(), default_port),
        };
        let valid = !host.is_empty() && !host.contains('@') && !host.contains(char::is_whitespace);
        valid.then(|| Self { secure, host: host.to_owned(), port })
    }
}

/// One fetch, as the runtime and the site would answer it.
pub(super) fn fetch(sites: &[Site], request: &Request) -> Result<Response, ErrorKind> {
    let Some(origin) = Origin::of(&request.url) else {
        return Err(ErrorKind::Invalid("the URL is not absolute, or not of scheme http or https".to_owned()));
    };
    if !sites.iter().any(|site| site.origin == origin) {
        let scheme = if origin.secure { "https" } else { "http" };
        let text = format!("the origin {scheme}://{}:{} is not granted", origin.host, origin.port);
        return Err(ErrorKind::Denied(text));
    }
    match sites.iter().find(|site| site.url == request.url) {
        Some(site) => site.answer.0.clone(),
        None => Ok(Response::new(404, "not found")),
    }
}
