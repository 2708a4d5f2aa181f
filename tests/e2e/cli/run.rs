//! `pattoo-wasm run`: one command from a collector to a payload that pattoo accepts.
#![expect(clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::time::{SystemTime, UNIX_EPOCH};

use pattoo_tests::{Cli, guest, modbus_device, pattoo_records, web_site};
use serde_json::{Value, json};

/// A number that differs between runs, so that no stored result can match.
fn fresh() -> u16 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    u16::try_from(nanos / 20_000).unwrap_or(1)
}

/// Key, value, type and target of each datapoint as pattoo reads them.
fn summary(body: &Value) -> Vec<Value> {
    let record =
        |record: &Value| json!([record["agent_polled_target"], record["key"], record["value"], record["data_type"]]);
    pattoo_records(body).iter().map(record).collect()
}

/// Two quotes each for the two sites of the documentation's sample.
struct Sites {
    cli: Cli,
    arguments: Vec<String>,
    _site_a: pattoo_tests::Running,
    _work_1: pattoo_tests::Running,
}

impl Sites {
    fn start(quotes: &Value) -> Self {
        let cli = Cli::new();
        for site in ["site_a", "work_1"] {
            std::fs::create_dir(cli.folder().join(site)).expect("a new folder");
            cli.file(&format!("{site}/quotes.json"), quotes[site].to_string());
        }
        let (site_a, work_1) = (web_site(&cli.folder().join("site_a")), web_site(&cli.folder().join("work_1")));
        let origin = |site: &pattoo_tests::Running| format!("http://{}", site.address());
        let settings = json!({"sources": [
            {"target": "SITE_A", "url": format!("{}/quotes.json", origin(&site_a)), "keys": ["ABC", "DEF"]},
            {"target": "WORK_1", "url": format!("{}/quotes.json", origin(&work_1)), "keys": ["GHI", "JKL"]},
        ]});
        cli.file("settings.yaml", settings.to_string());
        let module = guest("lava_script").display().to_string();
        let arguments = [
            "run",
            &module,
            "--program",
            "LAVA_SCRIPT",
            "--interval",
            "20",
            "--settings",
            "settings.yaml",
            "--http",
            &origin(&site_a),
            "--http",
            &origin(&work_1),
        ];
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { cli, arguments, _site_a: site_a, _work_1: work_1 }
    }

    fn run(&self, more: &[&str]) -> pattoo_tests::Finished {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.cli.run(&arguments)
    }
}

