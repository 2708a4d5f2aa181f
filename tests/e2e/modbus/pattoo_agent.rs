//! The collector `modbus-tcp` compared with pattoo's own agent for Modbus TCP, on the same file and
//! devices.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests may do what tests may do"
)]

use std::{collections::HashSet, fmt::Write as _, process::Command};

use pattoo_tests::{Cli, Running, guest, modbus_device, peer, python};
use serde_json::{Value, json};

const PROGRAM: &str = "pattoo_agent_modbustcpd";

/// Two devices, of which the second has a hole at address 402.
struct Devices {
    devices: [(&'static str, Running); 2],
}

impl Devices {
    fn new() -> Self {
        let registers = |start: u16| (start..start + 300).map(|value| value * 7).collect::<Vec<_>>();
        let tables =
            |start: u16| json!({ "input": { "385": registers(start) }, "holding": { "385": registers(start + 1000) } });
        let with_hole = json!({ "input": { "385": registers(5000)[..17], "403": registers(6000) }, "holding": { "385": registers(7000) } });
        Self {
            devices: [
                ("192.0.2.10", modbus_device(&json!({ "0": tables(1), "7": tables(400) }))),
                ("192.0.2.11", modbus_device(&json!({ "0": with_hole, "7": tables(900) }))),
            ],
        }
    }

    /// The payload of our collector for a file.
    fn ours(&self, file: &Value) -> Value {
        let cli = Cli::new();
        cli.file("pattoo_agent_modbustcpd.yaml", file.to_string());
        let mut grants = "modbus:\n".to_owned();
        for (name, device) in &self.devices {
            writeln!(grants, "  {name}: {{ url: \"tcp://{}\", unit: 0, units: [7] }}", device.address()).unwrap();
        }
        cli.file("grants.yaml", grants);
        let module = guest("modbus_tcp").display().to_string();
        let arguments = ["run", &module, "--program", PROGRAM, "--hostname", "gateway-7", "--interval", "20"];
        let files = ["--settings", "pattoo_agent_modbustcpd.yaml", "--grants", "grants.yaml"];
        let run = cli.run(&[&arguments[..], &files[..]].concat());
        assert_eq!(run.code, Some(0), "{run:#?}");
        run.body()
    }

    /// The datapoints that the agent posts under the same id, with or without its two faults, as
    /// pairs.
    fn theirs(&self, file: &Value, agent_id: &Value, faulty: bool) -> Vec<Value> {
        let ports: serde_json::Map<_, _> =
            self.devices.iter().map(|(name, device)| ((*name).to_owned(), device.address().port().into())).collect();
        let case =
            json!({ "file": file, "ports": ports, "agent_id": agent_id, "hostname": "gateway-7", "faulty": faulty });
        let output = Command::new(python()).arg(peer("modbus_agent.py")).arg(case.to_string()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The datapoints of our body as `modbus_agent.py` prints them.
fn resolved(body: &Value) -> Vec<Value> {
    let pairs = &body["pattoo_datapoints"]["key_value_pairs"];
    let spelled = |value: &Value| match value {
        Value::Number(number) => json!(format!("n:{}", fraction(number.as_f64().unwrap()))),
        text => json!(format!("s:{}", text.as_str().unwrap())),
    };
    let datapoint = |row: &Value| -> Value {
        let row = row.as_array().unwrap().iter().map(|id| &pairs[id.to_string()]);
        row.filter(|pair| pair[0] != "pattoo_timestamp").map(|pair| json!([pair[0], spelled(&pair[1])])).collect()
    };
    body["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap().iter().map(datapoint).collect()
}

/// A non-negative number as Python's `Fraction` writes it.
fn fraction(number: f64) -> String {
    let (mut numerator, mut denominator) = (number, 1_u128);
    while numerator.fract() != 0.0 {
        (numerator, denominator) = (numerator * 2.0, denominator * 2);
    }
    if denominator == 1 { format!("{numerator:.0}") } else { format!("{numerator:.0}/{denominator}") }
}

fn pair<'a>(datapoint: &'a Value, key: &str) -> &'a Value {
    &datapoint.as_array().unwrap().iter().find(|pair| pair[0] == key).unwrap()[1]
}

/// The same datapoints grouped by target, as our payload lists them.
fn by_target(datapoints: Vec<Value>) -> Vec<Value> {
    let target = |datapoint: &Value| pair(datapoint, "pattoo_agent_polled_target").clone();
    let mut seen = HashSet::new();
    let targets: Vec<_> = datapoints.iter().map(target).filter(|name| seen.insert(name.clone())).collect();
    let of = |name: &Value| datapoints.iter().filter(|one| target(one) == *name).cloned().collect::<Vec<_>>();
    targets.iter().flat_map(of).collect()
}

fn file(groups: Value) -> Value {
    json!({ PROGRAM: { "polling_interval": 20, "polling_groups": groups } })
}

#[test]
fn same_file_gives_the_same_datapoints_order_and_checksums() {
    let devices = Devices::new();
    let file = file(json!([{
        "group_name": "G1",
        "ip_targets": ["192.0.2.10"],
        "input_registers": [{ "address": 30388, "multiplier": 0.1 }, { "address": 30386, "multiplier": 1 }, { "address": 300_390 },
                            { "address": 30387 }, { "address": 30500, "multiplier": 0 }, 30389],
        "holding_registers": [{ "address": 40386, "multiplier": 0.1 }, { "address": 40400, "multiplier": 2.5 }],
    }]));
    let body = devices.ours(&file);
    let theirs = devices.theirs(&file, &body["pattoo_agent_id"], true);
    assert_eq!(theirs.len(), 7);
    assert_eq!(resolved(&body), theirs);
    assert_eq!(body["pattoo_agent_polling_interval"], 20_000);
}

#[test]
fn groups_targets_and_units_give_what_the_agent_is_documented_to_give() {
    let devices = Devices::new();
    let both = json!(["192.0.2.10", "192.0.2.11"]);
    let run =
        |first: u32, count: u32| (first..first + count).map(|address| json!({ "address": address })).collect::<Value>();
    let file = file(json!([
        { "group_name": "G1", "ip_targets": both, "input_registers": run(30386, 5), "holding_registers": run(40386, 3) },
        { "group_name": "G2", "ip_targets": both, "input_registers": run(30386, 130), "holding_registers": run(40390, 200), "unit": 7 },
    ]));
    let body = devices.ours(&file);
    let ours = resolved(&body);
    assert_eq!(ours.len(), 2 * (5 + 3 + 130 + 200));
    let meant = devices.theirs(&file, &body["pattoo_agent_id"], false);
    assert_eq!(ours, by_target(meant));

    // The real agent differs only by its two faults.
    let given = devices.theirs(&file, &body["pattoo_agent_id"], true);
    let key = |datapoint: &Value| pair(datapoint, "pattoo_key").as_str().unwrap().to_owned();
    let unit = |datapoint: &Value| pair(datapoint, "unit").clone();
    let holding = |datapoint: &Value| key(datapoint).starts_with("s:holding");
    let (same, different): (Vec<_>, Vec<_>) = given.iter().partition(|datapoint| ours.contains(datapoint));
    // It reads none of 130 adjacent input registers, and only the first of adjacent holding
    // registers.
    assert_eq!(same.len(), 2 * (5 + 1));
    assert!(same.iter().all(|datapoint| unit(datapoint) == "s:000"));
    // And that one comes from unit 0 under the name of unit 7.
    assert_eq!(different.len(), 2);
    for datapoint in different {
        assert!(holding(datapoint) && unit(datapoint) == "s:007", "{datapoint}");
        let twin = |one: &&Value| pair(one, "pattoo_checksum") == pair(datapoint, "pattoo_checksum");
        let twin = ours.iter().find(twin).unwrap();
        assert_ne!(pair(twin, "pattoo_value"), pair(datapoint, "pattoo_value"));
    }
}

#[test]
fn missing_register_costs_only_itself_and_not_its_neighbours() {
    let devices = Devices::new();
    let run: Value = (30400..30407).map(|address| json!({ "address": address })).collect();
    let file = file(json!([{ "group_name": "G1", "ip_targets": ["192.0.2.11"], "input_registers": run }]));
    let body = devices.ours(&file);
    let keys: Vec<_> = resolved(&body).iter().map(|datapoint| pair(datapoint, "pattoo_key").clone()).collect();
    let expected = [30400, 30401, 30402, 30404, 30405, 30406].map(|number| json!(format!("s:input_register_{number}")));
    assert_eq!(keys, expected);
    // The agent reads the adjacent registers in one request and gets nothing.
    assert_eq!(devices.theirs(&file, &body["pattoo_agent_id"], true), [Value::Null; 0]);
}
