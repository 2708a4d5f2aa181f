//! Claims about stuck and slow connections.
#![expect(clippy::string_slice, reason = "a test that panics has failed, as it should")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{ConnectionLimits, Evictable, bind, serve_with_limits};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const HEADER: Duration = Duration::from_millis(300);

async fn server(connections: usize, evictable: Evictable) -> SocketAddr {
    server_with_timeout(connections, evictable, HEADER).await
}

/// A server that closes a connection after this time without activity.
async fn server_with_timeout(connections: usize, evictable: Evictable, timeout: Duration) -> SocketAddr {
    let (listener, address) = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let router = Router::new()
        .route("/", get(async || "here"))
        // More than all buffers on the way can hold.
        .route("/large", get(async || vec![b'x'; 16 << 20]))
        .route("/never", get(async || std::future::pending::<()>().await));
    let limits = ConnectionLimits { connections, header: timeout, stalled: timeout, evictable };
    tokio::spawn(serve_with_limits(limits, listener, router, std::future::pending()));
    address
}

/// A connection that has sent this.
async fn having_sent(address: SocketAddr, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text).await.unwrap();
    stream
}

/// Everything that arrives until the other side closes.
async fn received(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("it is closed").unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn connection_with_an_incomplete_header_is_closed() {
    let address = server(8, Evictable::Any).await;
    for said in ["", "GET / HTTP/1.1\r\nhost: loc", &String::from_utf8_lossy(REQUEST)[..30]] {
        let answer = received(having_sent(address, said.as_bytes()).await).await;
        assert!(!answer.contains("here"), "{said:?}: {answer}");
    }
    // One that sends slowly, too.
    let mut stream = having_sent(address, b"GET / HTTP/1.1\r\n").await;
    let began = Instant::now();
    while stream.write_all(b"x: y\r\n").await.is_ok() && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(received(having_sent(address, REQUEST).await).await.ends_with("here"));
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// How long it takes until a probe has its response.
async fn probed(address: SocketAddr) -> Duration {
    let began = Instant::now();
    assert!(received(having_sent(address, REQUEST).await).await.ends_with("here"));
    began.elapsed()
}

#[tokio::test]
async fn stuck_connections_are_closed_for_new_ones() {
    let timeout = Duration::from_mins(1);
    let address = server_with_timeout(64, Evictable::Any, timeout).await;
    let mut stuck = Vec::new();
    // They send nothing, do not complete their header, do not read, or wait for a response that
    // never comes.
    for at in 0..200 {
        let said = [vec![], b"GET / HT".to_vec(), request("/large"), request("/never")];
        stuck.push(having_sent(address, &said[at % said.len()]).await);
        if at % 20 == 19 {
            let took = probed(address).await;
            assert!(took < timeout / 10, "{took:?} with {at} connections");
        }
    }
    drop(stuck);
    assert!(probed(address).await < timeout / 10);
}

#[tokio::test]
async fn response_that_is_not_read_is_abandoned() {
    let address = server(8, Evictable::Any).await;
    let mut stuck = having_sent(address, &request("/large")).await;
    // The first bytes arrive. Then nothing is read until the server has closed the connection.
    let mut first = [0; 100];
    stuck.read_exact(&mut first).await.unwrap();
    tokio::time::sleep(HEADER.saturating_mul(4)).await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stuck.read_to_end(&mut rest)).await;
    assert!(read.is_ok() && rest.len() < 16 << 20, "{} bytes", rest.len());
}

#[tokio::test]
async fn slow_reader_gets_the_whole_response() {
    let address = server(8, Evictable::Any).await;
    let mut stream = having_sent(address, &request("/large")).await;
    let (mut piece, mut all) = (vec![0; 2 << 20], 0);
    while all < 16 << 20 {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "after {all} bytes");
        all += read;
        tokio::time::sleep(HEADER / 20).await;
    }
}

#[tokio::test]
async fn request_in_progress_is_not_closed_for_another_one() {
    let address = server(2, Evictable::Idle).await;
    let mut requests = having_sent(address, &request("/never")).await;
    for _ in 0..5 {
        assert!(probed(address).await < Duration::from_secs(20));
        let _idle = having_sent(address, b"GET").await;
    }
    let mut byte = [0];
    assert!(tokio::time::timeout(HEADER, requests.read(&mut byte)).await.is_err(), "it is still open");
}
