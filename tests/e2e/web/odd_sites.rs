//! Web sites whose responses are odd in one way each, and are read by Python, curl and browsers.

use pattoo_tests::{Cli, RawSite, guest};
use serde_json::json;

const JSON: &[u8] = br#"{"ABC": 1.5}"#;

/// [`JSON`], compressed with gzip.
const GZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x72, 0x74, 0x72, 0x56, 0xb2, 0x52, 0x30,
    0xd4, 0x33, 0xad, 0x05, 0x00, 0xf1, 0x4f, 0x30, 0x1c, 0x0c, 0x00, 0x00, 0x00,
];

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn odd_response_is_read_as_others_read_it() {
    let many = (0..200).map(|index| format!("X-{index}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    let answers = [
        ("plain", answer("", JSON)),
        ("space-in-name", answer("Content-Type : application/json\r\n", JSON)),
        ("fold", answer("X-A: one\r\n two\r\n", JSON)),
        ("nocolon", answer("GarbageLine\r\n", JSON)),
        ("200headers", answer(&many, JSON)),
        ("bom", answer("", &[b"\xef\xbb\xbf", JSON].concat())),
        ("gzip-pad", answer("Content-Encoding: gzip\r\n", &[GZIPPED, &[0; 8]].concat())),
    ];
    let names: Vec<&str> = answers.iter().map(|(name, _)| *name).collect();
    let site = RawSite::answering({
        let answers = answers.clone();
        move |path| {
            let found = answers.iter().find(|(name, _)| path == format!("/{name}"));
            found.map(|(_, answer)| answer.clone()).unwrap_or_default()
        }
    });
    let source = |name: &&str| json!({"target": name, "url": format!("{}/{name}", site.origin()), "keys": ["ABC"]});
    let sources: Vec<_> = names.iter().map(source).collect();
    let cli = Cli::new();
    cli.file("settings.json", json!({"sources": sources}).to_string());
    let module = guest("lava_script").display().to_string();
    let run = cli.run(&["run", &module, "--settings", "settings.json", "--http", &site.origin()]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let body = run.body().to_string();
    for name in names {
        assert!(body.contains(&format!("[\"pattoo_agent_polled_target\",\"{name}\"]")), "{name}: {body}");
    }
}

#[test]
fn response_with_too_many_header_fields_is_told_in_fields() {
    let many = (0..200).map(|index| format!("X-{index}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    let site = RawSite::answering(move |_| answer(&many, JSON));
    let source = json!({"target": "SITE", "url": format!("{}/x", site.origin()), "keys": ["ABC"]});
    let cli = Cli::new();
    cli.file("settings.json", json!({"sources": [source]}).to_string());
    let module = guest("lava_script").display().to_string();
    let limit = "response_headers=100";
    let run = cli.run(&["run", &module, "--settings", "settings.json", "--http", &site.origin(), "--limit", limit]);
    assert_eq!(run.code, Some(3), "{run:#?}");
    assert!(run.stderr.contains("more than 100 header fields (limit response_headers)"), "{run:#?}");
    assert!(!run.stderr.contains("100 bytes"), "{run:#?}");
}
