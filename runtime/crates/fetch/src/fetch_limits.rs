//! What one fetch may cost, however it goes.

use std::time::Duration;

/// Caps on a fetch. Each bounds memory or time that a guest or a site would otherwise decide about.
///
/// The defaults suit JSON and CSV interfaces. A count or size that is reached is [`Error::TooLarge`](super::Error), with
/// the name of the field here; a time is [`Error::Timeout`](super::Error).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a response body as the guest gets it, after decompression. Default 8 MiB: it is copied into the guest,
    /// whose whole memory is 64 MiB unless raised.
    pub response_bytes: u64,
    /// Bytes of a response body as it comes over the wire. Default 8 MiB.
    pub compressed_bytes: u64,
    /// Header fields in a response. Default 1000, since [`response_header_bytes`](Self::response_header_bytes) bounds what
    /// they hold.
    pub response_headers: usize,
    /// Bytes of all names and values of a response's header fields. Default 64 KiB. The parser itself gives up
    /// at about 400 KiB, whatever is set here.
    pub response_header_bytes: u64,
    /// Redirects followed. Default 5; 0 makes every redirect an error.
    pub redirects: u32,
    /// Time for one fetch as a whole (limit `fetch_timeout`), all redirects included. Default 10 s. A request can ask for less,
    /// never for more.
    pub total: Duration,
    /// Time for connecting (limit `fetch_connect_timeout`): name lookup, TCP and TLS. Default 5 s.
    pub connect: Duration,
    /// How long a site may stay silent (limit `fetch_idle_timeout`): from the request to the complete response header, and
    /// then between any two pieces of the body. Default 10 s.
    pub idle: Duration,
    /// Bytes of a request body. Default 1 MiB.
    pub request_bytes: u64,
    /// Header fields that a request may set. Default 64.
    pub request_headers: usize,
    /// Bytes of all names and values of a request's header fields. Default 16 KiB.
    pub request_header_bytes: u64,
    /// Bytes of a URL, the guest's or one that a redirect leads to. Default 8 KiB.
    pub url_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response_bytes: 8 * 1024 * 1024,
            compressed_bytes: 8 * 1024 * 1024,
            response_headers: 1_000,
            response_header_bytes: 64 * 1024,
            redirects: 5,
            total: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            request_bytes: 1024 * 1024,
            request_headers: 64,
            request_header_bytes: 16 * 1024,
            url_bytes: 8 * 1024,
        }
    }
}
