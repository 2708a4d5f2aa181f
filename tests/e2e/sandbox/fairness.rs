//! A hundred good collectors stay on schedule beside endless ones.
//!
//! `cargo xtask soak fairness` runs it for two minutes; `FAIRNESS_SECONDS` and
//! `FAIRNESS_COLLECTORS` override duration and number.
#![expect(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::{collections::BTreeMap, thread::available_parallelism, time::Duration};

use pattoo_tests::{Cli, SPINNING, Site, guest, setting};
use serde_json::{Value, json};

/// How far each collection of the good collectors deviates from the schedule of its program, in
/// milliseconds.
fn strays(taken: &[Value], interval: u64) -> Vec<u64> {
    let mut by_program: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for body in taken {
        let pairs = body.pointer("/pattoo_datapoints/key_value_pairs").and_then(Value::as_object).expect("pairs");
        let value =
            |key: &str| pairs.values().find(|pair| pair.get(0).is_some_and(|name| name == key))?.get(1).cloned();
        let program = value("pattoo_agent_program").and_then(|name| Some(name.as_str()?.to_owned())).expect("a name");
        by_program
            .entry(program)
            .or_default()
            .push(value("pattoo_timestamp").and_then(|at| at.as_u64()).expect("a time"));
    }
    let apart = move |one: u64, other: u64| {
        let off = one.abs_diff(other) % interval;
        off.min(interval - off)
    };
    let beat = |times: Vec<u64>| {
        // Any collection may be late: the schedule is taken from the one to which the others are
        // nearest.
        let from = |first: u64| times.iter().map(|at| apart(*at, first)).collect::<Vec<_>>();
        times
            .iter()
            .take(20)
            .map(|first| from(*first))
            .min_by_key(|strays| strays.iter().sum::<u64>())
            .unwrap_or_default()
    };
    let mut strays: Vec<u64> = by_program.into_values().flat_map(beat).collect();
    strays.sort_unstable();
    strays
}

#[test]
#[ignore = "minutes long: `cargo xtask soak fairness` runs it"]
fn hundred_collectors_stay_on_schedule_beside_endless_collectors() {
    let (seconds, collectors) =
        (setting("FAIRNESS_SECONDS").unwrap_or(120), setting("FAIRNESS_COLLECTORS").unwrap_or(100));
    let spinning = available_parallelism().expect("processors").get();
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    let module = site.file("spinning.wat", SPINNING);
    let mut all: Vec<Value> = (0..collectors)
        .map(|number| json!({"program": format!("GOOD_{number}"), "module": guest("counter"), "polling_interval": 1}))
        .collect();
    // Each is stopped after 4.5 of its 5 seconds, and starts again.
    all.extend((0..spinning).map(|number| {
        let limits = json!({"timeout": "4500ms"});
        json!({"program": format!("SPINNING_{number}"), "module": module, "polling_interval": 5, "limits": limits})
    }));
    site.configure(&all.into());
    let daemon = site.start();
    std::thread::sleep(Duration::from_secs(seconds));
    let metrics = daemon.metrics();
    let of = |name: &str| metrics.get(name).copied().unwrap_or_else(|| panic!("there is no {name}"));
    let within = of("pattoo_wasm_lateness_seconds_bucket{le=\"0.02\"}") / of("pattoo_wasm_lateness_seconds_count");
    assert!(daemon.end("TERM").success());
    let strays = strays(&cli.received(), 1000);
    let place = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let index = (strays.len() as f64 * share) as usize;
        strays.get(index.min(strays.len() - 1)).copied().expect("there were collections")
    };
    let (typical, most) = (place(0.5), place(0.99));
    println!(
        "{collectors} collectors every second beside {spinning} that never end, for {seconds} s: {} collections; {:.2} % of all began within \
         20 ms of their time, as the daemon counts them; by the timestamps of their datapoints half of them strayed \
         from their beat by at most {typical} ms and 99 % by at most {most} ms",
        strays.len(),
        within * 100.0,
    );
    assert!(most <= 50, "{most} ms");
}
