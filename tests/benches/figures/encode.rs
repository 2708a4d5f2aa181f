//! Normalising, checksums and encoding, compared with the bare chain of SHA-256 and with
//! `pattoo_shared`.

use std::{hint::black_box, process::Command};

use pattoo_measurement::{Agent, DEFAULT_FUTURE_BOUND};
use pattoo_output::pattoo::{Batch, Body};
use pattoo_tests::{
    NOW, agent, candidates,
    figures::{Target, cpu_seconds, interleaved, say},
    peer, python,
};
use sha2::{Digest as _, Sha256};

use super::rival_process::RivalProcess;

/// About the most datapoints that one call of a guest passes.
const CALL: usize = 10_000;
/// The approximate number of datapoints of one sample.
const SAMPLE: usize = 20_000;

pub(crate) fn figures() {
    for points in [1, 100, 1000, 20_000, 200_000] {
        let collections = (SAMPLE / points).max(1);
        let rounds = if points > SAMPLE { 9 } else { 31 };
        let keys: Vec<String> = (0..points).map(|number| format!("holding_register_{number}")).collect();
        let agent = agent("modbus_registers");
        let rate = || {
            let seconds: f64 = (0..collections).map(|_| collection(points).0).sum();
            (points * collections) as f64 / seconds
        };
        let chain = || {
            let seconds = cpu_seconds(|| {
                for _ in 0..collections {
                    for key in &keys {
                        black_box(bare_chain(key, &agent));
                    }
                }
            });
            (points * collections) as f64 / seconds
        };
        // A payload of one datapoint consists mostly of its frame.
        let target = if points == 1 { Target::None } else { Target::TimesAtLeast(0.7) };
        let (ours, other) = interleaved(rounds, rate, chain);
        say(&format!("encode: datapoints/s, {points} a payload, against the bare chain"), &ours, Some(&other), target);
    }
    against_pattoo_shared();
}

fn against_pattoo_shared() {
    const POINTS: usize = 5000;
    let mut pattoo =
        RivalProcess::start(Command::new(python()).arg(peer("pattoo_collect.py")).args([&POINTS.to_string(), "1"]));
    let rate = |seconds: f64| POINTS as f64 / seconds;
    let ours = || rate((0..10).map(|_| collection(POINTS).0).sum::<f64>() / 10.0);
    let (ours, other) = interleaved(3, ours, || rate(pattoo.seconds()));
    let name = "encode: datapoints/s, 5000 a payload, against pattoo_shared";
    say(name, &ours, Some(&other), Target::None);
}

/// One collection's seconds of a processor, and what came of it. The datapoints come in calls, as
/// they do from a guest.
fn collection(points: usize) -> (f64, Body) {
    let mut seconds = 0.0;
    let mut batch = None;
    seconds += cpu_seconds(|| {
        batch = Some(Batch::new(agent("modbus_registers"), DEFAULT_FUTURE_BOUND));
    });
    let mut batch = batch.unwrap();
    for first in (0..points).step_by(CALL) {
        let candidates = candidates(i64::try_from(first).unwrap()..i64::try_from(points.min(first + CALL)).unwrap());
        seconds += cpu_seconds(|| assert!(batch.emit("plc1", candidates, NOW).unwrap().is_empty()));
    }
    let mut body = None;
    seconds += cpu_seconds(|| body = batch.into_body(NOW));
    (seconds, body.unwrap())
}

/// The checksum as its definition says, and nothing else.
fn bare_chain(key: &str, agent: &Agent) -> [u8; 64] {
    let first = Sha256::new().chain_update(key).chain_update("99").finalize();
    [
        ("pattoo_agent_hostname", agent.hostname.as_str()),
        ("pattoo_agent_id", agent.id.as_str()),
        ("pattoo_agent_polled_target", "plc1"),
        ("pattoo_agent_program", agent.program.as_str()),
    ]
    .into_iter()
    .fold(hex(&first.into()), |digits, (key, value)| {
        hex(&Sha256::new().chain_update(digits).chain_update(key).chain_update(value).finalize().into())
    })
}

fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 15].map(|nibble| nibble + if nibble > 9 { b'a' - 10 } else { b'0' });
    }
    text
}
