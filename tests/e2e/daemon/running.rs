//! `pattoo-wasm daemon`: schedule, supervision, signals, and what it tells of itself, with a receiver at the other end.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    sync::{Mutex, mpsc::channel},
    time::Duration,
};

use pattoo_tests::{Cli, Daemon, IDLE, RawSite, Running, Site, emits_and, get, guest, http_ok, nobody};
use serde_json::{Value, json};

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

/// The numbers that a program's counter sent, with the timestamps that they bear, in the order in which they came.
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

/// How far a collection may lie from its beat, in milliseconds: what the daemon itself counts as late and taken, on a machine however
/// busy, and a little.
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

/// What the service manager is told next that has this line in it.
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

#[test]
fn each_collector_runs_on_its_interval_and_what_it_emits_arrives_in_order() {
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
    // Numbers go on where they were, and the schedule where it was: the offset is the program's own.
    let old = counts(&cli, "A");
    let daemon = site.start();
    let new = wait_for_counts(&daemon, &cli, "A", old.len() + 2);
    assert!(new.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{new:?}");
    let last = |counts: &[(u64, u64)]| counts.last().expect("a count").1;
    assert!(off_the_second(last(&new).abs_diff(last(&old))) <= before + slack(&daemon, "A"), "{old:?} {new:?}");
}

#[test]
fn a_collector_that_traps_touches_no_other_and_says_why() {
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
    let words = traps["last"]["words"].as_str().expect("words");
    assert!(words.starts_with("the guest trapped: wasm `unreachable` instruction executed"), "{words}");
    let gone = daemon.status_of("GONE").expect("it is listed");
    assert_eq!(gone["state"], "not_loaded");
    assert!(gone["trouble"].as_str().is_some_and(|trouble| trouble.contains("gone.wasm")), "{gone}");
    // It recovers by itself when its file comes.
    site.file("gone.wasm", fs::read(guest("counter")).expect("a module"));
    wait_for_counts(&daemon, &cli, "GONE", 1);
    assert!(daemon.end("INT").success());
}

#[test]
fn sighup_adds_removes_and_replaces_and_loses_nothing() {
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
    // What could not replace it did not, and says so.
    let status = daemon.status_of("B").expect("it is listed");
    assert!(status["trouble"].as_str().is_some_and(|trouble| trouble.contains("b.wasm")), "{status}");
    let before = counts(&cli, "B").len();
    wait_for_counts(&daemon, &cli, "B", before + 2);
    wait_for_counts(&daemon, &cli, "ADDED", 1);
    assert!(daemon.status_of("REMOVED").is_none());

    site.file("b.wasm", IDLE);
    daemon.signal("HUP");
    daemon.wait_for("B: runs");
    daemon.wait_for("collectors run");
    assert!(daemon.status_of("B").is_some_and(|status| status["trouble"].is_null()));

    // A configuration that cannot be used changes nothing.
    site.file("pattoo_wasm.yaml", "pattoo_wasm: { colectors: [] }");
    daemon.signal("HUP");
    daemon.wait_for("the configuration is not taken, the one before goes on: it has 1 problem");
    daemon.wait_for("3 of 3 collectors run, as configured before: the new configuration was refused");
    let before = counts(&cli, "A").len();
    let numbers = wait_for_counts(&daemon, &cli, "A", before + 2);
    assert!(numbers.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{numbers:?}");
    let metrics = daemon.metrics();
    assert_eq!(metrics["pattoo_wasm_reloads_total{result=\"taken\"}"], 2.0);
    assert_eq!(metrics["pattoo_wasm_reloads_total{result=\"refused\"}"], 1.0);
}

/// Minutes of work for a compiler, as a module; others for each number.
fn giant(number: u32) -> Vec<u8> {
    let branch = "(if (local.get 0) (then (local.set 1 (i32.add (local.get 0) (local.get 2)))) \
                  (else (local.set 2 (i32.mul (local.get 1) (local.get 0)))))";
    let function = format!("(func (param i32 i32 i32) (drop (i32.const {number})) {})", branch.repeat(60_000));
    wat::parse_str(IDLE.replacen("(memory", &format!("{function} (memory"), 1)).expect("a module")
}

#[test]
fn modules_that_take_the_compiler_long_delay_no_other_collector_at_the_start_or_a_reload() {
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
        assert_eq!(state(&daemon, program), Some("loading".into()), "{:#?}", daemon.heard());
    }
    let ready = heard(&manager, "READY=1");
    assert!(ready.contains("STATUS=ready: 5 of 8 collectors, and 3 being loaded"), "{ready}");

    // The same at a reload: one is taken out, one is changed, one is added, and the giants are where they were.
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
        assert_eq!(state(&daemon, program), Some("loading".into()), "{:#?}", daemon.heard());
    }
}

