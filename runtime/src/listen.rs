//! What listens on a port of this machine: how many may come, how long they may be silent, and who they must mean.
//!
//! The status address and the receiver both are small HTTP servers for programs nearby. Neither is to be held up by a connection
//! that says nothing, drips or does not read its answer, and neither is to answer a web page that a browser was made to send here.
//!
//! There is a limit to how many connections are open. One that comes beyond it is not kept waiting by those that do nothing: the
//! connection that has moved no byte for the longest time is closed for it. So a probe is answered however many others are stuck.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{self, AbortHandle, JoinError, JoinSet},
    time::{Instant, Sleep, sleep},
};

/// What those who come are allowed.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// How many connections may be open at the same time.
    connections: usize,
    /// How long a connection may take to send the header of a request: from its start, or from the answer to the one before.
    header: Duration,
    /// How long a connection may take none of an answer.
    stalled: Duration,
    /// Which connections are closed for others that come beyond that number.
    replaced: Replaced,
}

/// Which connections are closed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// Any: what is asked for can be asked for again.
    Any,
    /// Those without a request that is being worked on.
    Idle,
}

const BOUNDS: Bounds = Bounds {
    connections: 64,
    header: Duration::from_secs(10),
    stalled: Duration::from_secs(10),
    replaced: Replaced::Any,
};
/// The longest header of a request, in bytes.
const HEADER_BYTES: usize = 64 << 10;
/// How long requests under way have when the server is to end: one whose rest never comes must not hold it.
const GRACE: Duration = Duration::from_secs(2);
/// How long nothing is accepted after that failed, most often for want of file handles, which others may give back; and how often it is
/// looked whether there is room, where none can be made.
const AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is ready, and then what is under way for two seconds more.
pub(crate) async fn serve(listener: TcpListener, router: Router, replaced: Replaced, stop: impl Future<Output = ()>) {
    serve_within(Bounds { replaced, ..BOUNDS }, listener, router, stop).await;
}

async fn serve_within(bounds: Bounds, listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let mut open = Open::default();
    let mut stop = pin!(stop);
    loop {
        let arrived = tokio::select! {
            () = &mut stop => break,
            arrived = listener.accept() => arrived,
        };
        open.forget_ended();
        match arrived {
            Ok((stream, _)) => {
                let room = open.make_room(bounds);
                tokio::select! {
                    () = &mut stop => break,
                    () = room => {}
                }
                let activity = Arc::new(Activity::new(open.began));
                let connection = connection(bounds, stream, router.clone(), stopped.clone(), Arc::clone(&activity));
                open.add(connection, activity);
            }
            Err(error) => {
                tracing::debug!("no connection was accepted: {error}");
                sleep(AGAIN).await;
            }
        }
    }
    // Whoever still listens to it is a connection.
    let _ = stopping.send(true);
    let all = async { while open.tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

/// The connections that are open.
struct Open {
    began: Instant,
    tasks: JoinSet<()>,
    by_task: HashMap<task::Id, (AbortHandle, Arc<Activity>)>,
}

impl Default for Open {
    fn default() -> Self {
        Self { began: Instant::now(), tasks: JoinSet::new(), by_task: HashMap::new() }
    }
}

impl Open {
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static, activity: Arc<Activity>) {
        let task = self.tasks.spawn(connection);
        self.by_task.insert(task.id(), (task, activity));
    }

    fn forget_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
            self.by_task.remove(&id);
        }
    }

    /// Waits until one more connection may be open, which is at once if one can be closed for it.
    async fn make_room(&mut self, bounds: Bounds) {
        while self.by_task.len() >= bounds.connections && !self.close_stillest(bounds.replaced) {
            sleep(AGAIN).await;
            self.forget_ended();
        }
    }

    /// Closes the connection that has moved no byte for the longest time, of those that may be; says whether there is one.
    fn close_stillest(&mut self, replaced: Replaced) -> bool {
        let may_be = |activity: &Activity| replaced == Replaced::Any || !activity.is_at_work();
        let candidates = self.by_task.iter().filter(|(_, (_, activity))| may_be(activity));
        let stillest = candidates.min_by_key(|(_, (_, activity))| activity.last_moved()).map(|(id, _)| *id);
        let closed = stillest.and_then(|id| self.by_task.remove(&id));
        closed.as_ref().inspect(|(task, _)| task.abort()).is_some()
    }
}

