//! Redirects: where they may lead, and what goes along.

use pattoo_base::secret::Secret;

use super::site::{Book, Seen, Site, client, client_on, client_within, get, ok, post, reason, redirect, with_header};
use crate::{AddressClass, Error, HeaderName, Limits, Method, OriginGrant, Reason, Request};

/// A site that redirects `/` to `location`, and answers anything else.
async fn leading_to(status: u16, location: String) -> Site {
    Site::answering(move |seen| if seen.path() == "/" { redirect(status, &location) } else { ok("end") }).await
}

const ALL: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::PUT];

fn everything(site: &Site) -> OriginGrant {
    site.grant().methods(ALL.to_vec())
}

#[tokio::test]
async fn method_and_body_change_as_rfc_9110_says() {
    for (status, method, becomes, body) in [
        (301, "POST", "GET", false),
        (302, "POST", "GET", false),
        (303, "POST", "GET", false),
        (307, "POST", "POST", true),
        (308, "POST", "POST", true),
        (301, "PUT", "PUT", true),
        (302, "PUT", "PUT", true),
        (303, "PUT", "GET", false),
        (303, "HEAD", "HEAD", false),
        (302, "HEAD", "HEAD", false),
        (301, "GET", "GET", false),
    ] {
        let site = leading_to(status, "next?x#y".to_owned()).await;
        let has_body = method != "GET" && method != "HEAD";
        let request =
            Request { method: method.to_owned(), body: has_body.then(|| b"data".to_vec()), ..get(site.url("/")) };
        let request = with_header(request, "content-type", "text/plain");
        assert_eq!(client(vec![everything(&site)]).fetch(request).await.unwrap().status, 200, "{status} {method}");
        let last: Seen = site.seen().pop().unwrap();
        assert_eq!((last.method(), last.path()), (becomes, "/next?x"), "{status} {method}");
        assert_eq!(last.body, if body { &b"data"[..] } else { b"" }, "{status} {method}");
        let described = usize::from(body || !has_body);
        assert_eq!(last.header("content-type").len(), described, "{status} {method}");
    }
}