#[test]
fn a_collection_under_way_at_a_reload_ends_as_it_began() {
    let (cli, _receiver, site) = site();
    let (asked, is_asked) = channel();
    let (answer, may_answer) = channel::<()>();
    let ends = Mutex::new((asked, may_answer));
    // Answers when the test says so, and then never more.
    let web = RawSite::answering(move |_| {
        let ends = ends.lock().expect("nobody panics with it");
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
    assert_eq!(daemon.metrics()["pattoo_wasm_collections_under_way"], 1.0, "it goes on");
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
fn what_takes_a_restart_stays_as_it_was_and_is_named() {
    let (cli, _receiver, site) = site();
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    let site =
        site.with("status", json!("127.0.0.1:1")).with("concurrent", json!(7)).with("spool", json!({"size": "1 GiB"}));
    site.configure(&json!([counter("A"), counter("B")]));
    daemon.signal("HUP");
    for key in ["status", "concurrent"] {
        daemon.wait_for(&format!("`{key}` is another now, and that takes a restart: until then it stays as it was"));
    }
    // The rest of it is taken, and what is said anew but not otherwise is no change.
    daemon.wait_for("2 of 2 collectors run");
    wait_for_counts(&daemon, &cli, "B", 1);
    assert_eq!(daemon.page("/healthz").0, 200);
    assert!(!daemon.heard().iter().any(|line| line.contains("`spool`")), "{:#?}", daemon.heard());
}

#[test]
fn a_module_that_is_pinned_is_refused_when_it_is_another() {
    let (cli, _receiver, site) = site();
    site.configure(&json!([
        {"program": "A", "module": guest("counter"), "polling_interval": 1, "sha256": "0".repeat(64)},
        counter("B"),
    ]));
    let daemon = site.start();
    wait_for_counts(&daemon, &cli, "B", 1);
    let status = daemon.status_of("A").expect("it is listed");
    assert!(status["trouble"].as_str().is_some_and(|trouble| trouble.contains("`sha256` is 0000")), "{status}");
    assert_eq!(counts(&cli, "A"), []);
}

#[test]
fn one_directory_has_one_daemon() {
    let site = Site::new(nobody());
    site.configure(&json!([counter("A")]));
    let first = site.start();
    let (status, said) = Daemon::start(&mut site.command()).wait();
    assert_eq!(status.code(), Some(2), "{said:#?}");
    let said = said.join(" ");
    assert!(said.contains("in use by another daemon") && said.contains(&first.pid().to_string()), "{said}");
    // A daemon that was killed leaves no lock behind.
    drop(first);
    site.start();
}

#[test]
fn what_the_server_cannot_take_waits_and_is_delivered_when_it_is_back() {
    let address = nobody();
    let site = Site::new(address);
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    daemon.wait_until("three bodies in the spool", |daemon| daemon.metrics()["pattoo_wasm_spool_bodies"] >= 3.0);
    assert!(daemon.end("TERM").success());
    // All is in one file then.
    let spool = site.folder().join("daemon/pattoo_wasm/spool");
    assert!(spool.join("spool.sqlite3").exists() && !spool.join("spool.sqlite3-wal").exists());
    let cli = Cli::new();
    let _receiver = cli.receive_at(&address.to_string());
    let daemon = site.start();
    let counts = wait_for_counts(&daemon, &cli, "A", 4);
    assert!(counts.iter().zip(1..).all(|((count, _), expected)| *count == expected), "{counts:?}");
}

#[test]
fn a_collection_that_does_not_end_is_abandoned_and_the_end_is_clean() {
    let site = Site::new(nobody());
    site.file("spin.wat", IDLE.replace("i32.const 0)", "(loop br 0) i32.const 0)"));
    site.configure(&json!([
        {"program": "SPINS", "module": "spin.wat", "polling_interval": 1, "limits": {"timeout": "10m"}},
    ]));
    let daemon = site.start();
    daemon.wait_until("a collection", |daemon| daemon.metrics()["pattoo_wasm_collections_under_way"] >= 1.0);
    daemon.signal("TERM");
    daemon.wait_for("stopping: 1 collection under way");
    // Once more, for those who cannot wait.
    daemon.signal("TERM");
    daemon.wait_for("told to stop again");
    let (status, _) = daemon.wait();
    assert!(status.success());
}

#[test]
fn the_status_address_answers_to_its_own_name_only() {
    let site = Site::new(nobody());
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
    for path in ["/healthz", "/metrics", "/status"] {
        assert_eq!(get(daemon.status_address(), path, "rebound.example.org").0, 421);
        assert_eq!(get(daemon.status_address(), path, "127.0.0.1:80").0, 200);
    }
    assert_eq!(daemon.page("/").0, 404);
}

#[test]
fn healthz_is_answered_at_once_however_many_do_not_read_their_answers() {
    use std::io::Write as _;
    let site = Site::new(nobody());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let daemon = site.start();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stuck = Vec::new();
    for number in 0..200 {
        let mut stream = std::net::TcpStream::connect(daemon.status_address()).expect("it listens");
        stream.set_nonblocking(true).expect("a socket");
        // More answers than all buffers on the way hold, and none is read; every third does not even end its request.
        if number % 3 == 0 {
            let _ = stream.write_all(b"GET /metrics HT");
        } else {
            let _ = stream.write_all(request.repeat(4000).as_bytes());
        }
        stuck.push(stream);
        if number % 20 == 19 {
            let began = std::time::Instant::now();
            assert_eq!(daemon.page("/healthz"), (200, "ok\n".to_owned()));
            // A tenth of that is usual; a connection that is stuck would hold it for ten seconds and longer.
            assert!(began.elapsed() < Duration::from_secs(3), "{:?} with {number} others", began.elapsed());
        }
    }
    assert_eq!(daemon.page("/status").0, 200);
    drop(stuck);
    assert_eq!(daemon.page("/metrics").0, 200);
    assert!(daemon.end("TERM").success());
}

#[test]
fn metrics_count_what_was_read_and_fetched() {
    let (_cli, _receiver, site) = site();
    let device = pattoo_tests::modbus_device(&json!({"1": {"holding": {"0": [1, 2]}}}));
    let silent = nobody();
    site.configure(&json!([{
        "program": "M", "module": guest("modbus_registers"), "polling_interval": 1,
        "settings": {"spans": [
            {"device": "plc1", "table": "holding", "address": 0, "count": 2},
            {"device": "plc2", "table": "holding", "address": 0, "count": 1},
        ]},
        "grants": {"modbus": {"plc1": {"url": format!("tcp://{}", device.address())}, "plc2": {"url": format!("tcp://{silent}")}}},
    }]));
    let daemon = site.start();
    let value = |daemon: &Daemon, name: &str| daemon.metrics().get(name).copied().unwrap_or_default();
    daemon.wait_until("two collections", |daemon| {
        value(daemon, "pattoo_wasm_datapoints_total{program=\"M\",result=\"taken\"}") >= 4.0
    });
    let metrics = daemon.metrics();
    let of = |name: &str, device: &str| metrics[&format!("pattoo_wasm_{name}{{program=\"M\",device=\"{device}\"}}")];
    assert!(of("modbus_reads_total", "plc1") >= 2.0);
    assert_eq!(of("modbus_read_errors_total", "plc1"), 0.0);
    assert_eq!(of("modbus_read_errors_total", "plc2"), of("modbus_reads_total", "plc2"));
    assert!(metrics["pattoo_wasm_host_call_seconds_total{program=\"M\",interface=\"modbus\"}"] > 0.0);
    assert!(metrics["pattoo_wasm_peak_memory_bytes{program=\"M\"}"] >= 65536.0);
}

#[test]
fn what_was_emitted_before_a_failure_arrives_all_the_same() {
    let (cli, _receiver, site) = site();
    let ends = [
        ("FAILS", "i32.const 128", "failed"),
        ("TRAPS", "unreachable", "trap"),
        ("SPINS", "(loop br 0) unreachable", "deadline"),
    ];
    let collector = |(program, end, outcome): (&str, &str, &str)| {
        let module = site.file(&format!("{program}.wat"), emits_and(end));
        // Long enough to emit on a busy machine: what brings nothing is held back.
        let timeout = if outcome == "deadline" { "1500ms" } else { "1m" };
        json!({"program": program, "module": module, "polling_interval": 1, "limits": {"timeout": timeout}})
    };
    site.configure(&ends.map(collector).to_vec().into());
    let daemon = site.start();
    for (program, _, outcome) in ends {
        // Each brought something, so none is held back.
        let ended = format!("pattoo_wasm_collections_total{{program=\"{program}\",outcome=\"{outcome}\"}}");
        daemon.wait_until("three collections", |daemon| daemon.metrics()[&ended] >= 3.0);
        wait_for_counts(&daemon, &cli, program, 3);
        let backoff = format!("pattoo_wasm_departures_skipped_total{{program=\"{program}\",reason=\"backoff\"}}");
        assert_eq!(daemon.metrics()[&backoff], 0.0);
    }
}

#[test]
fn the_service_manager_is_told() {
    let (_cli, _receiver, site) = site();
    site.configure(&json!([counter("A")]));
    let path = site.folder().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let heard = |state: &str| heard(&manager, state);
    let mut command = site.command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let daemon = Daemon::start(&mut command);
    assert!(heard("READY=1").contains("STATUS=1 of 1 collectors run"));
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    daemon.signal("HUP");
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    daemon.signal("TERM");
    heard("STOPPING=1");
    assert!(daemon.wait().0.success());
}

#[test]
fn logs_go_to_the_log_directory_too_and_follow_a_rotation() {
    let site = Site::new(nobody());
    site.configure(&json!([counter("A")]));
    let mut command = site.command();
    command.args(["--log-format", "json"]);
    let daemon = Daemon::start(&mut command);
    let line = daemon.wait_for("collectors run");
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"1 of 1 collectors run".into()));
    let log = site.folder().join("log/pattoo_wasm.log");
    let text = || fs::read_to_string(&log).unwrap_or_default();
    // Standard error has each line before the file has it.
    daemon.wait_until("the line in the file", |_| text().contains("1 of 1 collectors run"));
    fs::rename(&log, site.folder().join("log/pattoo_wasm.log.1")).expect("a rotation");
    daemon.signal("HUP");
    daemon.wait_until("a new file", |_| text().contains("1 of 1 collectors run"));
}

#[test]
fn the_metrics_are_those_that_are_documented() {
    let site = Site::new(nobody());
    site.configure(&json!([counter("A")]));
    let daemon = site.start();
    daemon.wait_until("a collection", |daemon| {
        daemon.metrics()["pattoo_wasm_collections_total{program=\"A\",outcome=\"completed\"}"] >= 1.0
    });
    let page = daemon.page("/metrics").1;
    let exposed: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let reference = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md"));
    let reference = reference.expect("the reference");
    let mut documented = Vec::new();
    for line in reference.lines().filter(|line| line.starts_with("| `pattoo_wasm_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        documented.push((cells[1].trim_matches('`'), cells[2]));
        // Its labels are those of every sample.
        let samples = page.lines().filter(|sample| {
            sample.strip_prefix(cells[1].trim_matches('`')).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        for sample in samples {
            let labels = sample.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').expect("an end").0);
            let names: Vec<&str> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
            let expected: Vec<&str> =
                cells[3].split(", ").map(|label| label.trim_matches('`')).filter(|label| !label.is_empty()).collect();
            assert_eq!(names, expected, "{sample}");
        }
    }
    assert_eq!(exposed, documented);
}
