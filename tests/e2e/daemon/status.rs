//! What the daemon says about itself: the status address, metrics, the service manager, and log
//! files.
#![expect(clippy::float_cmp, reason = "a test that panics has failed, as it should; counters are whole numbers")]

use std::{fs, os::unix::net::UnixDatagram, time::Duration};

use pattoo_tests::{Cli, Daemon, Site, emits_and, get, guest, pattoo_records_of_all, unused_address};
use serde_json::{Value, json};

use super::{counter, heard, site};

#[test]
fn status_address_answers_only_requests_for_its_own_name() {
    let site = Site::new(unused_address());
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
    for path in ["/healthz", "/metrics", "/status"] {
        assert_eq!(get(daemon.status_address(), path, "rebound.example.org").0, 421);
        assert_eq!(get(daemon.status_address(), path, "127.0.0.1:80").0, 200);
    }
    assert_eq!(daemon.page("/").0, 404);
}

#[test]
fn healthz_responds_at_once_despite_many_stalled_connections() {
    use std::io::Write as _;
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let daemon = site.start();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stuck = Vec::new();
    for number in 0..200 {
        let mut stream = std::net::TcpStream::connect(daemon.status_address()).expect("it listens");
        stream.set_nonblocking(true).expect("a socket");
        // More responses than all buffers hold, and none is read; every third connection sends an
        // incomplete request.
        if number % 3 == 0 {
            let _ = stream.write_all(b"GET /metrics HT");
        } else {
            let _ = stream.write_all(request.repeat(4000).as_bytes());
        }
        stuck.push(stream);
        if number % 20 == 19 {
            let began = std::time::Instant::now();
            assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
            // A tenth of that is usual; waiting for a stalled connection would take ten seconds or
            // more.
            assert!(began.elapsed() < Duration::from_secs(3), "{:?} with {number} others", began.elapsed());
        }
    }
    assert_eq!(daemon.page("/status").0, 200);
    drop(stuck);
    assert_eq!(daemon.page("/metrics").0, 200);
    assert!(daemon.end("TERM").success());
}