#[tokio::test]
async fn what_is_no_redirect_is_an_answer() {
    for head in [
        "300 Choices\r\nLocation: /x",
        "304 Same\r\nLocation: /x",
        "305 Proxy\r\nLocation: http://127.0.0.1:1/",
        "306 Old\r\nLocation: /x",
        "302 Nowhere",
        "201 Made\r\nLocation: /x",
    ] {
        let site = Site::answering(move |_| format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").into_bytes()).await;
        let status = client(vec![site.grant()]).fetch(get(site.url("/"))).await.unwrap().status;
        assert_eq!(status.to_string(), head[..3]);
        assert_eq!(site.seen().len(), 1);
    }
}

#[tokio::test]
async fn no_redirect_leads_where_the_guest_may_not_go() {
    let book =
        Book::default().with("inside.example.org", &[&["127.0.0.1"]]).with("nowhere.example.org", &[&["0.0.0.0"]]);
    let inside = Site::saying("inside").await;
    let port = inside.address.port();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "0",
        "[::]",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "LOCALHOST.",
        "①27.0.0.1",
        "xn--bcher-kva.example",
    ] {
        let site = leading_to(302, format!("http://{host}:{port}/")).await;
        let result = client_on(vec![site.grant()], &book).fetch(get(site.url("/"))).await;
        assert_eq!(reason(result), Reason::Origin, "{host}");
    }
    for (name, class) in
        [("inside.example.org", AddressClass::Loopback), ("nowhere.example.org", AddressClass::Unspecified)]
    {
        let site = leading_to(307, format!("http://{name}:{port}/")).await;
        let grants = vec![site.grant(), OriginGrant::new(inside.origin_as(name))];
        let Err(Error::Denied(denied)) = client_on(grants, &book).fetch(get(site.url("/"))).await else { panic!() };
        assert!(denied.redirected);
        assert!(matches!(denied.reason, Reason::Address { class: found, .. } if found == class), "{name}");
    }
    for location in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:pw@a.example/",
        "//user@a.example/",
        "http://[fe80::1%25eth0]/",
        "http:\\\\a.example",
        "http://a..b/",
        "javascript:x",
        "gopher://127.0.0.1:1/_x",
    ] {
        let site = leading_to(302, location.to_owned()).await;
        assert!(
            matches!(client(vec![site.grant()]).fetch(get(site.url("/"))).await, Err(Error::Connection(_))),
            "{location}"
        );
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn method_and_path_are_checked_at_each_hop() {
    let site = leading_to(302, "/admin".to_owned()).await;
    let narrow = site.grant().paths(vec!["/v1".parse().unwrap()]);
    let gate = leading_to(302, site.url("/admin")).await;
    assert_eq!(reason(client(vec![gate.grant(), narrow]).fetch(get(gate.url("/"))).await), Reason::Path);
    let gate = leading_to(307, site.url("/in")).await;
    let grants = vec![everything(&gate), site.grant()];
    assert_eq!(reason(client(grants).fetch(post(gate.url("/"), "x")).await), Reason::Method);
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn redirects_end() {
    let site = Site::answering(|_| redirect(302, "/again")).await;
    for most in [0, 3] {
        let before = site.seen().len();
        let client = client_within(vec![site.grant()], Limits { redirects: most, ..Limits::default() });
        assert_eq!(client.fetch(get(site.url("/"))).await, Err(Error::Redirects(most)));
        assert_eq!(site.seen().len() - before, 1 + most as usize);
    }
}

const CREDENTIALS: [&str; 6] = ["authorization", "cookie", "x-api-key", "x-anything", "www-authenticate", "referer"];

fn with_credentials(mut request: Request) -> Request {
    for name in CREDENTIALS {
        request = with_header(request, name, "guests-own");
    }
    with_header(request, "accept-language", "de")
}

fn attached(site: &Site) -> OriginGrant {
    everything(site).header(HeaderName::from_static("x-token"), Secret::new("hosts-own").unwrap())
}

#[tokio::test]
async fn on_its_own_origin_everything_goes_along() {
    let site = leading_to(302, "/next".to_owned()).await;
    client(vec![attached(&site)]).fetch(with_credentials(get(site.url("/")))).await.unwrap();
    for seen in site.seen() {
        assert_eq!(seen.header("x-token"), ["hosts-own"]);
        assert!(CREDENTIALS.iter().all(|name| seen.header(name) == ["guests-own"]), "{}", seen.head);
    }
}

#[tokio::test]
async fn no_credential_crosses_to_another_origin_or_comes_back_from_one() {
    for status in [301, 302, 303, 307, 308] {
        // A -> B -> A, over a port, which is enough to be another origin.
        let (send, receive) = std::sync::mpsc::channel::<String>();
        let receive = std::sync::Mutex::new(receive);
        let there = Site::answering(move |_| redirect(status, &receive.lock().unwrap().recv().unwrap())).await;
        let home = leading_to(status, there.url("/b")).await;
        send.send(home.url("/back")).unwrap();
        let client = client(vec![attached(&home), attached(&there)]);
        assert_eq!(client.fetch(with_credentials(post(home.url("/"), "x"))).await.unwrap().body, b"end");
        let (at_home, abroad) = (home.seen(), there.seen());
        assert_eq!(at_home.iter().map(Seen::path).collect::<Vec<_>>(), ["/", "/back"]);
        assert_eq!(at_home[0].header("x-token"), ["hosts-own"]);
        assert_eq!(at_home[0].header("authorization"), ["guests-own"]);
        for seen in [&abroad[0], &at_home[1]] {
            assert!(!seen.head.contains("hosts-own") && !seen.head.contains("guests-own"), "{status}: {}", seen.head);
            assert_eq!(seen.header("accept-language"), ["de"]);
        }
    }
}

#[tokio::test]
async fn a_hop_on_the_way_back_stays_without_credentials() {
    let home = Site::answering(|seen| match seen.path() {
        "/back" => redirect(302, "/end"),
        "/end" => ok("end"),
        there => redirect(302, there.trim_start_matches('/')),
    })
    .await;
    let there = leading_to(302, home.url("/back")).await;
    let client = client(vec![attached(&home), attached(&there)]);
    let start = home.url(&format!("/{}", there.url("/")));
    assert_eq!(client.fetch(with_credentials(get(start))).await.unwrap().body, b"end");
    let paths: Vec<_> = home.seen().iter().map(|seen| (seen.path().to_owned(), seen.head.contains("s-own"))).collect();
    assert_eq!(paths[1..], [("/back".to_owned(), false), ("/end".to_owned(), false)]);
    assert!(paths[0].1);
}
