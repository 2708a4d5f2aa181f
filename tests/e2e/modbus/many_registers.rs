//! A collector that reads many registers of many devices in one call.

#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::{
    fmt::Write as _,
    future::pending,
    time::{Duration, Instant},
};

use pattoo_tests::{Cli, Finished, guest};
use pattoo_wasm::simulate::Simulation;
use serde_json::json;

/// Runs the collector `modbus-tcp` for 199 registers of each device.
pub(super) fn run_modbus_tcp(devices: &[(String, String)], more: &[&str]) -> Finished {
    let cli = Cli::new();
    let targets: Vec<_> = devices.iter().map(|(name, _)| name).collect();
    let registers: Vec<_> = (40_001..40_200).map(|number| json!({ "address": number })).collect();
    let group = json!({ "group_name": "all", "ip_targets": targets, "unit": 1, "holding_registers": registers });
    cli.file("settings.yaml", json!({ "pattoo_agent_modbustcpd": { "polling_groups": [group] } }).to_string());
    let mut grants = "modbus:\n".to_owned();
    for (name, grant) in devices {
        writeln!(grants, "  {name}: {{ {grant} }}").unwrap();
    }
    cli.file("grants.yaml", grants);
    let module = guest("modbus_tcp").display().to_string();
    cli.run(&[&["run", &module, "--settings", "settings.yaml", "--grants", "grants.yaml"], more].concat())
}

/// The number of datapoints that a run would have sent.
pub(super) fn datapoints(run: &Finished) -> usize {
    run.body().pointer("/pattoo_datapoints/datapoint_pairs").unwrap().as_array().unwrap().len()
}

/// Ten simulated devices with 199 registers each. `more` is a part of the text of the last one.
fn ten_devices(more: &str) -> (tokio::runtime::Runtime, Vec<(String, String)>) {
    let registers: Vec<u16> = (0..199).collect();
    let device =
        |more: &str| format!("  - {{ listen: 0, {more} units: {{ 1: {{ holding: {{ 0: {registers:?} }} }} }} }}\n");
    let text = format!("devices:\n{}{}", device("").repeat(9), device(more));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = runtime.block_on(Simulation::from_yaml(&text).unwrap().bind()).unwrap();
    let grant = |url: &str| format!("url: \"{url}\", request_timeout: 1m");
    let devices = bound.devices().into_iter().enumerate();
    let devices = devices.map(|(number, device)| (format!("plc{number}"), grant(&device.url))).collect();
    runtime.spawn(bound.serve(pending()));
    (runtime, devices)
}

#[test]
fn more_spans_than_may_be_read_at_the_same_time_are_all_read_in_one_call() {
    let (_runtime, devices) = ten_devices("");
    for at_once in ["concurrent_spans=1000", "concurrent_spans=30"] {
        let run = run_modbus_tcp(&devices, &["--timeout", "1m", "--limit", at_once, "-v"]);
        assert_eq!((run.code, datapoints(&run)), (Some(0), 1990), "{at_once}: {run:#?}");
        assert!(run.stderr.contains("(limit concurrent_spans); further requests wait"), "{}", run.stderr);
    }
}

#[test]
fn deadline_costs_only_the_device_that_had_not_answered() {
    let (_runtime, devices) = ten_devices("faults: [{ fault: silence }],");
    let started = Instant::now();
    let run = run_modbus_tcp(&devices, &["--timeout", "4s"]);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!((run.code, datapoints(&run)), (Some(0), 9 * 199), "{run:#?}");
    // The first request to the device was sent, and the second was not.
    for why in ["the device did not answer in time", "not read: the deadline was near"] {
        assert!(run.stderr.contains(why), "{why}: {}", run.stderr);
    }
}
