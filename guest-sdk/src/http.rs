//! Fetching from web origins that were granted.
//!
//! An *origin* is scheme, host and port, as in RFC 6454. One that was not granted is [`Denied`](ErrorKind::Denied) before
//! its name is looked up. Redirects are followed, each hop checked against the grant. Secrets that the operator attaches
//! (an API token, say) are added by the runtime and never shown to the collector.
//!
//! ```
//! # use pattoo_guest::testing::Host;
//! use core::time::Duration;
//! use pattoo_guest::http::{self, Request};
//!
//! # fn collect() -> pattoo_guest::Result {
//! // One page. Every status is a response, 404 too, until `error_for_status` makes an error of it.
//! let quotes: Vec<f64> = http::get("http://site-a.example/quotes.json")?.error_for_status()?.json()?;
//!
//! // With more to say about the request.
//! let page = Request::get("http://site-a.example/status")
//!     .header("accept", "text/plain")
//!     .timeout(Duration::from_secs(2))
//!     .send()?;
//! if page.status() == 200 {
//!     pattoo_guest::info!("{}", page.text());
//! }
//!
//! // Many at once; a dead site costs only its own result.
//! for result in http::fetch_all(["ABC", "DEF"].map(|name| Request::get(format!("http://site-b.example/{name}")))) {
//!     match result {
//!         Ok(response) => pattoo_guest::info!("{} bytes", response.bytes().len()),
//!         Err(error) => pattoo_guest::warn!("{error}"),
//!     }
//! }
//! # assert_eq!(quotes, [1.5]);
//! # Ok(())
//! # }
//! # let collection = Host::new()
//! #     .http("http://site-a.example/quotes.json", serde_json::json!([1.5]))
//! #     .http("http://site-b.example/ABC", serde_json::json!([1.5]))
//! #     .http("http://site-b.example/DEF", http::ErrorKind::Timeout)
//! #     .collect(collect);
//! # assert_eq!(collection.outcome, Ok(()));
//! # assert_eq!(collection.logs[1].message, "GET http://site-b.example/DEF: the request timed out");
//! ```

mod error;

use core::time::Duration;
use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

pub use self::error::{Error, ErrorKind};
use crate::host;

/// Fetches a page with `GET`.
///
/// # Errors
/// There is no response: see [`ErrorKind`].
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

/// Fetches many at once. There is one result for each request, in the same order; a dead site costs its own results only.
pub fn fetch_all(requests: impl IntoIterator<Item = Request>) -> Vec<Result<Response, Error>> {
    let requests: Vec<Request> = requests.into_iter().collect();
    let results = host::fetch_all(&requests).into_iter();
    requests.iter().zip(results).map(|(request, result)| request.settle(result)).collect()
}

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Option<Duration>,
}

impl Request {
    /// A `GET` of an absolute URL with scheme `http` or `https`. Example: `https://site-a.example.org/v1/quotes?symbol=ABC`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`, which the operator has to grant expressly.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// Any other method, in capitals. Only `GET` and `HEAD` are granted unless the operator set it otherwise.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: None, timeout: None }
    }

    /// Adds a header. Those that belong to the connection (`host`, `content-length` and their kind) and those that the
    /// operator attached are [`Invalid`](ErrorKind::Invalid).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What to send, at most 1 MiB unless set.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// Sends a value as JSON, with the `content-type` that belongs to it.
    ///
    /// # Errors
    /// The value cannot be written as JSON, such as a map whose keys are not strings.
    pub fn json(self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.header("content-type", "application/json").body(serde_json::to_vec(value)?))
    }

    /// The time for the whole fetch, redirects included, in steps of a millisecond. The runtime's own limit (10 seconds
    /// unless set) holds when it is shorter.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fetches it.
    ///
    /// # Errors
    /// There is no response: see [`ErrorKind`].
    pub fn send(self) -> Result<Response, Error> {
        self.settle(host::fetch(&self))
    }

    fn settle(&self, result: Result<Response, ErrorKind>) -> Result<Response, Error> {
        match result {
            Ok(response) => Ok(Response { method: self.method.clone(), url: self.url.clone(), ..response }),
            Err(kind) => Err(Error { method: self.method.clone(), url: self.url.clone(), kind }),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    // Of the request, so that an error about the response says what it is about.
    method: String,
    url: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response for tests, without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { method: String::new(), url: String::new(), status, headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn from_parts(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { headers, ..Self::new(status, body) }
    }

    /// The status code, such as 200.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header, in any case of letters; the first one if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers in the order in which they came, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The whole body, already decompressed unless the request set `accept-encoding` itself.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text. What is not UTF-8 in it becomes `U+FFFD`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body, read as JSON. A byte order mark before it is skipped.
    ///
    /// # Errors
    /// It is not JSON, or not what `T` wants.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let json = self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body);
        serde_json::from_slice(json).map_err(|error| self.error(ErrorKind::Json(error.to_string())))
    }

    /// An error unless the status is one of success: 200 to 299.
    ///
    /// # Errors
    /// [`ErrorKind::Status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.error(ErrorKind::Status(self.status))) }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { method: self.method.clone(), url: self.url.clone(), kind }
    }
}
