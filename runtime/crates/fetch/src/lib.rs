//! The guarded HTTP client: all that a collector can do on the web, and nothing else.
//!
//! A collector is code that its operator did not write. What it may be after is not the page it was granted but what
//! else this machine can reach: the metadata service of its cloud, a plant's own web interfaces, the loopback ports of
//! other programs, the pattoo server itself. An HTTP client makes that easy in a dozen ways: a name that resolves to a
//! private address (and to a public one a moment earlier), a site that redirects there, an address spelled in octal or
//! wrapped in IPv6, a proxy from the environment that connects where nobody looked, a header that smuggles a second
//! request. This layer stands between: deny by default, one policy, applied to every hop.
//!
//! The way of a request, each step in the file of its name:
//!
//! 1. `message` takes what the guest asked for, as text, and refuses what is no clean request (`headers`).
//! 2. `grant` and `path` decide whether origin, method and path were granted, before any name is resolved: a lookup is
//!    a channel to the outside too.
//! 3. `resolver` resolves the name, `address` classifies every address found, and the connection goes to an address that
//!    was checked. Literal addresses take the same path.
//! 4. `client` sends, over a connection that no other collector and no other origin shares, with the secrets that the
//!    grant attaches (`secret`).
//! 5. `redirect` says what the next hop is; steps 2 to 4 again.
//! 6. `body` reads the answer under caps on both sides of decompression (`limits`), and tells a `meter` of each piece.
//!
//! It never shows a secret (a site that echoes one can), keeps no cookies, uses no proxy, speaks HTTP/1.1 only, and knows
//! nothing of WebAssembly. A fetch that is dropped closes its connection; only a name lookup, which the C library cannot
//! cancel, may outlive it, and few of those may run at once.

mod address;
mod body;
mod client;
mod error;
mod grant;
mod headers;
mod limits;
mod message;
mod meter;
mod origin;
mod own;
mod path;
mod redirect;
mod resolver;

pub use address::{AddressClass, Reach};
pub use client::{Client, Setup, SetupError, Visit, Watch};
pub use error::{Cap, Denied, Error, GrantHint, Reason, Wait};
pub use grant::OriginGrant;
pub use headers::is_ours as is_header_of_the_host;
pub use limits::Limits;
pub use message::{MAX_METHOD, Patience, Request, Response};
pub use meter::{Exhausted, Meter, Unmetered};
pub use origin::{Origin, OriginError, Scheme};
pub use own::OwnEndpoints;
pub use path::{PathError, PathPrefix};
pub use reqwest::{Method, header::HeaderName};
pub use resolver::{Lookup, Resolver, SystemResolver};

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that panics has failed, as it should")]
mod tests;
