//! The connections of one origin: to addresses that were checked, and each watched.
//!
//! A site may close a connection that was kept for the next request at any moment, and often does so silently. A request
//! that meets such a connection is lost without a trace of an answer; [`Progress`] tells that from all other failures.

use std::{
    error::Error as StdError,
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connected, Connection, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower_service::Service;

use super::{fetch_limits::Limits, framing::HeadWatch, origin::Scheme, resolver::Checked};

/// How long an unused connection is kept, and how many for one origin: as many as a collection uses at a time unless its operator says
/// otherwise. They come back together, and those beyond this number would be closed, and opened again for its next fetches.
const KEEP_IDLE: Duration = Duration::from_secs(30);
const KEEP_CONNECTIONS: usize = 16;

/// Header fields that the library parses before it gives up. More than are allowed, so that a response with some too many
/// gets the precise error.
const PARSED_HEADERS: usize = 4096;

/// A request as the library takes it.
pub(super) type Outgoing = http::Request<Full<Bytes>>;
/// A response as it comes from the library: its header, and its body as it arrives.
pub(super) type Incoming = http::Response<hyper::body::Incoming>;

/// The HTTP library's client for one origin.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    /// Keeps its connections.
    kept: legacy::Client<Connector, Full<Bytes>>,
    /// Opens a connection for each request.
    fresh: legacy::Client<Connector, Full<Bytes>>,
}

impl Connections {
    /// To an origin of this scheme.
    pub(super) fn new(limits: &Limits, resolver: Checked, tls: rustls::ClientConfig, scheme: Scheme) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https = if scheme == Scheme::Https { https.https_only() } else { https.https_or_http() };
        let connector = Connector { inner: https.enable_http1().wrap_connector(tcp), within: limits.connect };
        let client = |keep: usize| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP_IDLE)
                .pool_max_idle_per_host(keep)
                .http1_max_headers(PARSED_HEADERS.max(limits.response_headers))
                // What concerns the length of the body is refused: see `framing`.
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_ignore_invalid_headers_in_responses(true)
                .build(connector.clone())
        };
        Self { kept: client(KEEP_CONNECTIONS), fresh: client(0) }
    }

    /// Sends a request and waits for the header of the response.
    pub(super) async fn send(&self, request: Outgoing) -> Result<Incoming, legacy::Error> {
        self.kept.request(request).await
    }

    /// The same over a connection of its own.
    pub(super) async fn send_fresh(&self, request: Outgoing) -> Result<Incoming, legacy::Error> {
        self.fresh.request(request).await
    }
}

/// Whether a request was lost because the site had closed a kept connection: nothing of a response arrived.
pub(super) fn was_closed(error: &legacy::Error) -> bool {
    let mut extras = http::Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    extras.get::<Arc<Progress>>().is_some_and(|progress| progress.is_kept_and_silent())
}

/// What happened on a connection.
#[derive(Debug, Default)]
struct Progress {
    requests: AtomicU32,
    /// Something arrived since the last request.
    arrived: AtomicBool,
}

impl Progress {
    fn is_kept_and_silent(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1 && !self.arrived.load(Ordering::Relaxed)
    }
}

/// Opens connections.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector<Checked>>,
    /// How long name lookup, TCP and TLS may take together.
    within: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("within", &self.within).finish_non_exhaustive()
    }
}

/// There was no connection in time.
#[derive(Debug, thiserror::Error)]
#[error("there was no connection within {0:?}")]
pub(super) struct NoConnection(Duration);

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, within) = (self.inner.call(to), self.within);
        Box::pin(async move {
            let stream = tokio::time::timeout(within, connecting).await.map_err(|_| NoConnection(within))??;
            Ok(TokioIo::new(Watched {
                stream: TokioIo::new(stream),
                progress: Arc::default(),
                head: HeadWatch::default(),
            }))
        })
    }
}

/// A connection whose requests and response headers are watched.
#[derive(Debug)]
struct Watched {
    stream: TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>,
    progress: Arc<Progress>,
    head: HeadWatch,
}

impl Watched {
    /// The library has written something. It begins each request with a write of its own, and a connection carries one
    /// request at a time.
    fn wrote(&mut self, bytes: &[u8]) {
        if begins_request(bytes) {
            self.progress.requests.fetch_add(1, Ordering::Relaxed);
            self.progress.arrived.store(false, Ordering::Relaxed);
            self.head = HeadWatch::default();
        }
    }
}

/// Whether this is the beginning of a request line: `GET /`.
fn begins_request(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    http::Method::from_bytes(method).is_ok() && words.next().is_some_and(|rest| rest.starts_with(b"/"))
}

impl Connection for Watched {
    fn connected(&self) -> Connected {
        self.stream.inner().connected().extra(Arc::clone(&self.progress))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            self.progress.arrived.store(true, Ordering::Relaxed);
            self.head.read(read).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.wrote(bytes);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, pieces))?;
        self.wrote(pieces.first().map_or(&[], |piece| piece));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
