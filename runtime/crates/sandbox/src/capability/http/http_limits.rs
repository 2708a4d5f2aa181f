//! How much of the web one collection may use.

use pattoo_settings::{
    GIB, HOUR, KIB, Quantity,
    convert::{duration, millis, narrow, same, widen},
    quantity,
};

/// How much one collection may fetch, over both interfaces together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// HTTP requests, each counted once however often it is redirected.
    pub count: u32,
    /// HTTP requests under way at the same time.
    pub concurrent: usize,
    /// Bytes of all responses of one collection, bodies and header fields.
    pub bytes: usize,
    /// Of each fetch.
    pub fetch: pattoo_fetch::Limits,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { count: 1_000, concurrent: 16, bytes: 64 << 20, fetch: pattoo_fetch::Limits::default() }
    }
}

/// The ranges of [`HttpLimits`].
pub(super) static RANGES: &[Quantity<crate::capability::CollectionLimits>] = &[
    quantity!("fetches", "HTTP requests", Count, 0, 1_000_000, http.count, u64::from, narrow),
    quantity!("concurrent_fetches", "HTTP requests at the same time", Count, 1, 1_000, http.concurrent, widen, narrow),
    quantity!(
        "fetched_bytes",
        "bytes of all responses together, headers included",
        Size,
        KIB,
        4 * GIB,
        http.bytes,
        widen,
        narrow
    ),
    quantity!(
        "fetch_timeout",
        "time for one fetch, all redirects included",
        Time,
        1,
        HOUR,
        http.fetch.total,
        millis,
        duration
    ),
    quantity!(
        "fetch_connect_timeout",
        "time for one connection: name, TCP and TLS",
        Time,
        1,
        HOUR,
        http.fetch.connect,
        millis,
        duration
    ),
    quantity!("fetch_idle_timeout", "time without data from a site", Time, 1, HOUR, http.fetch.idle, millis, duration),
    quantity!("redirects", "redirects that one fetch follows", Count, 0, 20, http.fetch.redirects, u64::from, narrow),
    quantity!("url_bytes", "bytes of a URL", Size, 64, 64 * KIB, http.fetch.url_bytes, same, same),
    quantity!("request_bytes", "bytes of a request body", Size, 0, GIB, http.fetch.request_bytes, same, same),
    quantity!(
        "request_headers",
        "header fields of a request",
        Count,
        0,
        1_000,
        http.fetch.request_headers,
        widen,
        narrow
    ),
    quantity!(
        "request_header_bytes",
        "bytes of a request's header fields",
        Size,
        0,
        256 * KIB,
        http.fetch.request_header_bytes,
        same,
        same
    ),
    quantity!(
        "response_bytes",
        "bytes of a response body, decompressed",
        Size,
        0,
        GIB,
        http.fetch.response_bytes,
        same,
        same
    ),
    quantity!(
        "compressed_bytes",
        "bytes of a response body on the wire",
        Size,
        0,
        GIB,
        http.fetch.compressed_bytes,
        same,
        same
    ),
    quantity!(
        "response_headers",
        "header fields of a response",
        Count,
        1,
        4_000,
        http.fetch.response_headers,
        widen,
        narrow
    ),
    quantity!(
        "response_header_bytes",
        "bytes of a response's header fields",
        Size,
        KIB,
        256 * KIB,
        http.fetch.response_header_bytes,
        same,
        same
    ),
];
