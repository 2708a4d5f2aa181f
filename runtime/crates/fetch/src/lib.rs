//! A guarded HTTP client: it fetches from granted origins and connects to no other address.
//!
//! Code that its operator did not write may look for more than the page that it was granted: the metadata service of a cloud, the
//! web interfaces of a plant, loopback ports of other programs. An HTTP client makes that easy in many ways: a name that resolves to
//! a private address (and to a public one a moment earlier), a site that redirects there, an address in octal or
//! within IPv6, a proxy from the environment, a header that smuggles a second request. This client denies by default, and applies
//! one policy to every hop.
//!
//! ```
//! # use std::io::{Read as _, Write as _};
//! use pattoo_fetch::{Client, Error, Limits, OriginGrant, OwnEndpoints, Request};
//!
//! # let site = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let origin = format!("http://{}", site.local_addr()?);
//! # std::thread::spawn(move || {
//! #     let (mut connection, _) = site.accept().unwrap();
//! #     connection.read(&mut [0; 4096]).unwrap();
//! #     connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n21.5").unwrap();
//! # });
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // Without this grant, not even the name of the site is resolved.
//! let grant = OriginGrant::new(origin.parse()?).private(true);
//! let client = Client::new(vec![grant], Limits::default(), OwnEndpoints::default())?;
//! let get = |url: String| Request { method: "GET".to_owned(), url, ..Request::default() };
//!
//! let response = client.fetch(get(format!("{origin}/temperature"))).await?;
//! assert_eq!((response.status, response.body.as_slice()), (200, b"21.5".as_slice()));
//!
//! let denied = client.fetch(get("http://169.254.169.254/latest/meta-data".to_owned())).await;
//! assert!(matches!(denied, Err(Error::Denied(_))));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The steps of a request, each in the file of its name:
//!
//! 1. `message` parses the request, which is text, and refuses what is not a valid request (`headers`).
//! 2. `grant` and `path_prefix` decide whether origin, method and path were granted, before any name is resolved: a
//!    lookup is a channel to the outside too.
//! 3. `resolver` resolves the name, `address_class` classifies every address found, and the connection is made to an
//!    address that was checked. Literal addresses take the same path.
//! 4. `client` sends the request over a connection that no other collector and no other origin shares, with the secrets that the
//!    grant attaches. `connection` watches each: a GET or HEAD is repeated once if the site had closed a kept connection, and
//!    a response whose header leaves open where its body ends is refused (`framing`).
//! 5. `redirect` determines the next hop; steps 2 to 4 are repeated for it.
//! 6. `body` reads the response under limits on both sides of decompression (`fetch_limits`), and tells a `meter` of each
//!    piece.
//!
//! The client never shows a secret, stores no cookies, uses no proxy, speaks HTTP/1.1 only, and knows
//! nothing of WebAssembly. A fetch that is dropped closes its connection; only a name lookup, which the C library cannot
//! cancel, may outlive it, and the number of those is limited.

mod address_class;
mod body;
mod client;
mod connection;
mod denied;
mod error;
mod fetch_limits;
mod framing;
mod grant;
mod message;
mod meter;
mod origin;
mod own_endpoints;
mod path_prefix;
mod redirect;
mod request_headers;
mod resolver;

pub use address_class::{AddressClass, Reach};
pub use client::{Client, Setup, SetupError, Visit, Watch};
pub use denied::{Denied, GrantHint, Reason};
pub use error::{Cap, Error, Wait};
pub use fetch_limits::Limits;
pub use grant::OriginGrant;
pub use http::{Method, header::HeaderName};
pub use message::{MAX_METHOD, Patience, Request, Response};
pub use meter::{Exhausted, Meter, Unmetered};
pub use origin::{Origin, OriginError, Scheme};
pub use own_endpoints::OwnEndpoints;
pub use path_prefix::{PathError, PathPrefix};
pub use request_headers::is_reserved as is_header_of_the_host;
pub use resolver::{Lookup, Resolver, SystemResolver};

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that panics has failed, as it should")]
mod tests;
