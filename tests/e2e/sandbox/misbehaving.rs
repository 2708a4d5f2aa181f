//! Collectors that misbehave or exceed their grants: how they are stopped or denied, and what the
//! operator reads.

use pattoo_tests::{
    Cli, Daemon, Site, assert_refused, assert_says, component, faulty_site, guest, modbus_device, pattoo_records,
    unused_address, web_site,
};
use serde_json::{Value, json};

#[test]
fn misbehaving_collector_is_stopped_with_the_reason() {
    let cli = Cli::new();
    let run = |name: &str, code: &str, more: &[&str]| {
        cli.file(name, component(code));
        let arguments: Vec<&str> = ["run", name].into_iter().chain(more.iter().copied()).collect();
        cli.run(&arguments)
    };
    let trap = run(
        "trap.wat",
        "(func $broken unreachable) (func (export \"collect\") (result i32) call $broken i32.const 0)",
        &[],
    );
    assert_refused(&trap, 4, &["trapped", "unreachable", "broken"]);
    let spin =
        run("spin.wat", "(func (export \"collect\") (result i32) (loop br 0) i32.const 0)", &["--timeout", "200ms"]);
    assert_refused(&spin, 4, &["deadline of 200ms", "--timeout"]);
    let start = run(
        "start.wat",
        "(func $spin (loop br 0)) (start $spin) (func (export \"collect\") (result i32) i32.const 0)",
        &["--timeout", "200ms"],
    );
    assert_refused(&start, 4, &["deadline of 200ms"]);
    let greedy = "(func (export \"collect\") (result i32) (loop (drop (memory.grow (i32.const 16))) br 0) i32.const 0)";
    assert_refused(&run("greedy.wat", greedy, &["--memory", "8MiB"]), 4, &["8.0 MiB", "memory", "--memory"]);
    let deep = run("deep.wat", "(func $deep (export \"collect\") (result i32) call $deep)", &[]);
    assert_refused(&deep, 4, &["call stack exhausted"]);
}

#[test]
fn error_text_of_a_collector_is_shown_and_cannot_forge_log_lines() {
    let cli = Cli::new();
    // `err("no\nERROR x\1b[31m")`: discriminant 1, pointer 16, length 15.
    let code = r#"(data (i32.const 0) "\01\00\00\00\10\00\00\00\0f\00\00\00") (data (i32.const 16) "no\0aERROR x\1b[31m")
        (func (export "collect") (result i32) i32.const 0)"#;
    cli.file("failing.wat", component(code));
    let run = cli.run(&["run", "failing.wat"]);
    assert_refused(&run, 3, &["the collector failed", r"no\nERROR x\u{1b}[31m"]);
    assert!(!run.stderr.contains('\x1b'), "{:?}", run.stderr);
}

/// Writes the same 20 bytes to the log, to its standard output, and as the name of an invalid
/// target.
const FORGER: &str = r#"(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (data (i32.const 16) "a\0dERROR \22b\1b[31m\e2\80\ae\00c")
  (data (i32.const 512) "\10\00\00\00\14\00\00\00")
  (data (i32.const 600) "\40\00\00\00\03\00\00\00")
  (data (i32.const 64) "key")
  (func (export "collect") (result i32)
    (call $log (i32.const 4) (i32.const 16) (i32.const 20))
    (drop (call $write (i32.const 1) (i32.const 512) (i32.const 1) (i32.const 560)))
    (call $emit (i32.const 16) (i32.const 20) (i32.const 600) (i32.const 1) (i32.const 1024))
    i32.const 2048))"#;

