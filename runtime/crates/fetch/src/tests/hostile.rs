//! Malicious sites: slow, endless, broken off, or not HTTP at all.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::interval,
};

use super::site::{Site, client, client_within, get, ok, redirect};
use crate::{
    Cap, Client, Error, Limits, Lookup, Origin, OriginGrant, OwnEndpoints, Request, Resolver, Response, Setup, Wait,
};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Writes one thing once and another for ever.
async fn forever(mut stream: TcpStream, once: Vec<u8>, again: Vec<u8>) {
    if stream.write_all(&once).await.is_ok() {
        while stream.write_all(&again).await.is_ok() {}
    }
}

async fn endless(once: &'static [u8], again: Vec<u8>) -> Site {
    Site::scripted(move |stream| forever(stream, once.to_vec(), again.clone())).await
}

/// Writes one thing once, then a byte of `again` each 5 ms for ever.
async fn dripping(once: &'static [u8], again: &'static [u8]) -> Site {
    Site::scripted(move |mut stream| async move {
        let mut clock = interval(ms(5));
        let mut bytes = again.iter().cycle();
        let mut more = stream.write_all(once).await;
        while more.is_ok() {
            clock.tick().await;
            more = stream.write_all(&[*bytes.next().unwrap()]).await;
        }
    })
    .await
}