/// What a connection does.
#[derive(Debug)]
struct Activity {
    began: Instant,
    /// When it last moved a byte, in milliseconds since `began`.
    moved: AtomicU64,
    /// How many requests are being worked on.
    at_work: AtomicUsize,
}

impl Activity {
    fn new(began: Instant) -> Self {
        let activity = Self { began, moved: AtomicU64::new(0), at_work: AtomicUsize::new(0) };
        activity.moved();
        activity
    }

    fn moved(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn last_moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }
}

async fn connection(
    bounds: Bounds,
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    activity: Arc<Activity>,
) {
    let stream = Watched {
        stream,
        activity: Arc::clone(&activity),
        limit: bounds.stalled,
        timer: Box::pin(sleep(bounds.stalled)),
        stalled: false,
    };
    let service = Working { service: TowerToHyperService::new(router), activity };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    tokio::select! {
        // What goes wrong with a connection is its peer's concern.
        _ = &mut served => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// A service, and whether it is at work.
struct Working {
    service: TowerToHyperService<Router>,
    activity: Arc<Activity>,
}

/// As long as it is there, a request is being worked on.
struct AtWork(Arc<Activity>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::service::Service<Request<Incoming>> for Working {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.at_work.fetch_add(1, Ordering::Relaxed);
        let (at_work, answer) = (AtWork(Arc::clone(&self.activity)), self.service.call(request));
        Box::pin(async move {
            let answer = answer.await;
            drop(at_work);
            answer
        })
    }
}

/// A stream that tells when it moves, and that fails when its other side takes nothing for too long.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the last write found no room; the timer runs since then.
    stalled: bool,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.moved();
        }
        Poll::Ready(read)
    }
}

