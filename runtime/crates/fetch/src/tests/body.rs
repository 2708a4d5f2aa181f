//! Compression: negotiated here, undone here, and never believed.

use async_compression::futures::write::{BrotliEncoder, GzipEncoder};
use futures_util::io::{AsyncWrite, AsyncWriteExt};
use tokio::io::AsyncWriteExt as _;

use super::site::{Site, client, client_within, get, with_header, with_headers};
use crate::{Cap, Error, Limits, Request, Response};

async fn packed<W: AsyncWrite + Unpin>(mut encoder: W, data: &[u8]) -> W {
    encoder.write_all(data).await.unwrap();
    encoder.close().await.unwrap();
    encoder
}

async fn gzip(data: &[u8]) -> Vec<u8> {
    packed(GzipEncoder::new(Vec::new()), data).await.into_inner()
}

async fn brotli(data: &[u8]) -> Vec<u8> {
    packed(BrotliEncoder::with_quality(Vec::new(), async_compression::Level::Fastest), data).await.into_inner()
}

async fn sending(coding: &'static str, body: Vec<u8>) -> Site {
    Site::answering(move |_| with_headers(&format!("Content-Encoding: {coding}\r\n"), &body)).await
}

async fn fetch(site: &Site, limits: Limits) -> Result<Response, Error> {
    client_within(vec![site.grant()], limits).fetch(get(site.url("/"))).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
}

#[tokio::test]
async fn compression_is_asked_for_and_undone() {
    let text = "temperature,21.5\n".repeat(10_000);
    let two_members = [gzip(b"one ").await, gzip(b"two").await].concat();
    for (coding, body, plain) in [
        ("gzip", gzip(text.as_bytes()).await, text.as_str()),
        ("X-GZIP", gzip(b"x").await, "x"),
        ("br", brotli(text.as_bytes()).await, &text),
        ("gzip", two_members, "one two"),
        ("gzip", Vec::new(), ""),
        ("br", Vec::new(), ""),
        ("gzip", gzip(b"").await, ""),
        ("gzip", [gzip(b"padded").await, vec![0; 8]].concat(), "padded"),
        ("gzip", [gzip(b"one ").await, vec![0; 70_000], gzip(b"two").await, vec![0]].concat(), "one two"),
    ] {
        let site = sending(coding, body).await;
        let response = fetch(&site, Limits::default()).await.unwrap();
        assert_eq!(response.body, plain.as_bytes(), "{coding}");
        assert_eq!((header(&response, "content-encoding"), header(&response, "content-length")), (None, None));
        assert_eq!(site.seen()[0].header("accept-encoding"), ["gzip, br"]);
    }
}

#[tokio::test]
async fn what_we_did_not_ask_for_goes_to_the_guest_as_it_is() {
    let body = gzip(b"data").await;
    let site = sending("gzip", body.clone()).await;
    for (name, value) in [("Accept-Encoding", "gzip"), ("accept-encoding", "identity"), ("Range", "bytes=0-9")] {
        let response = client(vec![site.grant()]).fetch(with_header(get(site.url("/")), name, value)).await.unwrap();
        assert_eq!(header(&response, "content-encoding"), Some("gzip"), "{name}");
        assert_eq!(response.body, body, "{name}");
    }
    for coding in ["deflate", "zstd", "gzip, gzip", "gzip\r\nContent-Encoding: br", "identity", "nonsense"] {
        let response = fetch(&sending(coding, body.clone()).await, Limits::default()).await.unwrap();
        assert_eq!(response.body, body, "{coding}");
        assert!(header(&response, "content-encoding").is_some());
    }
}

#[tokio::test]
async fn a_head_answer_keeps_what_it_says_of_the_body_that_does_not_come() {
    let site = Site::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999999999999\r\n\r\n".to_vec()
    })
    .await;
    let request = Request { method: "HEAD".to_owned(), ..get(site.url("/")) };
    let response = client(vec![site.grant()]).fetch(request).await.unwrap();
    assert_eq!((header(&response, "content-length"), response.body.len()), (Some("999999999999"), 0));
}

#[tokio::test]
async fn a_bomb_is_stopped_on_either_side() {
    let limits = Limits { response_bytes: 1_000_000, compressed_bytes: 1_000, ..Limits::default() };
    let zeros = vec![0; 50_000_000];
    let (gz, br) = (gzip(&zeros).await, brotli(&zeros).await);
    let roomy = Limits { compressed_bytes: 10_000_000, ..limits };
    let blown = Err(Error::TooLarge { cap: Cap::ResponseBody, limit: 1_000_000 });
    assert_eq!(fetch(&sending("gzip", gz.clone()).await, roomy).await, blown);
    assert_eq!(fetch(&sending("br", br).await, roomy).await, blown);
    let packed = Err(Error::TooLarge { cap: Cap::CompressedBody, limit: 1_000 });
    assert_eq!(fetch(&sending("gzip", gz).await, limits).await, packed);
}

/// It never ends, so an answer at all shows that nothing waits for the whole.
#[tokio::test]
async fn an_endless_bomb_is_stopped_while_it_comes() {
    let mut start = gzip(&vec![0; 10_000_000]).await;
    start.truncate(start.len() - 1_000);
    for (limits, cap) in [
        (Limits { response_bytes: 1_000_000, ..Limits::default() }, Cap::ResponseBody),
        (Limits { response_bytes: u64::MAX, compressed_bytes: 2_000, ..Limits::default() }, Cap::CompressedBody),
    ] {
        let start = start.clone();
        let site = Site::scripted(move |mut stream| {
            let start = start.clone();
            async move {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n").await.unwrap();
                let _ = stream.write_all(&start).await;
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
            }
        })
        .await;
        assert!(
            matches!(fetch(&site, limits).await, Err(Error::TooLarge { cap: found, .. }) if found == cap),
            "{cap:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_body_is_an_error_and_not_half_an_answer() {
    let gz = gzip(b"some data that is long enough to be cut").await;
    let br = brotli(b"some data that is long enough to be cut").await;
    let mut wrong_sum = gz.clone();
    let sum = wrong_sum.len() - 6;
    wrong_sum[sum] ^= 1;
    let cut = |body: &[u8]| body[..body.len() - 3].to_vec();
    for (coding, body) in [
        ("gzip", cut(&gz)),
        ("gzip", wrong_sum),
        ("gzip", b"not gzip".to_vec()),
        ("br", cut(&br)),
        ("gzip", [gz.clone(), b"rest".to_vec()].concat()),
        ("gzip", [gz.clone(), b"\0\0rest".to_vec()].concat()),
    ] {
        let result = fetch(&sending(coding, body).await, Limits::default()).await;
        assert!(matches!(&result, Err(Error::Connection(text)) if text.contains("damaged")), "{coding}: {result:?}");
    }
}
