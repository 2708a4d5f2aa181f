//! Path prefixes, as someone would try to get around them.

use proptest::prelude::*;
use url::Url;

use crate::{PathError, PathPrefix};

fn covers(prefix: &str, path: &str) -> bool {
    let url = Url::parse(&format!("http://host{path}")).unwrap();
    prefix.parse::<PathPrefix>().unwrap().covers(url.path())
}

#[test]
fn a_prefix_is_made_of_whole_segments() {
    for path in [
        "/v1",
        "/v1/",
        "/v1/x",
        "/v1/x/y",
        "/v1?x",
        "/v1//x",
        "/%76%31/x",
        "/v1/x/../y",
        "/v1/x%2Fy",
        "/v1/%25",
        "/v1/100%2525",
    ] {
        assert!(covers("/v1", path), "{path}");
    }
    for path in ["/", "/v1x", "/v", "/V1", "//v1", "/v1.", "/x/v1", "/v1%2Fx", "/v1;a=b", "/v1%20", "/v2/../x"] {
        assert!(!covers("/v1", path), "{path}");
    }
    assert!(covers("/v1/", "/v1/x") && covers("/v1/", "/v1/") && !covers("/v1/", "/v1") && !covers("/v1/", "/v1x/"));
    assert!(covers("/", "/") && covers("/", "/any/thing"));
    assert!(covers("/bücher", "/b%C3%BCcher/x") && covers("/b%c3%bccher", "/bücher"));
    assert!(covers("/a b", "/a%20b"));
}

#[test]
fn no_spelling_of_the_way_up_is_covered() {
    for path in [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/..%2fadmin",
        "/v1/..%2Fadmin",
        "/v1/..%5cadmin",
        "/v1/%2e%2e%2fadmin",
        "/v1\\..\\admin",
        "/v1/%252e%252e/admin",
        "/v1/%252e%252e%252fadmin",
        "/v1/..%252fadmin",
        "/v1/%25252e%25252e%25252fadmin",
        "/v1/..;/admin",
        "/v1/..;x=y/admin",
        "/v1/%2e%2e;/admin",
        "/v1/..%3b/admin",
        "/v1/.%2e/.%2e/admin",
        "/v1/%c0%ae%c0%ae/admin",
        "/v1/%c0%af..%c0%afadmin",
        "/v1/..%c0%afadmin",
        "/v1/%u002e%u002e/admin",
        "/v1/..%00/admin",
        "/v1/%00",
        "/v1/x%0d%0aHost:y",
        "/v1/.../admin",
        "/v1/..%20/admin",
        "/v1/x%2f..%2f..%2fadmin",
        "/v1/%2f..%2fadmin",
        "/v1/%",
        "/v1/%zz",
        "/v1/%ff",
        "/v1/%2525252525252e%2525252525252e/admin",
    ] {
        assert!(!covers("/v1", path), "{path}");
        assert!(!covers("/v1/", path), "{path}");
    }
}

#[test]
fn a_prefix_that_could_be_read_in_two_ways_is_refused() {
    assert!(matches!("v1".parse::<PathPrefix>(), Err(PathError::Relative(_))));
    assert!(matches!("".parse::<PathPrefix>(), Err(PathError::Relative(_))));
    assert!(matches!("/v1?x".parse::<PathPrefix>(), Err(PathError::Query(_))));
    for text in
        ["//", "/a//b", "/a/../b", "/a/%2e%2e/b", "/a%2fb", "/a%252fb", "/a\\b", "/a;b", "/.", "/a%", "/%ff", "/a\nb"]
    {
        assert!(matches!(text.parse::<PathPrefix>(), Err(PathError::Ambiguous(_))), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// A site that decodes as often as it likes, splits at either slash, drops parameters and walks up for dots, still
    /// finds itself below the prefix.
    #[test]
    fn a_covered_path_stays_below_in_every_reading(parts in prop::collection::vec(
        prop::sample::select(vec!["/", "v1", ".", "..", "%2e", "%2f", "%5c", "%25", "2e", "2f", ";", "x", "\\", "%c0%ae", " ", "%3b", "é"]), 0..12,
    )) {
        let path = format!("/v1{}", parts.concat());
        let Ok(url) = Url::parse(&format!("http://host{path}")) else { return Ok(()) };
        if !"/v1".parse::<PathPrefix>().unwrap().covers(url.path()) {
            return Ok(());
        }
        let mut text = url.path().to_owned();
        for _ in 0..8 {
            let mut place: Vec<&str> = Vec::new();
            for segment in text.split(['/', '\\']).skip(1) {
                match segment.split(';').next().unwrap() {
                    ".." => { place.pop(); }
                    "." | "" => {}
                    name => place.push(name),
                }
                prop_assert_eq!(place.first().copied(), Some("v1"), "{} read as {}", url, text);
            }
            text = once(&text);
        }
    }

    #[test]
    fn no_path_is_too_odd(path in "/(%[0-9a-fA-F]{0,2}|[\\PC]|/|\\.|;){0,40}") {
        if let Ok(url) = Url::parse(&format!("http://host{path}")) {
            "/v1".parse::<PathPrefix>().unwrap().covers(url.path());
        }
        let _ = path.parse::<PathPrefix>();
    }
}

/// One lenient round of percent-decoding.
fn once(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.map_or('%', char::from));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out + rest
}

#[test]
fn characters_that_look_like_dots_and_slashes_do_not_leave_a_granted_prefix() {
    for path in [
        "/v1/\u{ff0e}\u{ff0e}/admin",
        "/v1/%EF%BC%8E%EF%BC%8E/admin",
        "/v1/.\u{ff0e}/admin",
        "/v1/\u{2025}/admin",
        "/v1/\u{fe52}\u{2024}/admin",
        "/v1/..\u{ff0f}admin",
        "/v1/..\u{ff3c}admin",
        "/v1/..%EF%BC%8Fadmin",
        "/v1/\u{ff05}2e\u{ff05}2e/admin",
        "/v1/..\u{ff1b}x/admin",
        "/v1/..+/admin",
        "/v1/+../admin",
        "/v1/..%2B/admin",
        "/v1/..%252B/admin",
        "/v1/..%C2%A0/admin",
        "/v1/..%E3%80%80/admin",
        "/v1/..%E2%80%8B/admin",
        "/v1/.+./admin",
    ] {
        assert!(!covers("/v1", path), "{path}");
    }
}

#[test]
fn names_with_dots_pluses_and_letters_of_all_scripts_are_covers() {
    for path in
        ["/v1/a+b", "/v1/c++", "/v1/1.5", "/v1/..a", "/v1/a..", "/v1/\u{4e00}\u{ff0e}txt", "/v1/Ünïcode", "/v1/+"]
    {
        assert!(covers("/v1", path), "{path}");
    }
}