/// Writes something, then stays silent with the connection open.
async fn silent_after(once: &'static [u8]) -> Site {
    Site::scripted(move |mut stream| async move {
        stream.write_all(once).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

async fn fetch(site: &Site, limits: Limits) -> Result<Response, Error> {
    client_within(vec![site.grant()], limits).fetch(get(site.url("/"))).await
}

#[tokio::test]
async fn a_site_that_drips_is_stopped_by_the_total_time() {
    let limits = Limits { total: ms(600), idle: ms(500), ..Limits::default() };
    let sites = [
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x").await,
        dripping(CHUNKED, b"1\r\nx\r\n").await,
        dripping(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n").await,
        endless(b"", b"HTTP/1.1 103 Early\r\n\r\n".to_vec()).await,
    ];
    for result in futures_util::future::join_all(sites.iter().map(|site| fetch(site, limits))).await {
        assert_eq!(result, Err(Error::Timeout { wait: Wait::Total, after: ms(600) }));
    }
}

#[tokio::test]
async fn a_silent_site_is_left_after_the_idle_time() {
    let limits = Limits { idle: ms(50), connect: ms(50), ..Limits::default() };
    for said in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1",
        CHUNKED,
        b"HTTP/1.1 200 OK\r\n\r\n1",
    ] {
        let expected = Err(Error::Timeout { wait: Wait::Idle, after: ms(50) });
        assert_eq!(fetch(&silent_after(said).await, limits).await, expected, "{said:?}");
    }
}

#[tokio::test]
async fn a_request_can_ask_for_less_time_and_not_for_more() {
    let site = silent_after(b"").await;
    let client = client_within(vec![site.grant()], Limits { total: ms(80), ..Limits::default() });
    for (asked, wait, after) in [
        (ms(20), Wait::Guest, ms(20)),
        (ms(9_000), Wait::Total, ms(80)),
        (Duration::ZERO, Wait::Guest, Duration::ZERO),
        (Duration::MAX, Wait::Total, ms(80)),
    ] {
        let request = Request { timeout: Some(asked), ..get(site.url("/")) };
        assert_eq!(client.fetch(request).await, Err(Error::Timeout { wait, after }));
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off_at_the_limit() {
    let limits = Limits { response_bytes: 100_000, ..Limits::default() };
    let expected = Err(Error::TooLarge { cap: Cap::ResponseBody, limit: 100_000 });
    assert_eq!(fetch(&endless(b"HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 9_999]).await, limits).await, expected);
    assert_eq!(fetch(&endless(CHUNKED, b"5\r\nhello\r\n".repeat(100)).await, limits).await, expected);
    // Refused by what is announced: not a byte of it comes.
    assert_eq!(
        fetch(&silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n").await, limits).await,
        expected
    );
    let wire = Limits { compressed_bytes: 1_000, ..limits };
    let expected = Err(Error::TooLarge { cap: Cap::CompressedBody, limit: 1_000 });
    assert_eq!(fetch(&endless(b"HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 999]).await, wire).await, expected);
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let limits = Limits { response_headers: 10, response_header_bytes: 1_000, ..Limits::default() };
    let too_large = |cap, limit| Err(Error::TooLarge { cap, limit });
    let bytes = too_large(Cap::ResponseHeaderBytes, 1_000);
    assert_eq!(fetch(&endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n".to_vec()).await, limits).await, bytes);
    assert_eq!(fetch(&endless(b"HTTP/1.1 200 OK\r\na: ", vec![b'x'; 9_999]).await, limits).await, bytes);
    assert_eq!(fetch(&endless(b"HTTP/1.1 200 ", vec![b'x'; 9_999]).await, limits).await, bytes);
    let some = |count: usize, length: usize| {
        let lines = format!("x: {}\r\n", "y".repeat(length)).repeat(count);
        Site::answering(move |_| super::site::with_headers(&lines, ""))
    };
    assert_eq!(fetch(&some(9, 1).await, limits).await.unwrap().headers.len(), 10);
    assert_eq!(fetch(&some(10, 1).await, limits).await, too_large(Cap::ResponseHeaders, 10));
    assert_eq!(fetch(&some(1, 1_000).await, limits).await, bytes);
    let chunk_extension = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", vec![b'x'; 999]).await;
    assert!(matches!(fetch(&chunk_extension, limits).await, Err(Error::Connection(_))));
    let trailers = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n".to_vec()).await;
    assert!(matches!(fetch(&trailers, limits).await, Err(Error::Connection(_))));
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_an_error_at_every_stage() {
    for said in [
        &b""[..],
        b"HTTP",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        for reset in [false, true] {
            let site = Site::scripted(move |mut stream| async move {
                stream.write_all(said).await.unwrap();
                if reset {
                    stream.set_zero_linger().unwrap();
                }
            })
            .await;
            let result = fetch(&site, Limits::default()).await;
            assert!(matches!(result, Err(Error::Connection(_))), "{said:?} {reset}: {result:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    for said in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"hello\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na\0: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let result = fetch(&silent_after(said).await, Limits::default()).await;
        assert!(matches!(result, Err(Error::Connection(_))), "{:?}: {result:?}", String::from_utf8_lossy(said));
    }
}

#[tokio::test]
async fn data_after_a_response_is_never_used_as_the_next_response() {
    let site = Site::answering(|seen| match seen.path() {
        "/first" => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged".to_vec()
        }
        _ => ok("true"),
    })
    .await;
    let client = client(vec![site.grant()]);
    assert_eq!(client.fetch(get(site.url("/first"))).await.unwrap().body, b"ok");
    assert_eq!(client.fetch(get(site.url("/second"))).await.unwrap().body, b"true");
}

#[tokio::test]
async fn the_body_of_a_redirect_is_not_waited_for() {
    let site =
        Site::scripted(|stream| forever(stream, b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n".to_vec(), vec![b'x'; 999]))
            .await;
    assert_eq!(fetch(&site, Limits { redirects: 2, ..Limits::default() }).await, Err(Error::Redirects(2)));
    let honest = Site::answering(|seen| if seen.path() == "/" { redirect(302, "/end") } else { ok("end") }).await;
    assert_eq!(fetch(&honest, Limits::default()).await.unwrap().body, b"end");
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_names_the_origin() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(vec![crate::OriginGrant::new(url.parse().unwrap())]);
    let result = client.fetch(get(format!("{url}/path?query"))).await;
    assert!(
        matches!(&result, Err(Error::Connection(text)) if text.contains(&url) && !text.contains("query")),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_dropped_fetch_closes_its_connection() {
    for said in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"] {
        let (asked, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signals = (Arc::clone(&asked), Arc::clone(&closed));
        let site = Site::scripted(move |mut stream| {
            let (asked, closed) = (Arc::clone(&signals.0), Arc::clone(&signals.1));
            async move {
                stream.write_all(said).await.unwrap();
                asked.notify_one();
                let _ = stream.read_to_end(&mut Vec::new()).await;
                closed.notify_one();
            }
        })
        .await;
        let client = client(vec![site.grant()]);
        tokio::select! {
            done = client.fetch(get(site.url("/"))) => panic!("{done:?}"),
            () = asked.notified() => {}
        }
        closed.notified().await;
    }
}

#[tokio::test]
async fn a_lookup_that_never_ends_is_left_after_the_connect_time() {
    let origin: Origin = "http://site-a.example.org".parse().unwrap();
    let setup = Setup { resolver: Arc::new(Mute), ..Setup::default() };
    let limits = Limits { connect: ms(30), ..Limits::default() };
    let client = Client::with(vec![OriginGrant::new(origin)], limits, OwnEndpoints::default(), &setup).unwrap();
    let result = client.fetch(get("http://site-a.example.org/")).await;
    assert_eq!(result, Err(Error::Timeout { wait: Wait::Connect, after: ms(30) }));
}

/// A resolver that never answers.
#[derive(Debug)]
struct Mute;

impl Resolver for Mute {
    fn lookup(&self, _: &str) -> Lookup {
        Box::pin(std::future::pending())
    }
}
