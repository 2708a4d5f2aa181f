//! Header fields, URLs and bodies from a malicious collector.

use super::site::{Site, client, client_within, get, post, with_header};
use crate::{Cap, Error, Limits, Method, Request};

#[tokio::test]
async fn a_guest_sets_its_own_headers() {
    let site = Site::saying("").await;
    let request = with_header(with_header(get(site.url("/")), "X-Api-Key", " k\u{e9}y\t"), "User-Agent", "mine/1");
    client(vec![site.grant()]).fetch(with_header(request, "Accept", "text/csv")).await.unwrap();
    let seen = &site.seen()[0];
    assert_eq!((seen.header("x-api-key"), seen.header("user-agent")), (vec!["kéy"], vec!["mine/1"]));
    assert_eq!(
        (seen.header("accept"), seen.header("host")),
        (vec!["text/csv"], vec![site.address.to_string().as_str()])
    );
}

#[tokio::test]
async fn what_frames_or_routes_a_request_is_never_the_guests() {
    let site = Site::saying("").await;
    let client = client(vec![site.grant()]);
    for name in [
        "Host",
        "host",
        "HOST",
        "Connection",
        "Content-Length",
        "content_length",
        "Transfer-Encoding",
        "Transfer_Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "proxy-anything",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X_Forwarded_Host",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "HTTP2-Settings",
        "X-Real-IP",
    ] {
        let result = client.fetch(with_header(get(site.url("/")), name, "close")).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{name}: {result:?}");
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn nothing_a_guest_says_starts_another_line() {
    let site = Site::saying("").await;
    let client = client(vec![site.grant().methods(vec![Method::GET, Method::POST])]);
    for value in ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", "a\x1bb", "\r\n\r\nGET /", "a\x7f", "\n"] {
        assert!(
            matches!(client.fetch(with_header(get(site.url("/")), "x-a", value)).await, Err(Error::Invalid(_))),
            "{value:?}"
        );
    }
    for name in ["", " ", "a b", "a:", "a\r\nb", "a\nb", "a\0", "é", ":authority", "a\t"] {
        assert!(
            matches!(client.fetch(with_header(get(site.url("/")), name, "x")).await, Err(Error::Invalid(_))),
            "{name:?}"
        );
    }
    for path in ["/a\r\nHost: b", "/a\nb", "/\tb", "/a\0", "/a\x7f", "/?a\r\nb", "/\\..\\b", "\\\\evil.example/"] {
        assert!(matches!(client.fetch(get(site.url(path))).await, Err(Error::Invalid(_))), "{path:?}");
    }
    for method in ["GET / HTTP/1.1\r\nHost: b\r\n\r\nGET", "G\nET", "GET "] {
        let request = Request { method: method.to_owned(), ..get(site.url("/")) };
        assert!(matches!(client.fetch(request).await, Err(Error::Invalid(_))), "{method:?}");
    }
    assert!(site.seen().is_empty());
    // A space and what a URL cannot hold is encoded; it never ends the request line.
    client.fetch(get(site.url("/a b HTTP/1.0?é=\" <"))).await.unwrap();
    assert_eq!(site.seen()[0].path(), "/a%20b%20HTTP/1.0?%C3%A9=%22%20%3C");
    // Whatever a URL may hold can be sent.
    for path in ["/a|b^c[d]`e{f}~$!*'();:@&=+,", "/?a|b^c[d]`e{f}\\x", "/%", "/%zz"] {
        client.fetch(get(site.url(path))).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_web_url_is_invalid() {
    let client = client(Vec::new());
    for url in [
        "",
        "/relative",
        "site-a.example.org",
        "ftp://a.example/",
        "file:///etc/passwd",
        "data:,x",
        "http://",
        "http://a..b/",
        "http://a.example:0/",
        "http://user@a.example/",
        "http://user:pw@a.example/",
        "http://[fe80::1%25eth0]/",
        "http://1.2.3.4.5/",
        "http://a b/",
        "http://a%00b/",
        "javascript:x",
        "http:\\\\a.example",
    ] {
        assert!(matches!(client.fetch(get(url)).await, Err(Error::Invalid(_))), "{url:?}");
    }
}

#[tokio::test]
async fn a_body_is_framed_by_us() {
    let site = Site::saying("").await;
    let client = client(vec![site.grant().methods(vec![Method::POST, Method::GET])]);
    client.fetch(post(site.url("/"), "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")).await.unwrap();
    client.fetch(post(site.url("/"), "")).await.unwrap();
    let seen = site.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].header("content-length"), seen[0].header("transfer-encoding")), (vec!["31"], vec![]));
    assert_eq!(seen[0].body.len(), 31);
    assert_eq!(seen[1].header("content-length"), ["0"]);
}

#[tokio::test]
async fn a_request_has_its_limits() {
    let site = Site::saying("").await;
    let limits =
        Limits { request_bytes: 10, request_headers: 2, request_header_bytes: 20, url_bytes: 60, ..Limits::default() };
    let client = client_within(vec![site.grant().methods(vec![Method::POST, Method::GET])], limits);
    let cap = |result| match result {
        Err(Error::TooLarge { cap, limit }) => (cap, limit),
        other => panic!("{other:?}"),
    };
    client.fetch(post(site.url("/"), "0123456789")).await.unwrap();
    assert_eq!(cap(client.fetch(post(site.url("/"), "0123456789a")).await), (Cap::RequestBody, 10));
    let two = with_header(with_header(get(site.url("/")), "a", "1"), "b", "2");
    assert_eq!(cap(client.fetch(with_header(two, "c", "3")).await), (Cap::RequestHeaders, 2));
    assert_eq!(
        cap(client.fetch(with_header(get(site.url("/")), "a", &"x".repeat(20))).await),
        (Cap::RequestHeaderBytes, 20)
    );
    for path in [format!("/{}", "x".repeat(60)), format!("/{}", "é".repeat(12))] {
        let result = client.fetch(get(site.url(&path))).await;
        assert!(matches!(&result, Err(Error::Invalid(text)) if text.contains("url_bytes")), "{result:?}");
    }
}
