//! SIGHUP: what a new configuration changes, and what it leaves unchanged.
#![expect(
    clippy::expect_used,
    clippy::float_cmp,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    sync::{Mutex, mpsc::channel},
    time::Duration,
};

use pattoo_tests::{Daemon, IDLE, RawSite, dependent_branches, guest, http_ok};
use serde_json::{Value, json};

use super::{counter, counts, heard, site, wait_for_counts};

#[test]
fn sighup_adds_removes_and_replaces_collectors_without_loss() {
    let (cli, _receiver, site) = site();
    site.file("b.wasm", fs::read(guest("counter")).expect("a module"));
    let b = json!({"program": "B", "module": "b.wasm", "polling_interval": 1});
    site.configure(&json!([counter("A"), b, counter("REMOVED")]));
    let daemon = site.start();
    wait_for_counts(&daemon, &cli, "B", 1);
    wait_for_counts(&daemon, &cli, "REMOVED", 1);

    site.configure(&json!([counter("A"), b, counter("ADDED")]));
    site.file("b.wasm", "this is no module");
    daemon.signal("HUP");
    daemon.wait_for("REMOVED: no longer run");
    daemon.wait_for("collectors run");
    // The unusable module did not replace the running one, and the status says why.
    let status = daemon.status_of("B").expect("it is listed");
    assert!(status["load_error"].as_str().is_some_and(|trouble| trouble.contains("b.wasm")), "{status}");
    let before = counts(&cli, "B").len();
    wait_for_counts(&daemon, &cli, "B", before + 2);
    wait_for_counts(&daemon, &cli, "ADDED", 1);
    assert!(daemon.status_of("REMOVED").is_none());

    site.file("b.wasm", IDLE);
    daemon.signal("HUP");
    daemon.wait_for("B: runs");
    daemon.wait_for("collectors run");
    assert!(daemon.status_of("B").is_some_and(|status| status["load_error"].is_null()));

    // A configuration that cannot be used changes nothing.
    site.file("pattoo_wasm.yaml", "pattoo_wasm: { colectors: [] }");
    daemon.signal("HUP");
    daemon.wait_for("the new configuration is refused, and the previous one stays in effect: it has 1 problem");
    daemon.wait_for("3 of 3 collectors run with the previous configuration: the new one was refused");
    let before = counts(&cli, "A").len();
    let numbers = wait_for_counts(&daemon, &cli, "A", before + 2);
    assert!(numbers.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{numbers:?}");
    let metrics = daemon.metrics();
    assert_eq!(metrics["pattoo_wasm_reloads_total{result=\"applied\"}"], 2.0);
    assert_eq!(metrics["pattoo_wasm_reloads_total{result=\"refused\"}"], 1.0);
}

/// A module that takes a compiler minutes; a different one for each number.
fn giant(number: u32) -> Vec<u8> {
    let function = format!("(func (param i32 i32 i32) (drop (i32.const {number})) {})", dependent_branches(60_000));
    wat::parse_str(IDLE.replacen("(memory", &format!("{function} (memory"), 1)).expect("a module")
}

#[test]
fn slow_compilations_delay_no_other_collector_at_start_or_reload() {
    let (cli, _receiver, site) = site();
    let state = |daemon: &Daemon, program: &str| daemon.status_of(program).map(|status| status["state"].clone());
    let slow: Vec<_> = (0..3).map(|number| format!("SLOW_{number}")).collect();
    let mut all: Vec<Value> = slow
        .iter()
        .zip(0..)
        .map(|(program, number)| {
            let module = site.file(&format!("{program}.wasm"), giant(number));
            json!({"program": program, "module": module, "polling_interval": 1, "limits": {"compile_time": "1h"}})
        })
        .collect();
    site.file("good.wasm", fs::read(guest("counter")).expect("a module"));
    all.extend(
        (0..5).map(|number| json!({"program": format!("GOOD_{number}"), "module": "good.wasm", "polling_interval": 1})),
    );
    site.configure(&all.clone().into());
    let path = site.folder().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let mut command = site.command();
    let daemon = Daemon::start(command.env("NOTIFY_SOCKET", &path));
    daemon.wait_for("status on http://");
    for number in 0..5 {
        wait_for_counts(&daemon, &cli, &format!("GOOD_{number}"), 1);
    }
    for program in &slow {
        assert_eq!(state(&daemon, program), Some("loading".into()), "{:#?}", daemon.log_lines());
    }
    let ready = heard(&manager, "READY=1");
    assert!(ready.contains("STATUS=ready: 5 of 8 collectors, and 3 being loaded"), "{ready}");

    // The same at a reload: one collector is removed, one changed, one added, and the giants are
    // still compiled.
    all.pop();
    all.push(json!({"program": "ADDED", "module": "good.wasm", "polling_interval": 1}));
    site.file("other.wat", IDLE);
    all[3] = json!({"program": "GOOD_0", "module": "other.wat", "polling_interval": 1});
    site.configure(&all.into());
    daemon.signal("HUP");
    daemon.wait_for("GOOD_4: no longer run");
    daemon.wait_for("GOOD_0: runs");
    wait_for_counts(&daemon, &cli, "ADDED", 1);
    for program in &slow {
        assert_eq!(state(&daemon, program), Some("loading".into()), "{:#?}", daemon.log_lines());
    }
}

#[test]
fn collection_running_at_a_reload_finishes_with_its_old_module() {
    let (cli, _receiver, site) = site();
    let (asked, is_asked) = channel();
    let (answer, may_answer) = channel::<()>();
    let ends = Mutex::new((asked, may_answer));
    // Responds once, when the test says so, and then never again.
    let web = RawSite::answering(move |_| {
        let ends = ends.lock().expect("no thread panics while it holds the lock");
        let told = ends.0.send(()).is_ok() && ends.1.recv().is_ok();
        if told { http_ok(r#"{"ABC": 1.5}"#) } else { Vec::new() }
    });
    site.file("a.wasm", fs::read(guest("lava_script")).expect("a module"));
    let source = json!({"target": "S", "url": format!("{}/", web.origin()), "keys": ["ABC"]});
    site.configure(&json!([{
        "program": "A", "module": "a.wasm", "polling_interval": 1, "settings": {"sources": [source]},
        "limits": {"timeout": "10m", "fetch_timeout": "10m"}, "grants": {"http": [{"origin": web.origin()}]},
    }]));
    let daemon = site.start();
    is_asked.recv_timeout(Duration::from_mins(1)).expect("a collection is under way");
    site.file("a.wasm", fs::read(guest("counter")).expect("a module"));
    daemon.signal("HUP");
    daemon.wait_for("1 of 1 collectors run");
    assert_eq!(daemon.metrics()["pattoo_wasm_collections_running"], 1.0, "it goes on");
    assert!(cli.received().is_empty());
    answer.send(()).expect("the site waits for it");
    let keys = || {
        let bodies = cli.received().into_iter();
        bodies.map(|body| body["pattoo_datapoints"]["key_value_pairs"].to_string()).collect::<Vec<_>>()
    };
    daemon.wait_until("what both brought", |_| keys().len() >= 2);
    let keys = keys();
    assert!(keys[0].contains("\"abc\"") && keys[1..].iter().all(|keys| keys.contains("\"count\"")), "{keys:?}");
    let failed = "pattoo_wasm_collections_total{program=\"A\",outcome=\"failed\"}";
    assert_eq!(daemon.metrics()[failed], 0.0);
}

#[test]
fn reload_reads_further_files_and_settings_files_again() {
    let (cli, _receiver, site) = site();
    let web = RawSite::answering(|_| http_ok(r#"{"FIRST": 1.5, "SECOND": 2.5}"#));
    fs::create_dir(site.folder().join("pattoo_wasm.d")).expect("a new folder");
    let further = |name: &str, collectors: Value| {
        let file = json!({"pattoo_wasm": {"collectors": collectors}});
        site.file(&format!("pattoo_wasm.d/{name}"), file.to_string());
    };
    let settings = |key: &str| {
        let source = json!({"target": "S", "url": format!("{}/", web.origin()), "keys": [key]});
        site.file("pattoo_wasm.d/settings.json", json!({"sources": [source]}).to_string());
    };
    settings("FIRST");
    site.file("pattoo_wasm.d/a.wasm", fs::read(guest("lava_script")).expect("a module"));
    site.configure(&json!([counter("MAIN")]));
    further(
        "a.yaml",
        json!([{
            "program": "A", "module": "a.wasm", "polling_interval": 1, "settings_file": "settings.json",
            "grants": {"http": [{"origin": web.origin()}]},
        }]),
    );
    let daemon = site.start();
    let received = |key: &str| cli.received().iter().any(|body| body.to_string().contains(key));
    daemon.wait_until("a value with the first settings", |_| received("\"first\""));
    settings("SECOND");
    further("b.yaml", json!([counter("B"), counter("C")]));
    daemon.signal("HUP");
    daemon.wait_for("4 of 4 collectors run");
    wait_for_counts(&daemon, &cli, "C", 1);
    daemon.wait_until("a value with the new settings", |_| received("\"second\""));

    // A program that two files name changes nothing, and the log says where both are.
    further("c.yaml", json!([counter("B")]));
    daemon.signal("HUP");
    let said = daemon.wait_for("the program `B` is named twice");
    assert!(
        said.contains("pattoo_wasm.d/c.yaml:1:") && said.contains("line 1 of ") && said.contains("b.yaml"),
        "{said}"
    );
    daemon.wait_for("4 of 4 collectors run with the previous configuration");
    fs::remove_file(site.folder().join("pattoo_wasm.d/c.yaml")).expect("it is there");
    fs::remove_file(site.folder().join("pattoo_wasm.d/b.yaml")).expect("it is there");
    daemon.signal("HUP");
    daemon.wait_for("B: no longer run");
    daemon.wait_for("2 of 2 collectors run");
}

#[test]
fn settings_that_need_a_restart_are_kept_and_named_at_a_reload() {
    let (cli, _receiver, site) = site();
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    let site =
        site.with("status", json!("127.0.0.1:1")).with("concurrent", json!(7)).with("spool", json!({"size": "1 GiB"}));
    site.configure(&json!([counter("A"), counter("B")]));
    daemon.signal("HUP");
    for key in ["status", "concurrent"] {
        daemon.wait_for(&format!("`{key}` changed: the previous value stays in effect until the daemon is restarted"));
    }
    // The rest of the configuration is applied; a key with an equal value in another notation is no
    // change.
    daemon.wait_for("2 of 2 collectors run");
    wait_for_counts(&daemon, &cli, "B", 1);
    assert_eq!(daemon.page("/healthz").0, 200);
    assert!(!daemon.log_lines().iter().any(|line| line.contains("`spool`")), "{:#?}", daemon.log_lines());
}
