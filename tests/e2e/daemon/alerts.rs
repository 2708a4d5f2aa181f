//! The alert rules that come with the program, in a real Prometheus: each fires for what it is about,
//! also for what never worked, and is over when that is.

use std::{collections::BTreeSet, fs, process::Command};

use pattoo_tests::{Cli, ReadyLine, Running, Site, get, guest, has_program, modbus_device, unused_address};
use serde_json::{Value, json};

/// The alert rules without the time that their conditions have to hold.
fn impatient_rules() -> String {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/prometheus/alerts.yml");
    let rules = fs::read_to_string(rules).expect("the alert rules");
    let waits = rules.lines().filter(|line| line.trim_start().starts_with("for:")).count();
    assert!(waits > 5 && rules.contains("> 60 + 3 *"), "{rules}");
    let impatient = rules.lines().filter(|line| !line.trim_start().starts_with("for:")).collect::<Vec<_>>().join("\n");
    impatient.replace("> 60 + 3 *", "> 3 *")
}

/// Starts a Prometheus that reads the status address of a daemon each second.
fn prometheus(cli: &Cli, daemon: &str) -> Running {
    let folder = cli.folder();
    cli.file("alerts.yml", impatient_rules());
    let configuration = cli.file(
        "prometheus.yml",
        json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "pattoo-wasm", "static_configs": [{"targets": [daemon]}]}],
        })
        .to_string(),
    );
    let address = unused_address();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"));
    let is_ready = |line: &str| line.contains("Server is ready to receive web requests");
    Running::start(&mut command, ReadyLine::OnStderr, |line| is_ready(line).then_some(address))
}

/// The alerts that fire, each with the label that says for what.
fn firing(prometheus: &Running) -> BTreeSet<(String, String)> {
    let (status, page) = get(prometheus.address(), "/api/v1/alerts", "localhost");
    assert_eq!(status, 200, "{page}");
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let alerts = page["data"]["alerts"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().map(|text| text.trim_start_matches("PattooWasm").to_owned());
    let of = |alert: &Value| {
        let labels = &alert["labels"];
        let whom = ["device", "origin", "program"].iter().find_map(|label| text(&labels[label]));
        (text(&labels["alertname"]).expect("a name"), whom.unwrap_or_default())
    };
    alerts.iter().filter(|alert| alert["state"] == "firing").map(of).collect()
}

#[test]
fn documented_alerts_fire_for_what_never_worked_and_are_over_when_it_works() {
    if !has_program("prometheus") {
        return;
    }
    let (cli, server, device_address) = (Cli::new(), unused_address(), unused_address());
    let good = modbus_device(&json!({"1": {"holding": {"0": [1, 2]}}}));
    let site = Site::new(server);
    let origin = format!("http://{}", unused_address());
    let span = |device: &str| json!({"device": device, "table": "holding", "address": 0, "count": 1});
    let fast = json!({"request_timeout": "200ms", "connect_timeout": "200ms", "retries": 0});
    let device = |address: &dyn std::fmt::Display| {
        let mut device = fast.clone();
        device["url"] = format!("tcp://{address}").into();
        device
    };
    let healthy = json!({"program": "HEALTHY", "module": guest("counter"), "polling_interval": 1});
    let all = json!([
        healthy,
        {
            "program": "PARTIAL", "module": guest("modbus_registers"), "polling_interval": 1,
            "settings": {"spans": [span("good"), span("dead")]},
            "grants": {"modbus": {"good": device(&good.address()), "dead": device(&device_address)}},
        },
        {
            "program": "NEVER", "module": guest("lava_script"), "polling_interval": 1,
            "settings": {"sources": [{"target": "SITE", "url": format!("{origin}/a.json"), "keys": ["A"]}]},
            "grants": {"http": [{"origin": origin}]},
        },
        {"program": "MISSING", "module": "missing.wasm", "polling_interval": 1},
        {"program": "TRAPS", "module": site.file("traps.wat", pattoo_tests::emits_and("unreachable")), "polling_interval": 1},
    ]);
    site.configure(&all);
    let daemon = site.start();
    let prometheus = prometheus(&cli, &daemon.status_address().to_string());
    let alert = |name: &str, whom: &str| (name.to_owned(), whom.to_owned());
    let expected = BTreeSet::from([
        alert("CollectorNotCompleting", "MISSING"),
        alert("CollectorNotCompleting", "TRAPS"),
        alert("CollectorNotLoaded", "MISSING"),
        alert("CollectorPartial", "PARTIAL"),
        alert("DeviceDown", "dead"),
        alert("OriginDown", &origin),
        alert("OutputUnreachable", ""),
    ]);
    daemon.wait_until("the alerts fire", |_| firing(&prometheus).is_superset(&expected));
    let others = |alert: &(String, String)| alert.1 == "HEALTHY" || alert.1 == "good" || alert.0 == "Down";
    assert!(!firing(&prometheus).iter().any(others), "{:?}", firing(&prometheus));

    // What is broken works, and what was valid is refused.
    let _receiver = cli.receive_at(&server.to_string());
    site.configure(&json!([healthy, {"program": "MISSING"}]));
    daemon.signal("HUP");
    let refused = BTreeSet::from([alert("ConfigurationRefused", "")]);
    daemon.wait_until("the refused configuration is an alert, and the server is reached", |_| {
        let firing = firing(&prometheus);
        firing.is_superset(&refused) && !firing.contains(&alert("OutputUnreachable", ""))
    });
    site.configure(&json!([healthy]));
    daemon.signal("HUP");
    daemon.wait_until("no alert is left", |_| firing(&prometheus).is_empty());
    assert!(daemon.end("TERM").success());
}
