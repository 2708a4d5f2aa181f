//! A thousand collectors for a while: no drift, flat memory, no growth of open files.
//!
//! `cargo xtask soak scale` runs it for ten minutes; `SCALE_SECONDS`, `SCALE_COLLECTORS` and
//! `SCALE_INTERVAL` say otherwise.
#![expect(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{collections::BTreeMap, fs, time::Duration};

use pattoo_tests::{Cli, Daemon, Site, guest, resident_kib, setting};
use serde_json::{Value, json};

/// Resident memory in KiB, and open files.
fn size(daemon: &Daemon) -> (u64, usize) {
    (resident_kib(daemon.pid()), fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs").count())
}

/// The timestamps of each program's collections.
fn timestamps(taken: &[Value]) -> BTreeMap<String, Vec<u64>> {
    let mut by_program: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for body in taken {
        let pairs = body["pattoo_datapoints"]["key_value_pairs"].as_object().expect("pairs");
        let value = |key: &str| pairs.values().find(|pair| pair[0] == key).map(|pair| pair[1].clone());
        let program = value("pattoo_agent_program").and_then(|name| Some(name.as_str()?.to_owned())).expect("a name");
        let at = value("pattoo_timestamp").and_then(|at| at.as_u64()).expect("a timestamp");
        by_program.entry(program).or_default().push(at);
    }
    by_program
}

#[test]
#[ignore = "minutes long: `cargo xtask soak scale` runs it"]
fn thousand_collectors_neither_drift_nor_grow_in_memory() {
    let (seconds, collectors) = (setting("SCALE_SECONDS").unwrap_or(600), setting("SCALE_COLLECTORS").unwrap_or(1000));
    let interval = setting("SCALE_INTERVAL").unwrap_or(10);
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    let collector =
        |number| json!({"program": format!("C_{number}"), "module": guest("counter"), "polling_interval": interval});
    site.configure(&(0..collectors).map(collector).collect());
    let daemon = site.start();

    let samples = 40;
    let mut sizes = Vec::new();
    for _ in 0..samples {
        std::thread::sleep(Duration::from_millis(seconds * 1000 / samples));
        sizes.push(size(&daemon));
    }
    let metrics = daemon.metrics();
    let sum = |name: &str, label: &str| -> f64 {
        metrics.iter().filter(|(key, _)| key.starts_with(name) && key.contains(label)).map(|(_, value)| value).sum()
    };
    let completed = sum("pattoo_wasm_collections_total", "outcome=\"completed\"");
    let skipped = sum("pattoo_wasm_collections_skipped_total", "reason");
    let within = |bound: &str| {
        metrics[&format!("pattoo_wasm_lateness_seconds_bucket{{le=\"{bound}\"}}")]
            / metrics["pattoo_wasm_lateness_seconds_count"]
    };
    let queued = metrics["pattoo_wasm_spool_payloads"];
    assert!(daemon.end("TERM").success());

    // How far each program's collections deviate from multiples of the interval after its first
    // one.
    let millis = interval * 1000;
    let mut drift: Vec<u64> = Vec::new();
    for times in timestamps(&cli.received()).values() {
        let first = times[0];
        drift.extend(times.iter().map(|at| {
            let off = at.abs_diff(first) % millis;
            off.min(millis - off)
        }));
    }
    drift.sort_unstable();
    let typical = drift[drift.len() / 2];
    let (early, late) = (&sizes[sizes.len() / 4..sizes.len() / 2], &sizes[sizes.len() * 3 / 4..]);
    let most = |part: &[(u64, usize)]| (part.iter().map(|size| size.0).max(), part.iter().map(|size| size.1).max());
    println!(
        "{collectors} collectors every {interval} s for {seconds} s: {completed} collections, {skipped} runs skipped, \
         {:.2} % began within 20 ms of their time, {:.2} % within 100 ms; half of them within {typical} ms of the first one's beat, all within {:?} ms; \
         {queued} payloads waiting; resident KiB and open files at most {:?} in the second quarter, {:?} in the last",
        within("0.02") * 100.0,
        within("0.1") * 100.0,
        drift.last(),
        most(early),
        most(late),
    );
    assert_eq!(skipped, 0.0);
    assert!(within("0.1") >= 0.99);
    assert!(typical <= 20);
    let ((early_kib, early_files), (late_kib, late_files)) = (most(early), most(late));
    let slack = |kib: u64| kib + kib / 10 + 8 * 1024;
    assert!(late_kib <= early_kib.map(slack), "memory grows: {sizes:?}");
    assert!(late_files <= early_files.map(|files| files + 8), "open files grow: {sizes:?}");
}
