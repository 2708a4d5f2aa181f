//! Responses that are not as they should be, and what of them is read.

use super::site::{Site, client, client_within, get, ok, with_headers};
use crate::{Cap, Error, Limits, Response};

async fn fetch(site: &Site) -> Result<Response, Error> {
    client(vec![site.grant()]).fetch(get(site.url("/"))).await
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
}

#[tokio::test]
async fn fields_are_read_as_browsers_read_them() {
    for (lines, name, value) in [
        ("Content-Type : application/json\r\n", "content-type", Some("application/json")),
        ("X-A\t \t: one\r\n", "x-a", Some("one")),
        ("X-A: one\r\n two\r\n", "x-a", Some("one  two")),
        ("X-A: one\r\n\ttwo\r\n  three\r\nX-B: b\r\n", "x-b", Some("b")),
        ("GarbageLine\r\nX-A: one\r\n", "x-a", Some("one")),
        ("two words: x\r\nX-A: one\r\n", "two words", None),
        ("X-A: \u{7}bell\r\nX-B: b\r\n", "x-b", Some("b")),
        (": nameless\r\nX-A: one\r\n", "x-a", Some("one")),
        ("X-A: one\nX-B: b\n", "x-b", Some("b")),
    ] {
        let site = Site::answering(move |_| with_headers(lines, "body")).await;
        let response = fetch(&site).await.unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        let found = field(&response, name).map(|value| value.replace('\t', " "));
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(found.as_deref().map(squeezed), value.map(squeezed), "{lines:?}");
        assert_eq!(response.body, b"body", "{lines:?}");
    }
}

#[tokio::test]
async fn malformed_field_that_frames_the_body_is_refused_on_every_response_of_a_connection() {
    for head in [
        "Content-Length : 4",
        "Content-Length:\r\n 4",
        "Content-Length: 4\r\n 4",
        "Content-Length 4",
        "Content-Length: 4\u{1}",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\u{b}: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\u{1}\r\nContent-Length: 4",
    ] {
        let site = Site::answering_or_closing(move |seen| match seen.path() {
            "/first" => (ok("first"), true),
            _ => (format!("HTTP/1.1 200 OK\r\nX: y\r\n{head}\r\n\r\nbody").into_bytes(), false),
        })
        .await;
        let client = client(vec![site.grant()]);
        for first in [false, true] {
            if first {
                client.fetch(get(site.url("/first"))).await.unwrap();
            }
            let refused = client.fetch(get(site.url("/second"))).await;
            assert!(
                matches!(&refused, Err(Error::Connection(text)) if text.contains("malformed")),
                "{head:?} {first}: {refused:?}"
            );
        }
    }
    // A body may have such lines.
    let lines = "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n".repeat(2_000);
    let site = Site::answering(move |_| ok(&lines)).await;
    let client = client(vec![site.grant()]);
    for _ in 0..2 {
        client.fetch(get(site.url("/"))).await.unwrap();
    }
}

#[tokio::test]
async fn number_of_fields_is_bounded_by_their_size_and_far_above_what_sites_send() {
    let many = |count: usize| (0..count).map(|index| format!("X-{index}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    let site = Site::answering({
        let lines = many(900);
        move |_| with_headers(&lines, "")
    })
    .await;
    assert_eq!(fetch(&site).await.unwrap().headers.len(), 901);
    let client = client_within(vec![site.grant()], Limits { response_headers: 100, ..Limits::default() });
    let refused = client.fetch(get(site.url("/"))).await.unwrap_err();
    assert_eq!(refused, Error::TooLarge { cap: Cap::ResponseHeaders, limit: 100 });
    assert_eq!(refused.to_string(), "the response has more than 100 header fields (limit response_headers)");
}
