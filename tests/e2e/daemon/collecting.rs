//! `pattoo-wasm daemon`: each collector runs on its schedule, whatever happens to others, and its
//! datapoints arrive.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{fs, time::Duration};

use pattoo_tests::{Cli, Daemon, IDLE, Site, emits_and, guest, unused_address};
use serde_json::json;

use super::{counter, counts, site, wait_for_counts};

/// How far a collection may deviate from its schedule, in milliseconds: the lateness and duration
/// that the daemon itself counts on a busy machine, and a margin.
fn slack(daemon: &Daemon, program: &str) -> u64 {
    let metrics = daemon.metrics();
    let seconds = |name: &str| metrics[&format!("pattoo_wasm_collection_{name}{{program=\"{program}\"}}")];
    let known = Duration::from_secs_f64(seconds("lateness_seconds_total") + seconds("duration_seconds_sum"));
    u64::try_from(known.as_millis()).expect("less than an age") + 200
}

/// How far this many milliseconds are from whole seconds.
fn off_the_second(millis: u64) -> u64 {
    (millis % 1000).min(1000 - millis % 1000)
}

#[test]
fn each_collector_runs_on_its_interval_and_its_datapoints_arrive_in_order() {
    let (cli, _receiver, site) = site();
    site.configure(&json!([counter("A"), counter("B")]));
    let daemon = site.start();
    for program in ["A", "B"] {
        let counts = wait_for_counts(&daemon, &cli, program, 4);
        assert!(counts.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{counts:?}");
        let slack = slack(&daemon, program);
        for two in counts.windows(2) {
            let apart = two[1].1.abs_diff(two[0].1);
            assert!(apart + slack >= 1000 && off_the_second(apart) <= slack, "{slack} ms: {counts:?}");
        }
    }
    let before = slack(&daemon, "A");
    assert!(daemon.end("TERM").success());
    // Numbers and schedule continue after a restart: the offset depends only on the program.
    let old = counts(&cli, "A");
    let daemon = site.start();
    let new = wait_for_counts(&daemon, &cli, "A", old.len() + 2);
    assert!(new.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{new:?}");
    let last = |counts: &[(u64, u64)]| counts.last().expect("a count").1;
    assert!(off_the_second(last(&new).abs_diff(last(&old))) <= before + slack(&daemon, "A"), "{old:?} {new:?}");
}

#[test]
fn trapping_collector_affects_no_other_and_its_status_says_why() {
    let (cli, _receiver, site) = site();
    site.file("trap.wat", IDLE.replace("i32.const 0)", "unreachable)"));
    site.configure(&json!([
        counter("A"),
        {"program": "TRAPS", "module": "trap.wat", "polling_interval": 1},
        {"program": "GONE", "module": "gone.wasm", "polling_interval": 1},
    ]));
    let daemon = site.start();
    daemon.wait_until("a second trap", |daemon| {
        daemon.status_of("TRAPS").is_some_and(|status| status["collections"].as_u64() >= Some(2))
    });
    wait_for_counts(&daemon, &cli, "A", 3);
    let traps = daemon.status_of("TRAPS").expect("it is listed");
    assert_eq!((&traps["state"], &traps["last"]["outcome"]), (&"failing".into(), &"trap".into()));
    let words = traps["last"]["message"].as_str().expect("words");
    assert!(words.starts_with("the collector trapped: wasm `unreachable` instruction executed"), "{words}");
    let gone = daemon.status_of("GONE").expect("it is listed");
    assert_eq!(gone["state"], "not_loaded");
    assert!(gone["load_error"].as_str().is_some_and(|trouble| trouble.contains("gone.wasm")), "{gone}");
    // It recovers when its file appears.
    site.file("gone.wasm", fs::read(guest("counter")).expect("a module"));
    wait_for_counts(&daemon, &cli, "GONE", 1);
    assert!(daemon.end("INT").success());
}

#[test]
fn module_with_another_digest_than_pinned_is_refused() {
    let (cli, _receiver, site) = site();
    site.configure(&json!([
        {"program": "A", "module": guest("counter"), "polling_interval": 1, "sha256": "0".repeat(64)},
        counter("B"),
    ]));
    let daemon = site.start();
    wait_for_counts(&daemon, &cli, "B", 1);
    let status = daemon.status_of("A").expect("it is listed");
    assert!(status["load_error"].as_str().is_some_and(|trouble| trouble.contains("`sha256` is 0000")), "{status}");
    assert_eq!(counts(&cli, "A"), []);
}

#[test]
fn second_daemon_in_a_directory_is_refused() {
    let site = Site::new(unused_address());
    site.configure(&json!([counter("A")]));
    let first = site.start();
    let (status, said) = Daemon::start(&mut site.command()).wait();
    assert_eq!(status.code(), Some(2), "{said:#?}");
    let said = said.join(" ");
    assert!(said.contains("in use by another daemon") && said.contains(&first.pid().to_string()), "{said}");
    // A killed daemon leaves no lock.
    drop(first);
    site.start();
}

#[test]
fn payloads_wait_for_an_unavailable_server_and_are_delivered_later() {
    let address = unused_address();
    let site = Site::new(address);
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    daemon.wait_until("three bodies in the spool", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 3.0);
    assert!(daemon.end("TERM").success());
    // A closed spool is a single file.
    let spool = site.folder().join("daemon/pattoo_wasm/spool");
    assert!(spool.join("spool.sqlite3").exists() && !spool.join("spool.sqlite3-wal").exists());
    let cli = Cli::new();
    let _receiver = cli.receive_at(&address.to_string());
    let daemon = site.start();
    let counts = wait_for_counts(&daemon, &cli, "A", 4);
    assert!(counts.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{counts:?}");
}

#[test]
fn second_sigterm_abandons_a_running_collection_and_exits_cleanly() {
    let site = Site::new(unused_address());
    site.file("spin.wat", IDLE.replace("i32.const 0)", "(loop br 0) i32.const 0)"));
    site.configure(&json!([
        {"program": "SPINS", "module": "spin.wat", "polling_interval": 1, "limits": {"timeout": "10m"}},
    ]));
    let daemon = site.start();
    daemon.wait_until("a collection", |daemon| daemon.metrics()["pattoo_wasm_collections_running"] >= 1.0);
    daemon.signal("TERM");
    daemon.wait_for("stopping: waiting up to 10s for 1 running collection");
    // A second signal stops it at once.
    daemon.signal("TERM");
    daemon.wait_for("second signal to stop");
    let (status, _) = daemon.wait();
    assert!(status.success());
}

#[test]
fn datapoints_emitted_before_a_failure_are_delivered() {
    let (cli, _receiver, site) = site();
    let ends = [
        ("FAILS", "i32.const 128", "failed"),
        ("TRAPS", "unreachable", "trap"),
        ("SPINS", "(loop br 0) unreachable", "deadline"),
    ];
    let collector = |(program, end, outcome): (&str, &str, &str)| {
        let module = site.file(&format!("{program}.wat"), emits_and(end));
        // Long enough to emit on a busy machine, since a collector that emits nothing backs off.
        let timeout = if outcome == "deadline" { "1500ms" } else { "1m" };
        json!({"program": program, "module": module, "polling_interval": 1, "limits": {"timeout": timeout}})
    };
    site.configure(&ends.map(collector).to_vec().into());
    let daemon = site.start();
    for (program, _, outcome) in ends {
        // Each emitted a datapoint, so none backs off.
        let ended = format!("pattoo_wasm_collections_total{{program=\"{program}\",outcome=\"{outcome}\"}}");
        daemon.wait_until("three collections", |daemon| daemon.metrics()[&ended] >= 3.0);
        wait_for_counts(&daemon, &cli, program, 3);
        let backoff = format!("pattoo_wasm_collections_skipped_total{{program=\"{program}\",reason=\"backoff\"}}");
        assert_eq!(daemon.metrics()[&backoff], 0.0);
    }
}