#[test]
fn metrics_count_reads_fetches_and_errors() {
    let (_cli, _receiver, site) = site();
    let device = pattoo_tests::modbus_device(&json!({"1": {"holding": {"0": [1, 2]}}}));
    let silent = unused_address();
    site.configure(&json!([{
        "program": "M", "module": guest("modbus_registers"), "polling_interval": 1,
        "settings": {"spans": [
            {"device": "plc1", "table": "holding", "address": 0, "count": 2},
            {"device": "plc2", "table": "holding", "address": 0, "count": 1},
        ]},
        "grants": {"modbus": {"plc1": {"url": format!("tcp://{}", device.address())}, "plc2": {"url": format!("tcp://{silent}")}}},
    }]));
    let daemon = site.start();
    let value = |daemon: &Daemon, name: &str| daemon.metrics().get(name).copied().unwrap_or_default();
    daemon.wait_until("two collections", |daemon| {
        value(daemon, "pattoo_wasm_datapoints_total{program=\"M\",result=\"accepted\"}") >= 4.0
    });
    let metrics = daemon.metrics();
    let of = |name: &str, device: &str| metrics[&format!("pattoo_wasm_{name}{{program=\"M\",device=\"{device}\"}}")];
    assert!(of("modbus_reads_total", "plc1") >= 2.0);
    assert_eq!(of("modbus_read_errors_total", "plc1"), 0.0);
    assert_eq!((of("modbus_device_up", "plc1"), of("modbus_device_up", "plc2")), (1.0, 0.0));
    let status = daemon.status_of("M").expect("the collector");
    assert_eq!((&status["state"], &status["last"]["outcome"]), (&json!("partial"), &json!("partial")), "{status:#}");
    let message = status["last"]["message"].as_str().expect("text");
    assert!(message.contains("requests failed: plc2 (1 of 1)"), "{message}");
    assert_eq!(
        (&status["peers"]["modbus"]["plc1"]["up"], &status["peers"]["modbus"]["plc2"]["up"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(of("modbus_read_errors_total", "plc2"), of("modbus_reads_total", "plc2"));
    assert!(metrics["pattoo_wasm_host_call_seconds_total{program=\"M\",interface=\"modbus\"}"] > 0.0);
    assert!(metrics["pattoo_wasm_peak_memory_bytes{program=\"M\"}"] >= 65536.0);
}

#[test]
fn service_manager_is_notified_of_every_state() {
    let (_cli, _receiver, site) = site();
    site.configure(&json!([counter("A")]));
    let path = site.folder().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let heard = |state: &str| heard(&manager, state);
    let mut command = site.command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let daemon = Daemon::start(&mut command);
    assert!(heard("READY=1").contains("STATUS=1 of 1 collectors run"));
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    daemon.signal("HUP");
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    daemon.signal("TERM");
    heard("STOPPING=1");
    assert!(daemon.wait().0.success());
}

#[test]
fn log_file_is_written_and_reopened_after_a_rotation() {
    let site = Site::new(unused_address());
    site.configure(&json!([counter("A")]));
    let mut command = site.command();
    command.args(["--log-format", "json"]);
    let daemon = Daemon::start(&mut command);
    let line = daemon.wait_for("collectors run");
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"1 of 1 collectors run".into()));
    let log = site.folder().join("log/pattoo_wasm.log");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    // A line is written to standard error before it is written to the file.
    daemon.wait_until("the line in the file", |_| text().contains("1 of 1 collectors run"));
    fs::rename(&log, site.folder().join("log/pattoo_wasm.log.1")).expect("a rotation");
    daemon.signal("HUP");
    daemon.wait_until("a new file", |_| text().contains("1 of 1 collectors run"));
}

#[test]
fn fetches_that_the_end_of_a_collection_cut_off_are_counted() {
    let site = Site::new(unused_address());
    // It takes connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!("http://{}", silent.local_addr().expect("an address"));
    site.configure(&json!([{
        "program": "W", "module": guest("lava_script"), "polling_interval": 1, "limits": {"timeout": "300ms"},
        "settings": {"sources": [{"target": "SITE", "url": format!("{origin}/a.json"), "keys": ["A"]}]},
        "grants": {"http": [{"origin": origin}]},
    }]));
    let daemon = site.start();
    let value = |daemon: &Daemon, name: &str| {
        daemon.metrics()[&format!("pattoo_wasm_http_{name}{{program=\"W\",origin=\"{origin}\"}}")]
    };
    daemon.wait_until("a fetch without a response", |daemon| value(daemon, "fetch_errors_total") >= 1.0);
    assert_eq!(value(&daemon, "origin_up"), 0.0);
    assert!(value(&daemon, "fetches_total") >= 1.0);
}

#[test]
fn everything_that_is_configured_has_its_series_before_its_first_collection() {
    let site = Site::new(unused_address());
    let device = unused_address();
    // None of them collects while the test runs.
    site.configure(&json!([
        {
            "program": "M", "module": guest("modbus_registers"), "polling_interval": 86_400,
            "grants": {"modbus": {"plc1": {"url": format!("tcp://{device}")}}, "http": [{"origin": "http://site-a.example.org"}]},
        },
        {"program": "MISSING", "module": "missing.wasm", "polling_interval": 86_400},
    ]));
    let daemon = site.start();
    let series = |name: &str, of: &Daemon| of.metrics().get(&format!("pattoo_wasm_{name}")).copied();
    daemon.wait_until("both are loaded or refused", |daemon| {
        let state = |program, state| {
            series(&format!("collector_state{{program=\"{program}\",state=\"{state}\"}}"), daemon) == Some(1.0)
        };
        state("M", "new") && state("MISSING", "not_loaded")
    });
    for program in ["M", "MISSING"] {
        let of = |name: &str| series(&format!("{name}{{program=\"{program}\"}}"), &daemon);
        assert_eq!(of("collector_interval_seconds"), Some(86_400.0));
        assert!(of("collector_configured_timestamp_seconds") > Some(1.7e9));
        assert_eq!(
            (of("last_collection_timestamp_seconds"), of("last_completed_timestamp_seconds")),
            (Some(0.0), Some(0.0))
        );
    }
    let peers = [
        ("modbus_device_up", "modbus_last_reply_timestamp_seconds", "device=\"plc1\""),
        ("http_origin_up", "http_last_response_timestamp_seconds", "origin=\"http://site-a.example.org\""),
    ];
    for (up, last, label) in peers {
        assert!(series(&format!("{up}{{program=\"M\",{label}}}"), &daemon).is_some_and(f64::is_nan), "{up}");
        assert_eq!(series(&format!("{last}{{program=\"M\",{label}}}"), &daemon), Some(0.0));
    }
    let page = daemon.page("/metrics").1;
    let responses = page.lines().filter(|line| line.starts_with("pattoo_wasm_http_responses_total{")).count();
    assert_eq!(responses, 5, "one for each class of statuses");
    for name in ["queued_payloads", "reachable", "authorised", "last_delivery_timestamp_seconds"] {
        assert_eq!(
            page.lines().filter(|line| line.starts_with(&format!("pattoo_wasm_output_{name}{{"))).count(),
            1,
            "{name}"
        );
    }
    assert!(page.contains("type=\"pattoo\"} 1"), "{page}");
    assert_eq!(series("config_last_reload_successful", &daemon), Some(1.0));
    let digest = |daemon: &Daemon| {
        let page = daemon.page("/metrics").1;
        let line = page.lines().find(|line| line.starts_with("pattoo_wasm_config_info{")).map(str::to_owned);
        line.expect("the digest of the configuration")
    };
    let before = digest(&daemon);
    site.configure(&json!([counter("A")]));
    daemon.signal("HUP");
    daemon.wait_until("another digest", |daemon| digest(daemon) != before);
}

#[test]
fn exposed_metrics_are_the_documented_ones() {
    let site = Site::new(unused_address());
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    daemon.wait_until("a collection", |daemon| {
        daemon.metrics()["pattoo_wasm_collections_total{program=\"A\",outcome=\"completed\"}"] >= 1.0
    });
    let page = daemon.page("/metrics").1;
    let exposed: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let reference = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md"));
    let reference = reference.expect("the reference");
    let mut documented = Vec::new();
    let is_metric = |line: &&str| line.starts_with("| `pattoo_wasm_") || line.starts_with("| `process_");
    for line in reference.lines().filter(is_metric) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        documented.push((cells[1].trim_matches('`'), cells[2]));
        // Every sample has the documented labels.
        let samples = page.lines().filter(|sample| {
            sample.strip_prefix(cells[1].trim_matches('`')).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        for sample in samples {
            let labels = sample.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').expect("an end").0);
            let names: Vec<&str> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
            let expected: Vec<&str> =
                cells[3].split(", ").map(|label| label.trim_matches('`')).filter(|label| !label.is_empty()).collect();
            assert_eq!(names, expected, "{sample}");
        }
    }
    assert_eq!(exposed, documented);
}

#[test]
fn daemon_reports_its_own_health_as_datapoints_of_a_program() {
    let cli = Cli::new();
    let address = unused_address();
    let site = Site::new(address).with("health", json!({"program": "HEALTH", "polling_interval": 1}));
    site.configure(&json!([counter("A"), {"program": "MISSING", "module": "missing.wasm", "polling_interval": 1}]));
    let daemon = site.start();
    daemon.wait_until("payloads wait", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 3.0);
    let _receiver = cli.receive_at(&address.to_string());
    let values = |key: &str, target: &str| -> Vec<f64> {
        let records = pattoo_records_of_all(&cli.received());
        let record = |record: &Value| {
            let is_it = record["key"] == key && record["agent_polled_target"] == target;
            is_it.then(|| record["value"].as_f64().or_else(|| record["value"].as_str()?.parse().ok()))?
        };
        records.iter().flatten().filter_map(record).collect()
    };
    daemon.wait_until("a report after a delivery", |_| !values("seconds_since_delivery", "output pattoo").is_empty());
    let queued = values("queued_payloads", "daemon");
    assert!(queued.iter().any(|count| *count >= 1.0), "what waited was reported: {queued:?}");
    let last = |key: &str| values(key, "daemon").last().copied();
    assert_eq!((last("collectors"), last("collectors_not_loaded")), (Some(2.0), Some(1.0)));
    assert!(last("disk_free_bytes") > Some(1e6) && last("resident_memory_bytes") > Some(1e6));
    assert!(last("clock_ahead_of_server_seconds").is_some_and(|ahead| ahead.abs() <= 5.0));
    // A collector cannot have the same name.
    site.configure(&json!([counter("HEALTH")]));
    daemon.signal("HUP");
    let refused = daemon.wait_for("named twice");
    assert!(refused.contains("the program `HEALTH` is named twice"), "{refused}");
    assert!(daemon.end("TERM").success());
}
