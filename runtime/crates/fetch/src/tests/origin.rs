//! Origins: one spelling each, and no text that is something else.

use super::site::{Book, Site, client_on, get, reason};
use crate::{Origin, OriginError, OriginGrant, Reason};

fn origin(text: &str) -> Result<Origin, OriginError> {
    text.parse()
}

#[test]
fn equal_origins_have_one_spelling() {
    for (spellings, canonical) in [
        (
            &["https://Site-A.Example.ORG", "HTTPS://site-a.example.org:443/", "https://site-a.example.org."][..],
            "https://site-a.example.org",
        ),
        (&["http://example.org:80", "http://EXAMPLE.org.:80"], "http://example.org"),
        (
            &[
                "https://bücher.example",
                "https://BÜCHER.example",
                "https://xn--bcher-kva.example",
                "https://xn--BCHER-kva.example.",
            ],
            "https://xn--bcher-kva.example",
        ),
        (&["http://[2606:4700:0:0::1]:8080", "http://[2606:4700::1]:8080"], "http://[2606:4700::1]:8080"),
        (&["http://[::FFFF:10.0.0.1]", "http://[::ffff:a00:1]"], "http://[::ffff:a00:1]"),
    ] {
        for spelling in spellings {
            assert_eq!(origin(spelling).unwrap().to_string(), canonical, "{spelling}");
        }
    }
}

/// Every number form of 127.0.0.1 that resolvers and URL parsers have taken.
const LOOPBACK: [&str; 16] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "127.0.0.1.",
    "0x7f000001.",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
];

#[test]
fn every_number_form_of_an_address_is_that_address() {
    for host in LOOPBACK {
        let origin = origin(&format!("http://{host}:8080")).unwrap();
        assert_eq!(origin.address(), Some([127, 0, 0, 1].into()), "{host}");
        assert_eq!(origin.to_string(), "http://127.0.0.1:8080");
    }
    for (host, address) in [
        ("0xa9fea9fe", [169, 254, 169, 254]),
        ("0251.0376.0251.0376", [169, 254, 169, 254]),
        ("0", [0; 4]),
        ("10.1", [10, 0, 0, 1]),
    ] {
        assert_eq!(origin(&format!("http://{host}")).unwrap().address(), Some(address.into()), "{host}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_gets_past_a_grant_of_a_name() {
    let site = Site::saying("inside").await;
    let book = Book::default();
    let name = site.origin_as("site-a.example.org");
    let client = client_on(vec![OriginGrant::new(name).private(true)], &book);
    let further = [
        "localhost",
        "LOCALHOST.",
        "ⓛocalhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::80ff:fffe]",
        "0.0.0.0",
        "0",
        "[::]",
    ];
    for host in LOOPBACK.iter().chain(&further) {
        assert_eq!(reason(client.fetch(get(site.url_as(host, "/"))).await), Reason::Origin, "{host}");
    }
    assert!(site.seen().is_empty());
    assert!(book.asked().is_empty(), "a name was looked up before its grant was checked");
}

#[tokio::test]
async fn a_guest_may_spell_a_granted_address_in_any_way() {
    let site = Site::saying("inside").await;
    let client = client_on(vec![site.grant()], &Book::default());
    for host in LOOPBACK {
        assert_eq!(client.fetch(get(site.url_as(host, "/"))).await.unwrap().body, b"inside", "{host}");
    }
    let hosts: Vec<_> = site
        .seen()
        .iter()
        .flat_map(|seen| seen.header("host").into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(hosts.iter().all(|host| *host == site.address.to_string()), "{hosts:?}");
}

#[test]
fn what_is_no_origin_is_told_precisely() {
    assert!(matches!(origin("site-a.example.org"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin(""), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https://"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https:///"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin(" https://a.example"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https://a.exa\tmple"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https://a.example\n"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https://a.example:65536"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("https://%61.example"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("http://[fe80::1%25eth0]"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("http://[fe80::1%eth0]"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("http://1.2.3.4.5"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("http://256.1.1.1"), Err(OriginError::Syntax { .. })));
    assert!(matches!(origin("ftp://a.example"), Err(OriginError::Scheme { .. })));
    assert!(matches!(origin("file:///etc/passwd"), Err(OriginError::Scheme { .. })));
    assert!(matches!(origin("https://*.example.org"), Err(OriginError::Wildcard { .. })));
    assert!(matches!(origin("https://user:pw@a.example"), Err(OriginError::UserInfo)));
    assert!(matches!(origin("https://@a.example"), Err(OriginError::UserInfo)));
    assert!(matches!(origin("https://a.example/v1"), Err(OriginError::Path { .. })));
    assert!(matches!(origin("https://a.example\\v1"), Err(OriginError::Path { .. })));
    assert!(matches!(origin("https://a.example?x"), Err(OriginError::Path { .. })));
    assert!(matches!(origin("https://a.example#x"), Err(OriginError::Path { .. })));
    assert!(matches!(origin("https://a.example:0"), Err(OriginError::Port { .. })));
    for host in ["a..example", "a.example..", ".", "a$b.example", &"a".repeat(64), &"a.".repeat(130)] {
        assert!(
            matches!(origin(&format!("https://{host}")), Err(OriginError::Host { .. } | OriginError::Syntax { .. })),
            "{host}"
        );
    }
}