impl Watched {
    /// What a write came to, or that it has been waiting for too long.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.activity.moved();
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

impl AsyncWrite for Watched {
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

/// Lets a request through that means what listens on `address`, and says to any other that it does not.
pub(crate) async fn only_for_us(address: SocketAddr, request: Request, next: Next) -> Response {
    if let Some(refusal) = refusal(address, request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, refusal).into_response();
    }
    next.run(request).await
}

/// Why a request is not answered, if it is one that a browser was tricked or told to send here: under another name than ours (DNS
/// rebinding), which on loopback is `localhost` or an address; or by a page of another origin, wherever we listen. Programs
/// send no `Origin`.
fn refusal(address: SocketAddr, headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = host.and_then(|host| host.parse::<Authority>().ok());
    let is_local = |name: &Authority| {
        let host = name.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()
    };
    if address.ip().is_loopback() && !named.as_ref().is_some_and(is_local) {
        return Some("this answers to `localhost` and to addresses");
    }
    let origin = headers.get(header::ORIGIN)?;
    let ours = named.is_some_and(|name| origin.as_bytes().eq_ignore_ascii_case(format!("http://{name}").as_bytes()));
    (!ours).then_some("this answers to no page of another origin")
}

/// Binds `address`; port 0 is any free one. The address that is bound has its real port.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "a test that panics has failed, as it should")]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        time::{Duration, Instant},
    };

    use axum::{
        Router,
        http::{HeaderMap, header},
        routing::get,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::{Bounds, Replaced, bind, refusal, serve_within};

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    const HEADER: Duration = Duration::from_millis(300);

    async fn server(connections: usize, replaced: Replaced) -> SocketAddr {
        patient_server(connections, replaced, HEADER).await
    }

    /// One that gives a connection that does nothing so long.
    async fn patient_server(connections: usize, replaced: Replaced, patience: Duration) -> SocketAddr {
        let (listener, address) = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let router = Router::new()
            .route("/", get(async || "here"))
            // More than all buffers on the way hold.
            .route("/large", get(async || vec![b'x'; 16 << 20]))
            .route("/never", get(async || std::future::pending::<()>().await));
        let bounds = Bounds { connections, header: patience, stalled: patience, replaced };
        tokio::spawn(serve_within(bounds, listener, router, std::future::pending()));
        address
    }

    /// A connection that has said this.
    async fn having_said(address: SocketAddr, text: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream
    }

    /// All that comes until the other side closes.
    async fn heard(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let read = stream.read_to_end(&mut text);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("it is closed").unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_does_not_come_to_the_end_of_its_header_is_closed() {
        let address = server(8, Replaced::Any).await;
        for said in ["", "GET / HTTP/1.1\r\nhost: loc", &String::from_utf8_lossy(REQUEST)[..30]] {
            let answer = heard(having_said(address, said.as_bytes()).await).await;
            assert!(!answer.contains("here"), "{said:?}: {answer}");
        }
        // One that drips, too.
        let mut stream = having_said(address, b"GET / HTTP/1.1\r\n").await;
        let began = Instant::now();
        while stream.write_all(b"x: y\r\n").await.is_ok() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(heard(having_said(address, REQUEST).await).await.ends_with("here"));
    }

    fn request(path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
    }

    /// How long it takes until a probe has its answer.
    async fn probed(address: SocketAddr) -> Duration {
        let began = Instant::now();
        assert!(heard(having_said(address, REQUEST).await).await.ends_with("here"));
        began.elapsed()
    }

    #[tokio::test]
    async fn connections_that_are_stuck_are_closed_for_those_that_come() {
        let patience = Duration::from_mins(1);
        let address = patient_server(64, Replaced::Any, patience).await;
        let mut stuck = Vec::new();
        // Ones that say nothing, that do not end their header, that do not read, and whose answer does not come.
        for at in 0..200 {
            let said = [vec![], b"GET / HT".to_vec(), request("/large"), request("/never")];
            stuck.push(having_said(address, &said[at % said.len()]).await);
            if at % 20 == 19 {
                let took = probed(address).await;
                assert!(took < patience / 10, "{took:?} with {at} connections");
            }
        }
        drop(stuck);
        assert!(probed(address).await < patience / 10);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let address = server(8, Replaced::Any).await;
        let mut stuck = having_said(address, &request("/large")).await;
        // The first bytes come, and then the other side is not read until it has given up.
        let mut first = [0; 100];
        stuck.read_exact(&mut first).await.unwrap();
        tokio::time::sleep(HEADER.saturating_mul(4)).await;
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stuck.read_to_end(&mut rest)).await;
        assert!(read.is_ok() && rest.len() < 16 << 20, "{} bytes", rest.len());
    }

    #[tokio::test]
    async fn a_slow_reader_that_goes_on_has_its_whole_answer() {
        let address = server(8, Replaced::Any).await;
        let mut stream = having_said(address, &request("/large")).await;
        let (mut piece, mut all) = (vec![0; 2 << 20], 0);
        while all < 16 << 20 {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut piece)).await.unwrap().unwrap();
            assert!(read > 0, "after {all} bytes");
            all += read;
            tokio::time::sleep(HEADER / 20).await;
        }
    }

    #[tokio::test]
    async fn a_request_that_is_worked_on_is_not_closed_for_another_where_that_matters() {
        let address = server(2, Replaced::Idle).await;
        let mut at_work = having_said(address, &request("/never")).await;
        for _ in 0..5 {
            assert!(probed(address).await < Duration::from_secs(20));
            let _idle = having_said(address, b"GET").await;
        }
        let mut byte = [0];
        assert!(tokio::time::timeout(HEADER, at_work.read(&mut byte)).await.is_err(), "it is still open");
    }

    fn is_refused(address: SocketAddr, host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            value.map(|value| headers.insert(name, value.parse().unwrap()));
        }
        refusal(address, &headers).is_some()
    }

    #[test]
    fn on_loopback_only_our_own_names_are_answered_to() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 20203));
        for host in ["localhost", "LOCALHOST:20203", "127.0.0.1:20203", "[::1]:20203", "192.0.2.1"] {
            assert!(!is_refused(here, Some(host), None), "{host}");
        }
        for host in ["evil.example.org", "localhost.evil.example.org:20203", "a b", ""] {
            assert!(is_refused(here, Some(host), None), "{host}");
        }
        assert!(is_refused(here, None, None));
        assert!(!is_refused(SocketAddr::from(([192, 0, 2, 1], 20203)), Some("gateway.example.org"), None));
    }

    #[test]
    fn a_page_of_another_origin_is_not_answered_wherever_we_listen() {
        for here in [SocketAddr::from((Ipv4Addr::LOCALHOST, 20203)), SocketAddr::from(([192, 0, 2, 1], 20203))] {
            assert!(!is_refused(here, Some("127.0.0.1:20203"), Some("http://127.0.0.1:20203")));
            for origin in ["http://evil.example.org", "null", "https://127.0.0.1:20203", "http://127.0.0.1", ""] {
                assert!(is_refused(here, Some("127.0.0.1:20203"), Some(origin)), "{origin}");
            }
        }
    }
}