#[test]
fn text_of_a_collector_cannot_break_lines_or_control_the_terminal() {
    let cli = Cli::new();
    cli.file("forger.wat", FORGER);
    let run = cli.run(&["run", "forger.wat"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let said = run.stderr.lines().filter(|line| line.contains(r#"a\rERROR "b\u{1b}[31m\u{202e}\u{0}c"#)).count();
    assert!(said >= 2, "{said}: {run:#?}");
    let unsafe_ones = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    assert!(!unsafe_ones(&run.stderr) && !unsafe_ones(&run.stdout), "{run:#?}");
    assert!(!run.stderr.lines().any(|line| line.trim_start().starts_with("ERROR \"b")), "{run:#?}");
}

#[test]
fn text_of_a_collector_stays_a_string_in_the_json_log() {
    let site = Site::new(unused_address());
    let module = site.file("forger.wat", FORGER);
    site.configure(&json!([{"program": "FORGER", "module": module, "polling_interval": 1}]));
    let mut command = site.command();
    command.args(["--log-format", "json"]);
    let daemon = Daemon::start(&mut command);
    daemon.wait_for("ERROR");
    daemon.signal("TERM");
    let (status, lines) = daemon.wait();
    assert!(status.success());
    let mut said = 0u32;
    for line in lines {
        let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(!line.chars().any(char::is_control), "{line}");
        let message = parsed["message"].as_str().expect("a text");
        if line.contains("31m") {
            assert!(message.starts_with("FORGER"), "{line}");
            said += 1;
        }
    }
    assert!(said >= 1);
}

#[test]
fn denied_access_names_the_flag_that_grants_it() {
    let cli = Cli::new();
    cli.file("quotes.json", json!({"ABC": 1.5}).to_string());
    let site = web_site(cli.folder());
    let sources =
        json!([{"target": "SITE_A", "url": format!("http://{}/quotes.json", site.address()), "keys": ["ABC"]}]);
    let module = guest("lava_script").display().to_string();
    let run = cli.run(&["run", &module, "--setting", &format!("sources={sources}")]);
    assert_refused(&run, 3, &["not granted", &format!("--http http://{}", site.address())]);

    let module = guest("modbus_registers").display().to_string();
    let span = "spans=[{device: plc1, unit: 7, table: holding, address: 0, count: 1}]";
    let run = cli.run(&["run", &module, "--setting", span]);
    assert_refused(&run, 3, &["Modbus device `plc1`", "--modbus plc1=tcp://"]);
    let run = cli.run(&["run", &module, "--setting", span, "--modbus", "plc1=tcp://192.0.2.1?unit=1"]);
    assert_refused(&run, 3, &["unit 7 of `plc1` is not granted", "`units: [1, 7]` under `plc1`"]);
}

#[test]
fn span_outside_the_grant_never_reaches_the_device() {
    let device = modbus_device(&json!({"1": {"holding": {"0": [1, 2, 3]}}}));
    let cli = Cli::new();
    let url = format!("tcp://{}", device.address());
    cli.file("grants.yaml", json!({"modbus": {"plc1": {"url": url, "holding": ["0-1"]}}}).to_string());
    let module = guest("modbus_registers").display().to_string();
    let span = |address, count| format!("{{device: plc1, table: holding, address: {address}, count: {count}}}");
    let other_unit = "{device: plc1, unit: 7, table: holding, address: 0, count: 1}";
    let other_table = "{device: plc1, table: coils, address: 0, count: 1}";
    let other_device = "{device: plc2, table: holding, address: 0, count: 1}";
    let spans =
        format!("spans=[{}, {}, {}, {other_unit}, {other_table}, {other_device}]", span(0, 2), span(1, 2), span(2, 1));
    let run = cli.run(&["run", &module, "--grants", "grants.yaml", "--setting", &spans]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(pattoo_records(&run.body()).len(), 2);
    assert_says(&run, &["\"1-2\" in `holding:` under `plc1`", "\"2-2\" in `holding:`"]);
    assert_says(&run, &["unit 7 of `plc1`", "`coils:` under `plc1`", "`plc2` is not granted"]);
    assert_eq!(device.next_line(), "[1, 3, 0, 2]");
    assert_eq!(device.try_next_line(), None, "and not a byte more");
}

#[test]
fn collector_cannot_be_granted_the_server_that_is_posted_to() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let server = format!("http://{}", receiver.address());
    cli.file("idle.wat", component("(func (export \"collect\") (result i32) i32.const 0)"));
    assert_refused(&cli.run(&["run", "idle.wat", "--http", &server, "--post", &server]), 2, &[&server]);
}

#[test]
fn server_that_is_posted_to_is_unreachable_under_other_names() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let port = receiver.address().port();
    // `localhost` is the name, 127.0.0.1 the address behind it.
    let (name, address) = (format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"));
    let sources = json!([{"target": "SITE_A", "url": format!("{address}/"), "keys": ["ABC"]}]);
    let module = guest("lava_script").display().to_string();
    let setting = format!("sources={sources}");
    let run = |granted: &str, posted: &str| {
        cli.run(&["run", &module, "--setting", &setting, "--http", granted, "--post", posted])
    };
    assert_refused(&run(&address, &name), 2, &[&address]);
    // An endpoint on this machine is recognised by its port, under any name or address.
    let setting = setting.replace("127.0.0.1", "localhost");
    let run = cli.run(&["run", &module, "--setting", &setting, "--http", &name, "--post", &address]);
    assert_refused(&run, 2, &[&name]);
    assert!(cli.received().is_empty());
}

#[test]
fn rejected_datapoints_cannot_flood_the_log() {
    let cli = Cli::new();
    // Emits to a target without a name, ten thousand times.
    cli.file(
        "flood.wat",
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
          (func (export "collect") (result i32) (local $left i32)
            (local.set $left (i32.const 10000))
            (loop $again
              (call $emit (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 1) (i32.const 1024))
              (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (i32.const 2048)))"#,
    );
    let run = cli.run(&["run", "flood.wat"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert!(run.stderr.lines().count() < 20, "{} lines", run.stderr.lines().count());
    assert!(run.stderr.contains("10000 datapoints were rejected"), "{}", run.stderr);
}

#[test]
fn arguments_of_one_host_call_are_limited_in_size() {
    let cli = Cli::new();
    // Logs a message of 32 MiB.
    cli.file(
        "large.wat",
        r#"(module
          (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
          (memory (export "memory") 600)
          (func (export "collect") (result i32)
            (call $log (i32.const 2) (i32.const 0) (i32.const 33554432))
            i32.const 0))"#,
    );
    let run = cli.run(&["run", "large.wat"]);
    assert_refused(&run, 4, &["the limit of 16.0 MiB on one call", "call_bytes"]);
}

#[test]
fn responses_beyond_the_limit_of_a_collection_are_refused_individually() {
    let cli = Cli::new();
    let site = faulty_site();
    let origin = format!("http://{}", site.address());
    let sources: Vec<_> =
        (0..10).map(|_| json!({"target": "a", "url": format!("{origin}/bytes/8000000"), "keys": ["ABC"]})).collect();
    let module = guest("lava_script").display().to_string();
    let setting = format!("sources={}", json!(sources));
    let run = cli.run(&["run", &module, "--setting", &setting, "--http", &origin, "--memory", "512MiB"]);
    assert_refused(&run, 3, &["10 of 10 sources failed", "the limit of 64.0 MiB on the responses of one collection"]);
}

#[test]
fn pretty_output_keeps_escaped_control_characters() {
    let cli = Cli::new();
    // Emits the text `a<U+009B>31m`, which would colour a terminal.
    cli.file(
        "colour.wat",
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
          (data (i32.const 0) "\40\00\00\00\03\00\00\00\05\00\00\00\00\00\00\00\48\00\00\00\06\00\00\00")
          (data (i32.const 64) "key")
          (data (i32.const 72) "a\c2\9b31m")
          (func (export "collect") (result i32)
            (call $emit (i32.const 64) (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 1024))
            i32.const 2048))"#,
    );
    for more in [&[][..], &["--pretty"]] {
        let arguments: Vec<&str> = ["run", "colour.wat"].into_iter().chain(more.iter().copied()).collect();
        let run = cli.run(&arguments);
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert!(!run.stdout.contains('\u{9b}'), "{run:#?}");
        assert_eq!(pattoo_records(&run.body())[0]["value"], "a\u{9b}31m");
    }
}
