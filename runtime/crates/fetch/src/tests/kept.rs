//! A request over a kept connection that the site closes, without a byte of a response.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::site::{Book, Site, client, client_on, client_within, get, ok, post, reason};
use crate::{AddressClass, Error, Limits, Method, OriginGrant, Reason, Request, Unmetered, Wait};

const EVERY: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A site that answers `/first`, and closes the first connection when another request comes on it. `said` is sent before.
async fn closing(said: &'static [u8], then: &'static [u8]) -> Site {
    Site::answering_or_closing(move |seen| match (seen.connection, seen.path()) {
        (_, "/first") => (ok("first"), true),
        (0, _) => (said.to_vec(), false),
        _ => (then.to_vec(), true),
    })
    .await
}

fn with_method(site: &Site, method: &str) -> Request {
    Request { method: method.to_owned(), ..get(site.url("/second")) }
}

const SECOND: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn get_and_head_on_a_closed_connection_are_repeated_once_on_a_fresh_one() {
    for method in ["GET", "HEAD"] {
        let site = closing(b"", SECOND).await;
        let client = client(vec![site.grant()]);
        client.fetch(get(site.url("/first"))).await.unwrap();
        let repeated = AtomicU32::new(0);
        let visits = Mutex::new(Vec::new());
        let watch = |visit: crate::Visit<'_>| {
            visits.lock().unwrap().push(visit.path.to_owned());
            repeated.fetch_add(u32::from(visit.again), Ordering::Relaxed);
        };
        let answer = client.fetch_watched(with_method(&site, method), &watch, &Unmetered).await.unwrap();
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!((repeated.into_inner(), visits.into_inner().unwrap().len()), (1, 2), "{method}");
        let seen = site.seen();
        let of = |seen: &super::site::Seen| (seen.connection, seen.method().to_owned(), seen.path().to_owned());
        assert_eq!(of(&seen[1]), (0, method.to_owned(), "/second".to_owned()));
        assert_eq!(of(&seen[2]), (1, method.to_owned(), "/second".to_owned()));
        assert_eq!(seen[1].head, seen[2].head, "the same request again");
        assert_eq!(seen.len(), 3);
    }
}

#[tokio::test]
async fn no_other_method_is_repeated() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let site = closing(b"", SECOND).await;
        let client = client(vec![site.grant().methods(EVERY.to_vec())]);
        client.fetch(get(site.url("/first"))).await.unwrap();
        let lost = client.fetch(Request { method: method.to_owned(), ..post(site.url("/second"), "x") }).await;
        assert!(matches!(lost, Err(Error::Connection(_))), "{method}: {lost:?}");
        assert_eq!(site.seen().len(), 2, "{method}");
    }
}

#[tokio::test]
async fn request_is_not_repeated_once_anything_of_a_response_arrived() {
    for said in [&b"H"[..], b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early\r\n\r\n", b"nonsense\r\n\r\n"] {
        let site = closing(said, SECOND).await;
        let client = client(vec![site.grant()]);
        client.fetch(get(site.url("/first"))).await.unwrap();
        let lost = client.fetch(with_method(&site, "GET")).await;
        assert!(matches!(lost, Err(Error::Connection(_))), "{said:?}: {lost:?}");
        assert_eq!(site.seen().len(), 2, "{said:?}");
    }
}

#[tokio::test]
async fn request_is_not_repeated_after_the_first_on_a_connection_or_a_second_time() {
    let site = Site::answering_or_closing(|seen| (ok("first"), seen.path() == "/first")).await;
    let closing = Site::answering_or_closing(|seen| match seen.path() {
        "/first" => (ok("first"), true),
        _ => (Vec::new(), false),
    })
    .await;
    let fresh = client(vec![closing.grant()]);
    assert!(matches!(fresh.fetch(with_method(&closing, "GET")).await, Err(Error::Connection(_))));
    assert_eq!(closing.seen().len(), 1, "the first request of a connection");
    fresh.fetch(get(closing.url("/first"))).await.unwrap();
    assert!(matches!(fresh.fetch(with_method(&closing, "GET")).await, Err(Error::Connection(_))));
    assert_eq!(closing.seen().len(), 4, "the second request, and once more");
    drop(site);
}

#[tokio::test]
async fn repeated_request_is_under_the_address_check_and_the_times_of_the_first() {
    const NAME: &str = "site-a.example.org";
    let site = closing(b"", SECOND).await;
    let book = Book::default().with(NAME, &[&["127.0.0.1"], &["0.0.0.0"]]);
    let client = client_on(vec![OriginGrant::new(site.origin_as(NAME)).private(true)], &book);
    client.fetch(get(site.url_as(NAME, "/first"))).await.unwrap();
    let denied = reason(client.fetch(get(site.url_as(NAME, "/second"))).await);
    assert!(matches!(denied, Reason::Address { class: AddressClass::Unspecified, .. }), "{denied:?}");

    let site = closing(b"", b"").await;
    let limits = Limits { idle: Duration::from_millis(50), connect: Duration::ZERO, ..Limits::default() };
    let limits = Limits { connect: Duration::from_millis(50), ..limits };
    let client = client_within(vec![site.grant()], limits);
    client.fetch(get(site.url("/first"))).await.unwrap();
    let silent = client.fetch(with_method(&site, "GET")).await;
    assert_eq!(silent, Err(Error::Timeout { wait: Wait::Idle, after: limits.idle }));
}

#[tokio::test]
async fn every_fetch_from_a_site_that_closes_silently_after_each_reply_succeeds() {
    let site = Site::scripted(|mut stream| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, &ok("x")).await.unwrap();
        tokio::time::sleep(Duration::from_micros(300)).await;
    })
    .await;
    let client = client(vec![site.grant()]);
    for index in 0..500_u64 {
        client.fetch(get(site.url("/"))).await.unwrap();
        tokio::time::sleep(Duration::from_micros(50 * (index % 10))).await;
    }
}