#[test]
fn documented_sample_is_read_correctly_by_pattoo() {
    let abc = f64::from(fresh()) + 0.125;
    let sites =
        Sites::start(&json!({"site_a": {"ABC": abc, "DEF": 456.789}, "work_1": {"GHI": 654.321, "JKL": 987.654}}));
    let run = sites.run(&["--hostname", "gateway-7"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let body = run.body();
    assert_eq!(body["pattoo_agent_polling_interval"], 20_000);
    assert_eq!(
        summary(&body),
        [
            json!(["SITE_A", "abc", abc, 101]),
            json!(["SITE_A", "def", 456.789, 101]),
            json!(["WORK_1", "ghi", 654.321, 101]),
            json!(["WORK_1", "jkl", 987.654, 101]),
        ]
    );
    for record in pattoo_records(&body) {
        assert_eq!(record["agent_program"], "LAVA_SCRIPT");
        assert_eq!(record["agent_hostname"], "gateway-7");
        assert_eq!(record["agent_id"], body["pattoo_agent_id"]);
    }
}

#[test]
fn agent_id_is_kept_and_differs_between_programs() {
    let sites = Sites::start(&json!({"site_a": {"ABC": 1.5, "DEF": 2.5}, "work_1": {"GHI": 3.5, "JKL": 4.5}}));
    let id = |more: &[&str]| sites.run(more).body()["pattoo_agent_id"].clone();
    let first = id(&[]);
    assert_eq!(first, id(&[]));
    let module = guest("lava_script").display().to_string();
    let grants = &sites.arguments[6..];
    let other: Vec<&str> = ["run", &module].into_iter().chain(grants.iter().map(String::as_str)).collect();
    assert_ne!(first, sites.cli.run(&other).body()["pattoo_agent_id"]);
}

#[test]
fn pretty_output_is_the_same_payload_on_several_lines() {
    let sites = Sites::start(&json!({"site_a": {"ABC": 1.5, "DEF": 2.5}, "work_1": {"GHI": 3.5, "JKL": 4.5}}));
    let (plain, pretty) = (sites.run(&[]), sites.run(&["--pretty"]));
    assert_eq!(plain.stdout.lines().count(), 1);
    assert!(pretty.stdout.lines().count() > 20);
    assert_eq!(summary(&plain.body()), summary(&pretty.body()));
}

#[test]
fn registers_and_bits_are_collected_as_the_device_holds_them() {
    let (first, second) = (fresh(), fresh());
    let device = modbus_device(&json!({
        "1": {"holding": {"0": [first, 65535, 0]}, "coils": {"16": [true, false]}},
        "7": {"input": {"385": [second]}},
    }));
    let cli = Cli::new();
    cli.file(
        "grants.yaml",
        json!({"modbus": {"plc1": {"url": format!("tcp://{}", device.address()), "units": [1, 7]}}}).to_string(),
    );
    let spans = "spans=[{device: plc1, table: holding, address: 0, count: 3}, {device: plc1, table: coils, address: 16, count: 2}, \
                 {device: plc1, unit: 7, table: input, address: 385, count: 1, scale: 0.1}]";
    let module = guest("modbus_registers").display().to_string();
    let run = cli.run(&["run", &module, "--grants", "grants.yaml", "--setting", spans]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let body = run.body();
    assert_eq!(
        summary(&body),
        [
            json!(["plc1", "holding_register_0", first, 99]),
            json!(["plc1", "holding_register_1", 65535, 99]),
            json!(["plc1", "holding_register_2", 0, 99]),
            json!(["plc1", "coil_16", 1, 99]),
            json!(["plc1", "coil_17", 0, 99]),
            json!(["plc1", "input_register_385", f64::from(second) * 0.1, 99]),
        ]
    );
    let units: Vec<_> = pattoo_records(&body).iter().map(|record| record["metadata"].clone()).collect();
    assert!(units[..5].iter().all(|unit| *unit == json!([["unit", "001"]])), "{units:?}");
    assert_eq!(units[5], json!([["unit", "007"]]));
    let mut requests: Vec<Value> =
        (0..3).map(|_| serde_json::from_str(&device.next_line()).expect("a request")).collect();
    requests.sort_by_key(Value::to_string);
    assert_eq!(requests, [json!([1, 1, 16, 2]), json!([1, 3, 0, 3]), json!([7, 4, 385, 1])]);
}

#[test]
fn posted_payload_is_stored_unchanged_by_the_receiver() {
    let abc = f64::from(fresh()) + 0.5;
    let sites = Sites::start(&json!({"site_a": {"ABC": abc, "DEF": 2.5}, "work_1": {"GHI": 3.5, "JKL": 4.5}}));
    let receiver = sites.cli.receive();
    let run = sites.run(&["--post", &format!("http://{}", receiver.address())]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:#?}");
    let stored = sites.cli.received();
    assert_eq!(stored.len(), 1);
    assert_eq!(summary(&stored[0])[0], json!(["SITE_A", "abc", abc, 101]));
    assert!(receiver.interrupt().success());
}

#[test]
fn run_every_collects_until_it_is_interrupted() {
    let sites = Sites::start(&json!({"site_a": {"ABC": 1.5, "DEF": 2.5}, "work_1": {"GHI": 3.5, "JKL": 4.5}}));
    let arguments: Vec<&str> = sites.arguments.iter().map(String::as_str).chain(["--every", "1"]).collect();
    let mut command = sites.cli.command(&arguments);
    let running = pattoo_tests::Running::start(&mut command, pattoo_tests::ReadyLine::OnStdout, |line| {
        line.starts_with('{').then(pattoo_tests::unused_address)
    });
    let second: Value = serde_json::from_str(&running.next_line()).expect("a second body");
    assert_eq!(summary(&second).len(), 4);
    assert!(running.interrupt().success());
}

#[test]
fn collector_that_emits_nothing_posts_nothing() {
    let cli = Cli::new();
    cli.file("idle.wat", pattoo_tests::IDLE);
    let receiver = cli.receive();
    let run = cli.run(&["run", "idle.wat", "--post", &format!("http://{}", receiver.address())]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:#?}");
    assert!(run.stderr.contains("no datapoint was emitted"), "{}", run.stderr);
    assert!(cli.received().is_empty());
}

#[test]
fn default_hostname_is_the_one_pattoo_uses() {
    let cli = Cli::new();
    let python = std::process::Command::new(pattoo_tests::python())
        .args(["-c", "import socket; print(socket.getfqdn())"])
        .output()
        .expect("the interpreter starts");
    let device = modbus_device(&json!({"1": {"holding": {"0": 1}}}));
    let module = guest("modbus_registers").display().to_string();
    let granted = format!("plc1=tcp://{}", device.address());
    let span = "spans=[{device: plc1, table: holding, address: 0, count: 1}]";
    let run = cli.run(&["run", &module, "--modbus", &granted, "--setting", span]);
    let record = pattoo_records(&run.body()).remove(0);
    assert_eq!(record["agent_hostname"], String::from_utf8_lossy(&python.stdout).trim());
}

#[test]
fn agent_ids_are_read_from_the_directory_in_the_pattoo_configuration() {
    let cli = Cli::new();
    let sites = Sites::start(&json!({"site_a": {"ABC": 1.5, "DEF": 2.5}, "work_1": {"GHI": 3.5, "JKL": 4.5}}));
    let id = "0123456789abcdef".repeat(4);
    std::fs::create_dir_all(cli.folder().join("daemon/agent_id")).expect("a new folder");
    // The file as pattoo_shared writes it.
    cli.file("daemon/agent_id/LAVA_SCRIPT.agent_id", &id);
    cli.file("pattoo.yaml", format!("main:\n  daemon_directory: {}\n", cli.folder().join("daemon").display()));
    let arguments: Vec<&str> = sites.arguments.iter().map(String::as_str).collect();
    let output =
        sites.cli.command(&arguments).env("PATTOO_CONFIGDIR", cli.folder()).output().expect("the command starts");
    let body: Value = serde_json::from_slice(&output.stdout).expect("a body");
    assert_eq!(body["pattoo_agent_id"], id);
}
