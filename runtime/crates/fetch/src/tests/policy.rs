//! Grants, addresses, our own endpoints, and what is not shared.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tower_service::Service as _;

use super::site::{Book, Site, client, client_on, get, ok, post, reason};
use crate::{
    AddressClass, Client, Denied, Error, Exhausted, Limits, Meter, Method, Origin, OriginGrant, OwnEndpoints, Reach,
    Reason, Setup, SetupError,
    resolver::{Checked, Reachable, Refused, Resolved},
};

const NAME: &str = "site-a.example.org";

/// A name that may resolve to loopback, on the port of a site.
fn private(site: &Site) -> OriginGrant {
    OriginGrant::new(site.origin_as(NAME)).private(true)
}

#[tokio::test]
async fn what_is_granted_is_fetched() {
    let site =
        Site::answering(|_| super::site::with_headers("X-Name: M\u{fc}ller\r\nX-Twice: a\r\nX-Twice: b\r\n", "hello"))
            .await;
    let answer = client(vec![site.grant()]).fetch(get(site.url("/a?b=c#d"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    let named = |name: &str| {
        answer.headers.iter().filter(|header| header.0 == name).map(|header| header.1.clone()).collect::<Vec<_>>()
    };
    assert_eq!(named("x-name"), ["Müller"]);
    assert_eq!(named("x-twice"), ["a", "b"]);
    assert_eq!(site.seen()[0].path(), "/a?b=c");
    assert_eq!(site.seen()[0].header("user-agent"), [concat!("pattoo-wasm/", env!("CARGO_PKG_VERSION"))]);
}

#[tokio::test]
async fn header_bytes_outside_utf8_are_latin_1_and_an_error_status_is_an_answer() {
    let site =
        Site::answering(|_| b"HTTP/1.1 500 Oops\r\nX-Name: M\xfcller\r\nContent-Length: 2\r\n\r\nno".to_vec()).await;
    let answer = client(vec![site.grant()]).fetch(get(site.url("/"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (500, &b"no"[..]));
    assert!(answer.headers.contains(&("x-name".to_owned(), "Müller".to_owned())));
}

#[tokio::test]
async fn nothing_is_granted_by_default_and_no_name_is_looked_up_for_it() {
    let book = Book::default().with(NAME, &[&["127.0.0.1"]]);
    let client = client_on(Vec::new(), &book);
    let Err(Error::Denied(denied)) = client.fetch(get("https://site-a.example.org/data")).await else { panic!() };
    assert_eq!(denied.reason, Reason::Origin);
    let hint = denied.grant_hint().unwrap();
    assert_eq!(hint.yaml, "- origin: https://site-a.example.org");
    assert_eq!(hint.flag.unwrap(), "--http https://site-a.example.org");
    assert!(book.asked().is_empty());
}

#[tokio::test]
async fn scheme_host_and_port_all_count() {
    let book = Book::default();
    let client = client_on(vec![OriginGrant::new("https://a.example".parse().unwrap())], &book);
    for url in [
        "http://a.example/",
        "https://a.example:444/",
        "https://b.example/",
        "https://a.example.evil/",
        "https://a.example@evil.example/",
        "https://sub.a.example/",
    ] {
        assert!(matches!(client.fetch(get(url)).await, Err(Error::Denied(_) | Error::Invalid(_))), "{url}");
    }
    assert!(book.asked().is_empty());
}

#[tokio::test]
async fn methods_and_paths_are_as_granted() {
    let site = Site::answering(|seen| if seen.method() == "HEAD" { ok("") } else { ok("yes") }).await;
    let grants = vec![
        site.grant().paths(vec!["/v1".parse().unwrap()]),
        site.grant().methods(vec![Method::POST]).paths(vec!["/v2/in".parse().unwrap()]),
    ];
    let client = client(grants);
    let asking =
        |method: &str, path: &str| client.fetch(crate::Request { method: method.to_owned(), ..get(site.url(path)) });
    for (method, path) in [("GET", "/v1"), ("get", "/v1/x"), ("HEAD", "/v1/x"), ("POST", "/v2/in")] {
        asking(method, path).await.unwrap();
    }
    let sent = site.seen().len();
    for (method, path) in [("POST", "/v1"), ("GET", "/v2/in"), ("DELETE", "/v1/x"), ("PROPFIND", "/v1")] {
        assert_eq!(reason(asking(method, path).await), Reason::Method, "{method} {path}");
    }
    for (method, path) in
        [("GET", "/v1x"), ("GET", "/"), ("POST", "/v2"), ("GET", "/v1/..%2fadmin"), ("GET", "/v1/../admin")]
    {
        assert_eq!(reason(asking(method, path).await), Reason::Path, "{method} {path}");
    }
    for method in ["CONNECT", "TRACE", "", "GE T", "GET\r\n", "GÉT"] {
        assert!(matches!(asking(method, "/v1").await, Err(Error::Invalid(_))), "{method:?}");
    }
    assert_eq!(site.seen().len(), sent, "something that was denied was sent");
}

#[tokio::test]
async fn a_hint_names_what_is_missing_and_nothing_in_a_path_escapes_its_quotes() {
    let site = Site::saying("").await;
    let client = client(vec![site.grant().paths(vec!["/v1".parse().unwrap()])]);
    let hint = |error: Error| match error {
        Error::Denied(denied) => denied.grant_hint().unwrap(),
        other => panic!("{other:?}"),
    };
    let method = hint(client.fetch(post(site.url("/v1"), "x")).await.unwrap_err());
    assert_eq!(method.yaml, format!("- origin: {}\n  methods: [POST]", site.origin()));
    assert_eq!(method.flag, None);
    let path = hint(client.fetch(get(site.url("/x\"],private:true,y:[\"{}"))).await.unwrap_err());
    assert_eq!(path.yaml, format!("- origin: {}\n  paths: [\"/x%22],private:true,y:[%22%7B%7D\"]", site.origin()));
}

/// What the HTTP library is told to connect to for a name. Nothing is connected to here: a policy that is broken must not
/// make its own test knock at a metadata service.
async fn resolved(name: &str, private: bool, address: IpAddr) -> Result<Vec<SocketAddr>, Reason> {
    let origin = format!("http://{name}").parse().unwrap();
    let book = Book::default().with(name, &[&[&address.to_string()]]);
    let reachable = Reachable { origin, private, own: Arc::default() };
    let mut checked =
        Checked { resolver: book.setup().resolver, reachable: Arc::new(reachable), resolved: Resolved::default() };
    match checked.call(name.parse().unwrap()).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(error.downcast::<Refused>().unwrap().0),
    }
}

#[tokio::test]
async fn a_name_reaches_only_addresses_of_the_classes_granted() {
    let forbidden = [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.1.1",
        "198.18.0.1",
        "fe80::1",
        "fd12::1",
        "fec0::1",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "2001:db8::1",
        "192.0.0.1",
        "192.88.99.1",
        "100::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::808:808",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::f7f7:f7f7",
        "2001:0:808:808::80ff:fffe",
    ];
    for address in forbidden.map(|text| text.parse::<IpAddr>().unwrap()) {
        let class = AddressClass::of(address);
        let refused = Err(Reason::Address { address, class });
        assert_eq!(resolved(NAME, false, address).await, refused, "{address}");
        let private = if class.reach() == Reach::Private { Ok(vec![SocketAddr::new(address, 80)]) } else { refused };
        assert_eq!(resolved(NAME, true, address).await, private, "private: {address}");
    }
    let public = "93.184.215.14".parse().unwrap();
    assert_eq!(resolved(NAME, false, public).await, Ok(vec![SocketAddr::new(public, 80)]));
}

#[tokio::test]
async fn private_or_the_address_itself_or_localhost_opens_the_way_in() {
    let site = Site::saying("inside").await;
    let book = Book::default().with(NAME, &[&["127.0.0.1"]]).with("localhost", &[&["127.0.0.1"]]);
    let client = client_on(vec![private(&site), site.grant(), OriginGrant::new(site.origin_as("localhost"))], &book);
    for url in [site.url_as(NAME, "/"), site.url("/"), site.url_as("localhost", "/")] {
        assert_eq!(client.fetch(get(&url)).await.unwrap().body, b"inside", "{url}");
    }
    client.fetch(get(site.url_as("LOCALHOST.", "/"))).await.unwrap();
    let [loopback, private] = ["127.9.9.9", "10.0.0.1"].map(|text| text.parse().unwrap());
    assert_eq!(resolved("localhost", false, loopback).await, Ok(vec![SocketAddr::new(loopback, 80)]));
    let refused = Reason::Address { address: private, class: AddressClass::Private };
    assert_eq!(resolved("localhost", false, private).await, Err(refused));
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_at_each_connection() {
    let site =
        Site::answering(|_| b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1".to_vec()).await;
    let book = Book::default().with(NAME, &[&["127.0.0.1"], &["0.0.0.0"]]);
    let client = client_on(vec![private(&site)], &book);
    assert_eq!(client.fetch(get(site.url_as(NAME, "/"))).await.unwrap().body, b"1");
    assert_eq!(book.asked(), [NAME], "one connection, one lookup: what was checked is what was used");
    let found = reason(client.fetch(get(site.url_as(NAME, "/"))).await);
    assert!(matches!(found, Reason::Address { class: AddressClass::Unspecified, .. }), "{found:?}");
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_those_allowed_are_tried() {
    let site = Site::saying("ours").await;
    let book = Book::default().with(NAME, &[&["0.0.0.0", "::", "127.0.0.1", "255.255.255.255"]]);
    assert_eq!(client_on(vec![private(&site)], &book).fetch(get(site.url_as(NAME, "/"))).await.unwrap().body, b"ours");
}

#[test]
fn metadata_is_granted_by_its_literal_address_only() {
    let origin: Origin = format!("http://{NAME}").parse().unwrap();
    let address = "169.254.169.254".parse().unwrap();
    let reason = Reason::Address { address, class: AddressClass::Metadata };
    let denied = Denied { origin, method: Method::GET, path: "/latest".to_owned(), reason, redirected: false };
    assert_eq!(denied.grant_hint(), None);
    for reason in [Reason::Origin, Reason::Method, Reason::Path] {
        let origin = "http://169.254.169.254".parse().unwrap();
        assert_eq!(Denied { origin, reason, ..denied.clone() }.grant_hint(), None);
    }
    assert!(!denied.to_string().contains("169.254"), "the guest learns the address behind a name: {denied}");
    let literal = |origin: &str| Reachable { origin: origin.parse().unwrap(), private: false, own: Arc::default() };
    literal("http://169.254.169.254").check(address).unwrap();
    literal("http://169.254.169.253").check(address).unwrap_err();
    // Granted as a literal it is within the policy; no request is made here.
    Client::new(
        vec![OriginGrant::new("http://169.254.169.254".parse().unwrap())],
        Limits::default(),
        OwnEndpoints::default(),
    )
    .unwrap();
}

#[test]
fn a_grant_that_cannot_be_meant_makes_no_client() {
    let making = |grant: OriginGrant| Client::new(vec![grant], Limits::default(), OwnEndpoints::default()).unwrap_err();
    let to = |origin: &str| OriginGrant::new(origin.parse().unwrap());
    for origin in
        ["http://0.0.0.0", "http://[::]", "http://224.0.0.1", "http://255.255.255.255", "http://[::ffff:0.0.0.0]"]
    {
        assert!(matches!(making(to(origin)), SetupError::Unreachable { .. }), "{origin}");
    }
    assert!(matches!(making(to("http://a.example").methods(vec![Method::CONNECT])), SetupError::Method { .. }));
    assert!(matches!(making(to("http://a.example").methods(Vec::new())), SetupError::NoMethod { .. }));
    let host = crate::HeaderName::from_static("host");
    let secret = pattoo_base::secret::Secret::new("x").unwrap();
    assert!(matches!(making(to("http://a.example").header(host, secret)), SetupError::Header { .. }));
}

#[tokio::test]
async fn our_own_endpoints_are_refused_even_if_granted() {
    let pattoo = Site::saying("posted").await;
    let port = pattoo.address.port();
    let by_address = OwnEndpoints { addresses: vec![pattoo.address], ..OwnEndpoints::default() };
    let anywhere = OwnEndpoints { addresses: vec![SocketAddr::from(([0, 0, 0, 0], port))], ..OwnEndpoints::default() };
    let by_name =
        OwnEndpoints { origins: vec![format!("https://{NAME}:{port}").parse().unwrap()], ..OwnEndpoints::default() };
    let by_localhost = OwnEndpoints { origins: vec![pattoo.origin_as("localhost")], ..OwnEndpoints::default() };
    let literal = |host: &str| OriginGrant::new(pattoo.origin_as(host)).private(true);

    for (own, host) in [
        (&by_address, "127.0.0.1"),
        (&by_address, "0x7f.1"),
        (&by_address, "[::ffff:127.0.0.1]"),
        (&by_address, "[64:ff9b::7f00:1]"),
        (&anywhere, "127.0.0.1"),
        (&anywhere, "[::1]"),
        (&by_name, NAME),
        (&by_name, "SITE-A.example.org."),
        (&by_localhost, "localhost"),
        (&by_localhost, "127.0.0.1"),
    ] {
        let made = Client::new(vec![literal(host)], Limits::default(), own.clone());
        assert!(matches!(made, Err(SetupError::Own { .. })), "{host} {own:?}");
    }
    for own in [by_address, anywhere, by_localhost] {
        let book = Book::default().with("other.example.org", &[&["127.0.0.1"]]);
        let grant = OriginGrant::new(pattoo.origin_as("other.example.org")).private(true);
        let client = Client::with(vec![grant], Limits::default(), own, &book.setup()).unwrap();
        let Err(Error::Denied(denied)) = client.fetch(get(pattoo.url_as("other.example.org", "/"))).await else {
            panic!()
        };
        assert_eq!((denied.reason.clone(), denied.grant_hint()), (Reason::Own, None));
    }
    assert!(pattoo.seen().is_empty());
}

#[tokio::test]
async fn an_endpoint_of_ours_is_refused_at_every_local_address_unless_the_grant_says_own() {
    // Everything that this machine listens on, at one port.
    let site = Site::saying("status").await;
    let port = site.address.port();
    let own = OwnEndpoints { addresses: vec![([127, 0, 0, 1], port).into()], ..OwnEndpoints::default() };
    let named = "other.example.org";
    for address in ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.3", "64:ff9b::7f00:4"] {
        let book = Book::default().with(named, &[&[address]]);
        let grant = OriginGrant::new(site.origin_as(named)).private(true);
        let client = Client::with(vec![grant], Limits::default(), own.clone(), &book.setup()).unwrap();
        let Err(Error::Denied(denied)) = client.fetch(get(site.url_as(named, "/"))).await else { panic!("{address}") };
        assert_eq!(denied.reason, Reason::Own, "{address}");
        assert!(denied.to_string().contains("own: true"), "{denied}");
        let literal = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let grant = OriginGrant::new(site.origin_as(&literal)).private(true);
        let made = Client::new(vec![grant.clone()], Limits::default(), own.clone());
        assert!(matches!(made, Err(SetupError::Own { .. })), "{address}");
        Client::new(vec![grant.own(true)], Limits::default(), own.clone()).unwrap();
    }
    // A redirect leads there no more than the guest itself.
    let at_localhost = site.url_as("localhost", "/");
    let leads_there = Site::answering(move |_| super::site::redirect(302, &at_localhost)).await;
    let client = Client::new(vec![leads_there.grant()], Limits::default(), own.clone()).unwrap();
    let Err(Error::Denied(denied)) = client.fetch(get(leads_there.url("/"))).await else { panic!() };
    assert_eq!((denied.reason.clone(), denied.redirected), (Reason::Own, true));
    assert!(site.seen().is_empty());
    // A site may want to read its own status. Only the origin that says so is reached.
    let book = Book::default().with(named, &[&["127.0.0.1"]]).with(NAME, &[&["127.0.0.1"]]);
    let says = OriginGrant::new(site.origin_as(named)).private(true).own(true);
    let silent = OriginGrant::new(site.origin_as(NAME)).private(true);
    let client = Client::with(vec![says, silent], Limits::default(), own, &book.setup()).unwrap();
    assert_eq!(client.fetch(get(site.url_as(named, "/"))).await.unwrap().body, b"status");
    assert_eq!(reason(client.fetch(get(site.url_as(NAME, "/"))).await), Reason::Own);
}

#[tokio::test]
async fn connections_are_kept_by_one_client_and_never_shared_with_another() {
    let site = Site::saying("x").await;
    let (one, two) = (client(vec![site.grant()]), client(vec![site.grant()]));
    for from in [&one, &one, &two, &one, &two] {
        from.fetch(get(site.url("/"))).await.unwrap();
    }
    assert_eq!(site.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 0, 1, 0, 1]);
}

/// Reads a request and says its path.
async fn path_of_next_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::io::AsyncReadExt::read_u8(stream).await.ok()?);
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).map(str::to_owned)
}

#[tokio::test]
async fn unsolicited_response_is_never_the_answer_to_the_next_request() {
    use tokio::io::AsyncWriteExt as _;
    for in_one_piece in [true, false] {
        let site = Site::scripted(move |mut stream| async move {
            // The request that opened the connection was for /first.
            let (first, unsolicited) = (ok("first"), ok("unsolicited"));
            if in_one_piece {
                let _ = stream.write_all(&[first, unsolicited].concat()).await;
            } else {
                let _ = stream.write_all(&first).await;
                let _ = stream.write_all(&unsolicited).await;
            }
            while let Some(path) = path_of_next_request(&mut stream).await {
                if stream.write_all(&ok(if path == "/first" { "first" } else { "second" })).await.is_err() {
                    return;
                }
            }
        })
        .await;
        for _ in 0..50 {
            let client = client(vec![site.grant()]);
            assert_eq!(client.fetch(get(site.url("/first"))).await.unwrap().body, b"first");
            match client.fetch(get(site.url("/second"))).await {
                // On a new connection the site begins with what it says to the first request of any.
                Ok(answer) => assert_eq!(answer.body, b"first", "in one piece: {in_one_piece}"),
                Err(error) => assert!(matches!(error, Error::Connection(_)), "{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn many_fetches_run_at_once_on_one_client() {
    let site = Site::scripted({
        let all = Arc::new(tokio::sync::Barrier::new(20));
        move |mut stream| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
                tokio::io::AsyncWriteExt::write_all(&mut stream, &ok("together")).await.unwrap();
            }
        }
    })
    .await;
    let client = Arc::new(client(vec![site.grant()]));
    let mut fetches = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, url) = (Arc::clone(&client), site.url("/"));
        fetches.spawn(async move { client.fetch(get(url)).await });
    }
    while let Some(done) = fetches.join_next().await {
        assert_eq!(done.unwrap().unwrap().body, b"together");
    }
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let site = Site::saying("home").await;
    let grant = OriginGrant::new(site.origin_as("localhost"));
    let client = Client::with(vec![grant], Limits::default(), OwnEndpoints::default(), &Setup::default()).unwrap();
    assert_eq!(client.fetch(get(site.url_as("localhost", "/"))).await.unwrap().body, b"home");
}

/// Keeps what is for the operator.
#[derive(Default)]
struct Reported(std::sync::Mutex<Vec<String>>);

impl Meter for Reported {
    fn arrived(&self, _: usize) -> Result<(), Exhausted> {
        Ok(())
    }

    fn held(&self, _: usize) -> Result<(), Exhausted> {
        Ok(())
    }

    fn unreachable(&self, origin: &Origin, addresses: &[SocketAddr], error: &Error) {
        self.0.lock().unwrap().push(format!("{origin} {addresses:?} {error}"));
    }
}

#[tokio::test]
async fn operator_sees_the_addresses_that_failed_and_the_guest_does_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let book = Book::default().with(NAME, &[&["127.0.0.2", "127.0.0.1"]]);
    let origin: Origin = format!("http://{NAME}:{port}").parse().unwrap();
    let client = client_on(vec![OriginGrant::new(origin.clone()).private(true)], &book);
    let reported = Reported::default();
    let error = client.fetch_watched(get(format!("{origin}/")), &|_| {}, &reported).await.unwrap_err().to_string();
    assert!(error.contains("refused") && !error.contains("127.0.0"), "{error}");
    let expected = format!("{origin} [127.0.0.1:{port}, 127.0.0.2:{port}] {error}");
    assert_eq!(*reported.0.lock().unwrap(), [expected]);
}
