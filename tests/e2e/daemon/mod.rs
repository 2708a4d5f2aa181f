//! The daemon: schedule, supervision, signals, status, logs, and upgrades.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics has failed, as it should")]

use std::{os::unix::net::UnixDatagram, time::Duration};

use pattoo_tests::{Cli, Daemon, Running, Site, guest};
use serde_json::{Value, json};

mod address_space;
mod alerts;
mod clock_and_name;
mod collecting;
mod log;
mod log_folding;
mod log_rotation;
mod monitoring;
mod operator;
mod reload;
mod scale;
mod status;
mod supervision;
mod systemd;
mod upgrade;

/// A receiver, and a site that posts to it.
fn site() -> (Cli, Running, Site) {
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    (cli, receiver, site)
}

fn counter(program: &str) -> Value {
    json!({"program": program, "module": guest("counter"), "polling_interval": 1})
}

/// The numbers that a program's counter sent, with their timestamps, in the order of arrival.
fn counts(cli: &Cli, program: &str) -> Vec<(u64, u64)> {
    let mut counts = Vec::new();
    for body in cli.received() {
        let data = &body["pattoo_datapoints"];
        let pair = |id: &Value| data["key_value_pairs"][id.to_string()].clone();
        for row in data["datapoint_pairs"].as_array().expect("rows") {
            let pairs: Vec<Value> = row.as_array().expect("ids").iter().map(pair).collect();
            let value = |key: &str| pairs.iter().find(|pair| pair[0] == key).map(|pair| pair[1].clone());
            if value("pattoo_agent_program") == Some(program.into()) {
                let number = |key| value(key).and_then(|value| value.as_u64()).expect("a number");
                counts.push((number("pattoo_value"), number("pattoo_timestamp")));
            }
        }
    }
    counts
}

#[track_caller]
fn wait_for_counts(daemon: &Daemon, cli: &Cli, program: &str, count: usize) -> Vec<(u64, u64)> {
    daemon.wait_until(&format!("count {count} of {program}"), |_| counts(cli, program).len() >= count);
    counts(cli, program)
}

/// The next notification to the service manager that contains this line.
fn heard(manager: &UnixDatagram, line: &str) -> String {
    manager.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    let mut message = [0; 1000];
    loop {
        let length = manager.recv(&mut message).expect("a message within a minute");
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if text.lines().any(|said| said == line) {
            return text;
        }
    }
}
