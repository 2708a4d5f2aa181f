//! What listens on a port of this machine: how many may come, how long they may be silent, and who they must mean.
//!
//! The status address and the receiver both are small HTTP servers for programs nearby. Neither is to be held up by a connection
//! that says nothing or drips, and neither is to answer a web page that a browser was made to send here.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// What those who come are allowed.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// How many connections may be open at the same time. Others wait until one is closed.
    connections: usize,
    /// How long a connection may take to send the header of a request: from its start, or from the answer to the one before.
    header: Duration,
}

const BOUNDS: Bounds = Bounds { connections: 64, header: Duration::from_secs(10) };
/// The longest header of a request, in bytes.
const HEADER_BYTES: usize = 64 << 10;
/// How long requests under way have when the server is to end: one whose rest never comes must not hold it.
const GRACE: Duration = Duration::from_secs(2);
/// How long nothing is accepted after that failed: most often for want of file handles, which others may give back.
const AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is ready, and then what is under way for two seconds more.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    serve_within(BOUNDS, listener, router, stop).await;
}

async fn serve_within(bounds: Bounds, listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let seats = Arc::new(Semaphore::new(bounds.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let arrival = async {
            // Never closed.
            let seat = Arc::clone(&seats).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, arrived) = tokio::select! {
            () = &mut stop => break,
            arrived = arrival => arrived,
        };
        while connections.try_join_next().is_some() {}
        match arrived {
            Ok((stream, _)) => {
                let connection = connection(bounds, stream, router.clone(), stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::debug!("no connection was accepted: {error}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    // Whoever still listens to it is a connection.
    let _ = stopping.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

async fn connection(bounds: Bounds, stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    tokio::select! {
        // What goes wrong with a connection is its peer's concern.
        _ = &mut served => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
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

    use super::{Bounds, bind, refusal, serve_within};

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    const HEADER: Duration = Duration::from_millis(300);

    async fn server(connections: usize) -> SocketAddr {
        let (listener, address) = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let router = Router::new().route("/", get(async || "here"));
        tokio::spawn(serve_within(Bounds { connections, header: HEADER }, listener, router, std::future::pending()));
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
        let address = server(8).await;
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

    #[tokio::test]
    async fn more_connections_than_there_are_seats_wait_for_one() {
        let address = server(2).await;
        let began = Instant::now();
        let _silent = [having_said(address, b"").await, having_said(address, b"GET").await];
        assert!(heard(having_said(address, REQUEST).await).await.ends_with("here"));
        assert!(began.elapsed() >= HEADER, "{:?}", began.elapsed());
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
