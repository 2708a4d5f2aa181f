//! Fetching over `wasi:http`: the same grants, limits and secrets as over our own interface.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use pattoo_tests::{
    Cli, Finished, RawSite, assert_refused, assert_says, guest, http_ok, http_redirect, pattoo_records,
};
use serde_json::{Value, json};

/// A GET of a path of a site.
fn get(site: &RawSite, path: &str) -> Value {
    json!({"scheme": "http", "authority": site.address().to_string(), "path": path})
}

fn with(mut request: Value, more: Value) -> Value {
    let (Value::Object(request_keys), Value::Object(more)) = (&mut request, more) else { panic!("two objects") };
    request_keys.extend(more);
    request
}

/// Runs the collector `wasi_web`, which sends these requests one after the other.
fn ask(cli: &Cli, requests: &[Value], arguments: &[&str]) -> Finished {
    ask_so(cli, requests, false, arguments)
}

fn ask_so(cli: &Cli, requests: &[Value], together: bool, arguments: &[&str]) -> Finished {
    cli.file("settings.json", json!({"requests": requests, "together": together}).to_string());
    let module = guest("wasi_web").display().to_string();
    let fixed = ["run", &module, "--settings", "settings.json"];
    cli.run(&fixed.into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>())
}

/// The result of each request, in their order.
#[track_caller]
fn values(run: &Finished) -> Vec<String> {
    assert_eq!(run.code, Some(0), "{run:#?}");
    let records = pattoo_records(&run.body());
    records.iter().map(|record| record["value"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn granted_site_is_fetched_and_another_gets_no_byte() {
    let (granted, other) = (RawSite::saying("hello"), RawSite::saying("secret"));
    let cli = Cli::new();
    let run = ask(&cli, &[get(&granted, "/a?b=c"), get(&other, "/")], &["--http", &granted.origin()]);
    assert_eq!(values(&run), ["200 hello", "error ErrorCode::HttpRequestDenied"]);
    assert!(granted.seen()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"));
    assert_eq!(other.seen().len(), 0);
    assert_says(&run, &["the origin is not granted", &format!("--http {}", other.origin())]);
}

#[test]
fn wasi_offers_nothing_besides_http_and_the_log() {
    let site = RawSite::saying("hello");
    let cli = Cli::new();
    cli.file("settings.json", json!({"requests": [], "outside": site.address().to_string()}).to_string());
    let module = guest("wasi_web").display().to_string();
    let arguments = ["run", &module, "--settings", "settings.json", "--http", &site.origin()];
    let mut command = cli.command(&arguments);
    let output = command.env("SEEN_BY_NOBODY", "x").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: serde_json::Map<String, Value> = pattoo_records(&serde_json::from_slice(&output.stdout).unwrap())
        .into_iter()
        .map(|record| (record["key"].as_str().unwrap().to_owned(), record["value"].clone()))
        .collect();
    let refused = ["connection", "datagrams", "file", "folder", "listener", "name", "written"];
    let expected = ["arguments", "input", "variables"].map(|none| (none, "0")).into_iter();
    let expected = expected.chain(refused.map(|what| (what, "refused")));
    let expected = expected.map(|(what, found)| (what.to_owned(), json!(found))).collect();
    assert_eq!(found, expected);
    assert_eq!(site.seen().len(), 0);
    assert!(!cli.folder().join("written").exists());
}

#[test]
fn only_granted_methods_and_paths_are_fetched() {
    let site = RawSite::saying("hello");
    let cli = Cli::new();
    let grants = json!({"http": [{"origin": site.origin(), "methods": ["GET"], "paths": ["/v1/"]}]});
    cli.file("grants.yaml", grants.to_string());
    let requests = [
        get(&site, "/v1/x"),
        get(&site, "/v1/../v2/x"),
        get(&site, "/v1/%2e%2e/v2"),
        with(get(&site, "/v1/x"), json!({"method": "POST", "body": 3})),
        with(get(&site, "/v1/x"), json!({"method": "DELETE"})),
        with(get(&site, "/v1/x"), json!({"method": "TRACE"})),
        with(get(&site, "/v1/x"), json!({"method": "CONNECT"})),
    ];
    let values = values(&ask(&cli, &requests, &["--grants", "grants.yaml"]));
    assert_eq!(values[0], "200 hello");
    assert!(values[1..].iter().all(|value| value.starts_with("error")), "{values:#?}");
    assert_eq!(site.seen().len(), 1, "{:#?}", site.seen());
}

#[test]
fn redirect_is_followed_by_the_host_and_each_hop_is_checked() {
    let forbidden = RawSite::saying("internal");
    let to_forbidden = forbidden.origin();
    let site = RawSite::answering(move |path| match path {
        "/home" => http_redirect(302, "/there"),
        "/there" => http_ok("arrived"),
        "/metadata" => http_redirect(302, "http://169.254.169.254/latest/meta-data/"),
        "/loop" => http_redirect(302, "/loop"),
        _ => http_redirect(307, &to_forbidden),
    });
    let cli = Cli::new();
    let requests = ["/home", "/away", "/metadata", "/loop"].map(|path| get(&site, path));
    let run = ask(&cli, &requests, &["--http", &site.origin()]);
    let denied = "error ErrorCode::HttpRequestDenied";
    assert_eq!(values(&run), ["200 arrived", denied, denied, "error ErrorCode::LoopDetected"]);
    assert_eq!(forbidden.seen().len(), 0);
    assert_says(&run, &["a redirect to GET http://169.254.169.254/latest/meta-data/ is denied"]);
}

#[test]
fn secret_header_goes_only_to_its_origin_and_is_hidden_from_the_collector() {
    let site = RawSite::answering(|_| http_ok("hello"));
    let origin = site.origin();
    let elsewhere = RawSite::answering(move |_| http_redirect(302, &format!("{origin}/from-elsewhere")));
    let cli = Cli::new();
    cli.file("token", "s3cr3t-value");
    let grants = json!({"http": [
        {"origin": site.origin(), "headers": {"authorization": {"secret_file": "token"}}},
        {"origin": elsewhere.origin()},
    ]});
    cli.file("grants.yaml", grants.to_string());
    let requests = [
        get(&site, "/own"),
        get(&elsewhere, "/"),
        with(get(&site, "/set"), json!({"headers": {"authorization": "mine"}})),
    ];
    let run = ask(&cli, &requests, &["--grants", "grants.yaml", "-vv"]);
    let values = values(&run);
    assert_eq!(values[..2], ["200 hello", "200 hello"]);
    assert!(values[2].contains("is set by the grant"), "{values:#?}");
    let seen = site.seen();
    assert!(seen[0].contains("authorization: s3cr3t-value"), "{seen:#?}");
    assert!(seen[1].starts_with("GET /from-elsewhere") && !seen[1].contains("s3cr3t"), "{seen:#?}");
    assert_eq!(seen.len(), 2, "{seen:#?}");
    assert!(!run.stdout.contains("s3cr3t") && !run.stderr.contains("s3cr3t"), "{run:#?}");
}

#[test]
fn headers_reserved_for_the_host_are_refused() {
    let site = RawSite::saying("hello");
    let cli = Cli::new();
    let headers = [
        ("host", "other.example.org"),
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x_forwarded_for", "192.0.2.1"),
        ("proxy-authorization", "x"),
        ("te", "trailers"),
        ("x-http-method-override", "DELETE"),
        ("x-split", "a\r\nx-injected: b"),
        ("x-fine", "fine"),
    ];
    let requests = headers.map(|(name, value)| with(get(&site, "/"), json!({"headers": {name: value}})));
    let values = values(&ask(&cli, &requests, &["--http", &site.origin()]));
    let (fine, refused) = values.split_last().unwrap();
    assert_eq!(fine, "200 hello");
    for (value, header) in refused.iter().zip(headers) {
        assert!(
            ["error HeaderError::Forbidden", "error HeaderError::InvalidSyntax"].contains(&value.as_str()),
            "{header:?}: {value}"
        );
    }
    let seen = site.seen();
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(seen[0].contains(&format!("host: {}\r\n", site.address())), "{seen:#?}");
}

#[test]
fn malformed_wasi_http_request_is_refused() {
    let cli = Cli::new();
    let site = RawSite::saying("hello");
    let authority = site.address().to_string();
    let requests = [
        json!({"scheme": "http", "path": "/"}),
        json!({"scheme": "ftp", "authority": authority, "path": "/"}),
        json!({"scheme": "http", "authority": format!("user:password@{authority}"), "path": "/"}),
        json!({"authority": authority, "path": "/"}),
        with(get(&site, "/"), json!({"method": "POST", "headers": {"content-length": "5"}, "body": 3})),
        with(get(&site, "/"), json!({"method": "POST", "headers": {"content-length": "3"}, "body": 3})),
    ];
    cli.file("grants.json", json!({"http": [{"origin": site.origin(), "methods": ["GET", "POST"]}]}).to_string());
    let values = values(&ask(&cli, &requests, &["--grants", "grants.json"]));
    assert!(values[..5].iter().all(|value| value.starts_with("error")), "{values:#?}");
    assert_eq!(values[5], "200 hello");
    assert_eq!(site.seen().len(), 1, "{:#?}", site.seen());
}

#[test]
fn too_large_or_endless_response_body_is_refused() {
    let site = RawSite::scripted(|request, stream| {
        let head = if request.starts_with("GET /announced") {
            "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n"
        } else if request.starts_with("GET /headers") {
            "HTTP/1.1 200 OK\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
        };
        let piece = if request.starts_with("GET /headers") { "x: y\r\n".repeat(100) } else { "x".repeat(10_000) };
        let _ = stream.write_all(head.as_bytes());
        while stream.write_all(piece.as_bytes()).is_ok() {}
    });
    let cli = Cli::new();
    let requests = ["/announced", "/endless", "/headers"].map(|path| get(&site, path));
    let run = ask(&cli, &requests, &["--http", &site.origin(), "--limit", "response_bytes=100KiB"]);
    let values = values(&run);
    assert_eq!(values[..2], ["error ErrorCode::HttpResponseBodySize(Some(102400))"; 2]);
    assert!(values[2].starts_with("error ErrorCode::HttpResponseHeaderSectionSize"), "{values:#?}");
    assert_says(&run, &["limit response_bytes"]);
}

#[test]
fn slowly_dripping_site_is_stopped_by_the_timeout() {
    let site = RawSite::scripted(|request, stream| {
        let silent = request.starts_with("GET /silent");
        let _ = stream.write_all(if silent { b"" } else { b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" });
        while !silent && stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(30));
    });
    let cli = Cli::new();
    let requests =
        [get(&site, "/drip"), get(&site, "/silent"), with(get(&site, "/silent"), json!({"first_byte_ms": 100}))];
    let limits = ["--limit", "fetch_timeout=600ms", "--limit", "fetch_connect_timeout=100ms"];
    let began = Instant::now();
    let arguments: Vec<&str> = ["--http"].into_iter().chain([site.origin().leak() as &str]).chain(limits).collect();
    let values = values(&ask(&cli, &requests, &arguments));
    assert_eq!(values, ["error ErrorCode::HttpResponseTimeout"; 3]);
    // The site itself needs half a minute or more; the rest is for the compiler.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn request_body_is_limited_and_must_be_finished() {
    let site = RawSite::saying("hello");
    let cli = Cli::new();
    cli.file("grants.json", json!({"http": [{"origin": site.origin(), "methods": ["POST"]}]}).to_string());
    let post = |more| with(with(get(&site, "/"), json!({"method": "POST"})), more);
    let requests =
        [post(json!({"body": 100_000})), post(json!({"body": 300_000})), post(json!({"body": 3, "unfinished": true}))];
    let limits = ["--limit", "request_bytes=200KiB", "--limit", "fetch_timeout=1s"];
    let arguments: Vec<&str> = ["--grants", "grants.json"].into_iter().chain(limits).collect();
    let values = values(&ask(&cli, &requests, &arguments));
    let too_large = "error ErrorCode::HttpRequestBodySize(Some(204800))";
    assert_eq!(values, ["200 hello", too_large, "error ErrorCode::HttpResponseTimeout"]);
    let seen = site.seen();
    assert_eq!(seen.len(), 1, "a body that is not whole is not sent");
    assert!(seen[0].ends_with(&"x".repeat(100_000)), "the body arrives");
}

#[test]
fn fetch_quotas_count_both_http_interfaces_together() {
    let site = RawSite::answering(|_| http_ok("x".repeat(600)));
    let cli = Cli::new();
    let requests: Vec<Value> = (0..5).map(|_| get(&site, "/")).collect();
    let run = ask(&cli, &requests, &["--http", &site.origin(), "--limit", "fetches=3"]);
    let answers = values(&run);
    assert!(answers[..3].iter().all(|value| value.starts_with("200")), "{answers:#?}");
    assert!(answers[3..].iter().all(|value| value.contains("the limit of 3") && value.contains("fetches")));
    assert_eq!(site.seen().len(), 3);
    assert_says(&run, &["limit of 3 on the HTTP requests of one collection is reached (limit fetches)"]);

    let run = ask(&cli, &requests, &["--http", &site.origin(), "--limit", "fetched_bytes=2KiB"]);
    let answers = values(&run);
    assert!(answers[..3].iter().all(|value| value.starts_with("200")), "{answers:#?}");
    assert!(answers[3..].iter().all(|value| value.contains("fetched_bytes")), "{answers:#?}");
}

#[test]
fn concurrent_requests_never_exceed_their_limit() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let site = RawSite::answering(move |_| {
        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        now.fetch_sub(1, SeqCst);
        http_ok("hello")
    });
    let cli = Cli::new();
    let requests: Vec<Value> = (0..12).map(|_| get(&site, "/")).collect();
    let run = ask_so(&cli, &requests, true, &["--http", &site.origin(), "--limit", "concurrent_fetches=3"]);
    assert_eq!(values(&run), ["200 hello"; 12]);
    assert_eq!(peak.load(SeqCst), 3);
}

#[test]
fn header_fields_cannot_accumulate_in_host_memory() {
    let site = RawSite::saying("hello");
    let cli = Cli::new();
    let many: serde_json::Map<_, _> = (0..70).map(|n| (format!("x-{n}"), json!("y"))).collect();
    let large = json!({"x": "y".repeat(17_000)});
    let requests = [json!(many), large].map(|headers| with(get(&site, "/"), json!({ "headers": headers })));
    let answers = values(&ask(&cli, &requests, &["--http", &site.origin()]));
    assert_eq!(answers[0], "error ErrorCode::HttpRequestHeaderSectionSize(None)");
    assert_eq!(answers[1], "error ErrorCode::HttpRequestHeaderSectionSize(Some(16384))");
    // Far beyond the limit the collection ends, and the message names the limit.
    let huge = with(get(&site, "/"), json!({"headers": {"x": "y".repeat(60_000)}}));
    let run = ask(&cli, &[huge], &["--http", &site.origin()]);
    assert_refused(&run, 4, &["16.0 KiB", "request_header_bytes"]);
    assert_eq!(site.seen().len(), 0);
}

#[test]
fn server_that_is_posted_to_is_unreachable_over_wasi_http() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let port = receiver.address().port();
    let request = json!({"scheme": "http", "authority": format!("localhost:{port}"), "path": "/"});
    let (by_name, by_address) = (format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"));
    // A grant of it is refused before anything runs, since it is on this machine; without a grant
    // the request is denied.
    let run = ask(&cli, std::slice::from_ref(&request), &["--http", &by_name, "--post", &by_address]);
    assert_refused(&run, 2, &["reaches pattoo-wasm itself or its pattoo server"]);
    let run = ask(&cli, &[request], &["--post", &by_address]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_says(&run, &["it is pattoo-wasm itself or its pattoo server"]);
}

#[test]
fn failed_requests_are_logged_once_each_up_to_a_limit() {
    let cli = Cli::new();
    let unused = pattoo_tests::unused_address();
    let request = json!({"scheme": "http", "authority": unused.to_string(), "path": "/"});
    let requests: Vec<Value> = (0..30).map(|_| request.clone()).collect();
    let run = ask(&cli, &requests, &["--http", &format!("http://{unused}")]);
    assert_eq!(values(&run).len(), 30);
    assert_eq!(run.stderr.matches("a request over `wasi:http` failed").count(), 10, "{}", run.stderr);
}
