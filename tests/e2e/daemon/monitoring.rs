//! The daemon as other programs see it: Prometheus' own client parses its metrics, and systemd
//! checks its unit.
#![expect(
    clippy::expect_used,
    clippy::float_cmp,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write as _,
    net::Shutdown,
    process::{Command, Stdio},
    sync::Mutex,
};

use pattoo_tests::{
    Cli, RawSite, Site, binary, guest, has_program, http_ok, modbus_device, peer, python, unused_address, web_site,
};
use serde_json::{Value, json};

use crate::delivery::long_queue::fill;

/// The families of a page, as Prometheus' own client reads it.
fn families(page: &str) -> Vec<Value> {
    let mut child = Command::new(python())
        .arg(peer("prometheus_read.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter of the peers starts");
    child.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("the peer reads");
    let output = child.wait_with_output().expect("the peer ends");
    serde_json::from_slice(&output.stdout).expect("the page can be read")
}

/// A site that answers the first request of each connection, and closes the connection on the second.
fn site_that_closes_kept_connections() -> RawSite {
    let answered = Mutex::new(HashSet::new());
    RawSite::scripted(move |_, stream| {
        let from = stream.peer_addr().expect("a connection");
        if answered.lock().expect("no thread panics while it holds the lock").insert(from) {
            stream.write_all(&http_ok(r#"{"ABC": 1.5}"#)).expect("the client reads");
        } else {
            stream.shutdown(Shutdown::Both).expect("it is open");
        }
    })
}

#[test]
fn prometheus_client_parses_every_metric_of_collectors_devices_and_sites() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    let device = modbus_device(&json!({"1": {"holding": {"0": [1, 2]}}}));
    fs::create_dir(site.folder().join("web")).expect("a new folder");
    site.file("web/quotes.json", json!({"ABC": 1.5}).to_string());
    let web_site = web_site(&site.folder().join("web"));
    let (up, down) = (format!("http://{}", web_site.address()), format!("http://{}", unused_address()));
    let secret = site.file("secret", "s3cr3t-of-the-site");
    let source = |origin: &str| json!({"target": "SITE", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]});
    let closing_site = site_that_closes_kept_connections();
    let closing = closing_site.origin();
    let missing = json!({"target": "SITE", "url": format!("{up}/missing.json"), "keys": ["ABC"]});
    site.configure(&json!([
        {
            "program": "M", "module": guest("modbus_registers"), "polling_interval": 1,
            "settings": {"spans": [{"device": "plc1", "table": "holding", "address": 0, "count": 2}]},
            "grants": {"modbus": {"plc1": {"url": format!("tcp://{}", device.address())}}},
        },
        {
            "program": "W", "module": guest("lava_script"), "polling_interval": 1,
            "settings": {"sources": [source(&up), source(&down), source(&closing), missing]},
            "grants": {"http": [
                {"origin": up, "headers": {"authorization": {"secret_file": secret}}},
                {"origin": down},
                {"origin": closing},
            ]},
        },
    ]));
    let daemon = site.start();
    let ended = |program: &str| format!("pattoo_wasm_collection_duration_seconds_count{{program=\"{program}\"}}");
    daemon.wait_until("two collections of each", |daemon| {
        ["M", "W"].iter().all(|program| daemon.metrics()[&ended(program)] >= 2.0)
    });
    let page = daemon.page("/metrics").1;
    assert!(!page.contains("s3cr3t"), "a secret that a grant attaches: {page}");
    let families = families(&page);
    let mut values: BTreeMap<String, f64> = BTreeMap::new();
    for family in &families {
        assert!(family["type"] != "untyped" && family["help"] != "", "{family}");
        for sample in family["samples"].as_array().expect("samples") {
            let labels = sample[1]
                .as_object()
                .expect("labels")
                .values()
                .map(|label| format!(" {}", label.as_str().expect("text")));
            let name = format!("{}{}", sample[0].as_str().expect("a name"), labels.collect::<String>());
            values.insert(name, sample[2].as_f64().unwrap_or(f64::INFINITY));
        }
    }
    let lines = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(values.len(), lines, "each line is a sample of its own");
    let value = |name: &str| {
        values.get(&format!("pattoo_wasm_{name}")).copied().unwrap_or_else(|| panic!("no {name} in {values:#?}"))
    };
    for program in ["M", "W"] {
        assert!(value(&format!("collection_duration_seconds_sum {program}")) > 0.0);
        assert!(value(&format!("collection_lateness_seconds_total {program}")) > 0.0);
        assert!(value(&format!("peak_memory_bytes {program}")) >= 65536.0);
    }
    assert!(value("host_call_seconds_total M modbus") > 0.0 && value("host_call_seconds_total W http") > 0.0);
    assert_eq!((value("host_call_seconds_total M http"), value("host_call_seconds_total W modbus")), (0.0, 0.0));
    assert!(value("modbus_reads_total M plc1") >= 2.0);
    assert_eq!(value("modbus_read_errors_total M plc1"), 0.0);
    let fetched = |origin: &str| {
        (value(&format!("http_fetches_total W {origin}")), value(&format!("http_fetch_errors_total W {origin}")))
    };
    assert!(fetched(&up).0 >= 2.0 && fetched(&up).1 == 0.0, "{:?}", fetched(&up));
    assert!(fetched(&down).0 >= 2.0 && fetched(&down).1 == fetched(&down).0, "{:?}", fetched(&down));
    let answered = |origin: &str, class: &str| value(&format!("http_responses_total W {origin} {class}"));
    assert!(answered(&up, "4xx") >= 2.0 && answered(&up, "2xx") >= 2.0, "{values:#?}");
    assert_eq!(answered(&up, "4xx") + answered(&up, "2xx"), fetched(&up).0);
    // A repeated request is one fetch, and has one response.
    assert_eq!((fetched(&closing).1, answered(&closing, "2xx")), (0.0, fetched(&closing).0));
    let repeated = |origin: &str| value(&format!("http_fetches_repeated_total W {origin}"));
    assert!(repeated(&closing) >= 1.0 && repeated(&closing) < fetched(&closing).0, "{values:#?}");
    assert_eq!(repeated(&up), 0.0);
    let status: Value = serde_json::from_str(&daemon.page("/status").1).expect("JSON");
    let collectors = status["collectors"].as_array().expect("a list");
    let peers = &collectors.iter().find(|one| one["program"] == "W").expect("the collector")["peers"]["http"];
    assert!(peers[&up]["responses"]["4xx"].as_f64() >= Some(2.0), "{peers:#}");
    assert!(peers[&closing]["repeated"].as_f64() >= Some(1.0), "{peers:#}");
    assert_eq!(peers[&down]["requests"], peers[&down]["failures"]);
}

#[test]
fn spool_metrics_match_the_content_of_the_spool() {
    let address = unused_address();
    let site = Site::new(address).with("spool", json!({"size": "1 MiB"}));
    site.configure(&json!([{"program": "A", "module": guest("counter"), "polling_interval": 1}]));
    // More than the spool may hold: the next payload evicts the oldest ones.
    fill(
        &site.folder().join("daemon/pattoo_wasm/spool/spool.sqlite3"),
        &format!("http://{address}").parse().expect("a URL"),
        2000,
    );
    let daemon = site.start();
    daemon.wait_for("payloads were evicted, ");
    let metric = |name: &str| daemon.metrics()[&format!("pattoo_wasm_spool_{name}")];
    let (dropped, bytes) = (metric("dropped_total"), metric("bytes"));
    assert!(dropped > 100.0 && bytes <= 1_048_576.0 && bytes > 900_000.0, "{dropped} {bytes}");
    let age = metric("oldest_seconds");
    daemon.wait_until("an older one", |daemon| daemon.metrics()["pattoo_wasm_spool_oldest_seconds"] > age);
    assert!(daemon.end("TERM").success());

    let cli = Cli::new();
    let mut command = cli.command(&["spool", "stats", "--json"]);
    let output = command.env("PATTOO_CONFIGDIR", site.folder()).output().expect("it starts");
    let stats: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let spool =
        rusqlite::Connection::open(site.folder().join("daemon/pattoo_wasm/spool/spool.sqlite3")).expect("a spool");
    let really: (i64, i64) = spool
        .query_row("SELECT count(*), sum(length(content)) FROM payload", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("bodies");
    assert_eq!((&stats["queued"], &stats["queued_bytes"]), (&json!(really.0), &json!(really.1)));
    assert!(stats["dropped"].as_f64() >= Some(dropped));
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_hardened() {
    if !has_program("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/pattoo-wasm.service");
    let text = fs::read_to_string(unit).expect("the unit");
    // The system calls of a usual service do not include `seccomp`, and without it modules are
    // compiled unconfined.
    assert!(text.lines().any(|line| line == "SystemCallFilter=@system-service seccomp"), "{text}");
    assert!(text.lines().any(|line| line == "OOMPolicy=continue"), "{text}");
    let copy = folder.path().join("pattoo-wasm.service");
    // The path of the program depends on the installation.
    fs::write(&copy, text.replace("/usr/local/bin/pattoo-wasm", &binary().display().to_string())).expect("a copy");
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&copy).output().expect("it starts");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no"]), (true, String::new()));
    // Tenths of an exposure from 0 to 10; a service without any hardening has 96.
    let (hardened, said) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
    assert!(hardened, "{said}");
}
