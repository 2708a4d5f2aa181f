//! One connection of a server: its time limits, and its activity.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, extract::Request, response::Response};
use futures_util::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Instant, Sleep, sleep},
};

use super::ConnectionLimits;

/// The longest header of a request, in bytes.
const HEADER_BYTES: usize = 64 << 10;

/// The activity of a connection.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// When it last transferred a byte, in milliseconds since `began`.
    transferred: AtomicU64,
    /// How many requests are in progress.
    requests: AtomicUsize,
}

impl Activity {
    pub(super) fn new(began: Instant) -> Self {
        let activity = Self { began, transferred: AtomicU64::new(0), requests: AtomicUsize::new(0) };
        activity.transferred();
        activity
    }

    fn transferred(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.transferred.store(now, Ordering::Relaxed);
    }

    pub(super) fn last_transfer(&self) -> u64 {
        self.transferred.load(Ordering::Relaxed)
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }
}

pub(super) async fn connection(
    limits: ConnectionLimits,
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    activity: Arc<Activity>,
) {
    let stream = MonitoredStream {
        stream,
        activity: Arc::clone(&activity),
        limit: limits.stalled,
        timer: Box::pin(sleep(limits.stalled)),
        stalled: false,
    };
    let service = CountedService { service: TowerToHyperService::new(router), activity };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    tokio::select! {
        // An error of a connection concerns only its client.
        _ = &mut served => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// A service that counts its requests in progress.
struct CountedService {
    service: TowerToHyperService<Router>,
    activity: Arc<Activity>,
}

/// Counts a request as in progress until it is dropped.
struct RequestInProgress(Arc<Activity>);

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::service::Service<Request<Incoming>> for CountedService {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.requests.fetch_add(1, Ordering::Relaxed);
        let (in_progress, response) = (RequestInProgress(Arc::clone(&self.activity)), self.service.call(request));
        Box::pin(async move {
            let response = response.await;
            drop(in_progress);
            response
        })
    }
}

/// A stream that records when it transfers bytes, and that fails if its client reads nothing for
/// too long.
struct MonitoredStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the last write had to wait. The timer runs since then.
    stalled: bool,
}

impl AsyncRead for MonitoredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.transferred();
        }
        Poll::Ready(read)
    }
}

impl MonitoredStream {
    /// The result of a write, or an error if it has been waiting for too long.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.activity.transferred();
            self.stalled = false;
            return written;
        }
        if !self.stalled {
            self.stalled = true;
            let due = Instant::now().checked_add(self.limit).unwrap_or_else(Instant::now);
            self.timer.as_mut().reset(due);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for MonitoredStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
