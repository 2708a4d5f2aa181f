//! What a fault that lasts leaves in the log: its lines once, and one line at its end.

use std::net::SocketAddr;

use pattoo_tests::{Cli, Daemon, ReadyLine, Running, Site, component, guest, unused_address};
use serde_json::{Value, json};

/// Starts a device at this address, with these registers.
fn device(cli: &Cli, address: SocketAddr) -> Running {
    let registers = "{ 0: [1, 2, 3, 4], 100: [1, 2, 3, 4], 200: [1, 2, 3, 4] }";
    let devices =
        format!("devices:\n  - listen: \"tcp://{address}\"\n    units: {{ 1: {{ holding: {registers} }} }}\n");
    let file = cli.file(&format!("{}.yaml", address.port()), devices);
    let mut command = cli.command(&["simulate"]);
    command.arg(file);
    Running::start(&mut command, ReadyLine::OnStderr, |line| line.contains("on tcp://").then_some(address))
}

/// A collector that reads three spans of `away` at this port of `localhost`, and one of `here`.
fn reader(away: u16, here: Option<SocketAddr>) -> Value {
    let span =
        |device: &str, address: u16| json!({"device": device, "table": "holding", "address": address, "count": 4});
    let mut spans = vec![span("away", 0), span("away", 100), span("away", 200)];
    let grant = |url: String| json!({"url": url, "unit": 1, "holding": ["0-999"]});
    let mut devices = json!({"away": grant(format!("tcp://localhost:{away}"))});
    if let Some(here) = here {
        spans.push(span("here", 0));
        devices["here"] = grant(format!("tcp://{here}"));
    }
    json!({
        "program": "PLC",
        "module": guest("modbus_registers"),
        "polling_interval": 1,
        "settings": {"spans": spans},
        "grants": {"modbus": devices},
    })
}

fn collections(daemon: &Daemon, outcome: &str) -> f64 {
    daemon.metrics()[&format!("pattoo_wasm_collections_total{{program=\"PLC\",outcome=\"{outcome}\"}}")]
}

/// The lines of the log that contain this text.
fn with<'l>(lines: &'l [String], text: &str) -> Vec<&'l String> {
    lines.iter().filter(|line| line.contains(text)).collect()
}

#[test]
fn lines_of_an_unavailable_device_are_logged_once_and_its_return_once() {
    let (cli, away, here) = (Cli::new(), unused_address(), unused_address());
    let _here = device(&cli, here);
    let site = Site::new(unused_address());
    site.configure(&json!([reader(away.port(), Some(here))]));
    let daemon = Daemon::start(&mut site.command_with(&[]));
    daemon.wait_for("collectors run");
    daemon.wait_until("five collections", |daemon| collections(daemon, "partial") >= 5.0);
    let lines = daemon.log_lines();
    assert_eq!(with(&lines, "WARN PLC: away").len(), 3, "{lines:#?}");
    // The collector does not learn the address, and the operator does.
    let tried = with(&lines, &format!("WARN tcp://localhost:{}: cannot connect: ", away.port()));
    assert!(tried.len() == 1 && tried[0].contains(&format!("{away}: Connection refused")), "{lines:#?}");
    assert!(with(&lines, "PLC:").iter().all(|line| !line.contains("127.0.0.1")), "{lines:#?}");

    let _away = device(&cli, away);
    let over = daemon
        .wait_for("PLC: collects successfully again; over: \"completed partially: requests failed: away (3 of 3)");
    assert!(over.contains(" and 1 other line (") && over.contains(" times in "), "{over}");
    let before = collections(&daemon, "completed");
    daemon.wait_until("two more collections", |daemon| collections(daemon, "completed") >= before + 2.0);
    let lines = daemon.log_lines();
    assert_eq!(with(&lines, "INFO PLC: collects successfully again").len(), 1, "{lines:#?}");
    assert_eq!(with(&lines, "no longer occurs").len(), 0, "{lines:#?}");
    assert_eq!(with(&lines, &format!("INFO tcp://localhost:{}: connected again", away.port())).len(), 1, "{lines:#?}");
    assert!(daemon.end("TERM").success());
}

#[test]
fn collector_that_failed_reports_its_first_completed_collection_in_one_line() {
    let (cli, away) = (Cli::new(), unused_address());
    let site = Site::new(unused_address());
    site.configure(&json!([reader(away.port(), None)]));
    let daemon = Daemon::start(&mut site.command_with(&[]));
    daemon.wait_for("PLC: the collector failed");
    daemon.wait_for("PLC: backs off");
    let _away = device(&cli, away);
    let over = daemon.wait_for("PLC: collects successfully again; over: \"the collector failed: none of the spans");
    assert!(over.contains(" other lines ("), "{over}");
    daemon.wait_until("two collections", |daemon| collections(daemon, "completed") >= 2.0);
    let lines = daemon.log_lines();
    assert_eq!((with(&lines, "the collector failed").len(), with(&lines, "backs off").len()), (2, 1), "{lines:#?}");
    assert_eq!(with(&lines, "INFO PLC: ").len(), 2, "its start and its recovery: {lines:#?}");
    assert!(daemon.end("TERM").success());
}

#[test]
fn single_failure_is_over_with_the_next_completed_collection() {
    let site = Site::new(unused_address());
    site.file("a.wat", component(r#"(func (export "collect") (result i32) unreachable)"#));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let daemon = Daemon::start(&mut site.command_with(&[]));
    daemon.wait_for("A: the collector trapped");
    site.file("a.wat", component(r#"(func (export "collect") (result i32) i32.const 0)"#));
    daemon.signal("HUP");
    daemon.wait_for("INFO A: collects successfully again; over: \"the collector trapped");
    assert!(daemon.end("TERM").success());
}

#[test]
fn module_that_could_not_be_loaded_reports_that_it_runs() {
    let site = Site::new(unused_address());
    let good = component(r#"(func (export "collect") (result i32) i32.const 0)"#);
    site.file("a.wat", &good);
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let daemon = site.start();
    site.file("a.wat", "no module");
    daemon.signal("HUP");
    daemon.wait_for("A: cannot load the new module, and keeps running the previous module");
    site.file("a.wat", &good);
    daemon.signal("HUP");
    let runs = daemon.wait_for("A: runs ");
    assert!(runs.contains("; it could not be loaded for "), "{runs}");
    assert!(daemon.end("TERM").success());
}

#[test]
fn debug_level_shows_every_line() {
    let away = unused_address();
    let site = Site::new(unused_address());
    site.configure(&json!([reader(away.port(), None)]));
    let daemon = site.start();
    let count = |daemon: &Daemon| with(&daemon.log_lines(), "DEBUG PLC: away").len();
    daemon.wait_until("lines that are not logged otherwise", |daemon| count(daemon) >= 3);
    assert!(daemon.end("TERM").success());
}
