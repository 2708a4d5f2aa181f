//! Bad input gets a clear message, an exit code that scripts can rely on, and nothing half done.

use std::process::Stdio;

use pattoo_tests::{
    Cli, Finished, IDLE, Running, Said, guest, modbus_device, moody_site, nobody, pattoo_records, web_site,
};
use serde_json::json;

/// The exit code, and that the message has all of `words` in it and nothing went to stdout.
#[track_caller]
fn assert_refused(run: &Finished, code: i32, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run:#?}");
    assert_says(run, words);
}

/// That stderr has all of `words` in it, however it is wrapped.
#[track_caller]
fn assert_says(run: &Finished, words: &[&str]) {
    let frame = |character: char| character.is_whitespace() || character == '│';
    let message = run.stderr.split(frame).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
}

/// A component around a core function `collect` that returns a pointer to its result.
fn wat(code: &str) -> String {
    format!(
        r#"(component
          (core module $guest (memory (export "memory") 1) {code})
          (core instance $instance (instantiate $guest))
          (func (export "collect") (result (result (error string)))
            (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))"#
    )
}

#[test]
fn a_module_that_is_none_is_refused_by_name() {
    let cli = Cli::new();
    cli.file("empty.wasm", "");
    cli.file("notes.wasm", "just some notes\n");
    cli.file("photo.wasm", b"\xff\xd8\xff\xe0 not text");
    cli.file("header.wasm", b"\0asm");
    cli.file("broken.wat", "(component (core module");
    let whole = std::fs::read(guest("lava_script")).expect("a built collector");
    cli.file("cut.wasm", &whole[..whole.len() / 2]);
    assert_refused(&cli.run(&["run", "missing.wasm"]), 2, &["missing.wasm", "No such file"]);
    assert_refused(&cli.run(&["run", "."]), 2, &["directory"]);
    assert_refused(&cli.run(&["run", "empty.wasm"]), 2, &["empty.wasm is not WebAssembly", "empty"]);
    assert_refused(&cli.run(&["run", "notes.wasm"]), 2, &["notes.wasm is not WebAssembly"]);
    assert_refused(&cli.run(&["run", "photo.wasm"]), 2, &["photo.wasm is not WebAssembly", "nor is it text"]);
    assert_refused(&cli.run(&["run", "header.wasm"]), 2, &["header.wasm is not WebAssembly", "cut off"]);
    assert_refused(&cli.run(&["run", "broken.wat"]), 2, &["broken.wat is not WebAssembly"]);
    assert_refused(&cli.run(&["run", "cut.wasm"]), 2, &["cut.wasm does not compile"]);
}

#[test]
fn a_module_of_another_world_is_told_what_is_missing() {
    let cli = Cli::new();
    cli.file("other.wat", "(component (core module $m) (core instance (instantiate $m)))");
    cli.file("import.wat", "(component (import \"acme:weather/forecast@1.2.0\" (instance)))");
    cli.file("wasi.wat", "(component (import \"wasi:http/outgoing-handler@0.2.0\" (instance)))");
    let signature = wat("(func (export \"collect\") (result i32) i32.const 0)").replace("(error string)", "");
    cli.file("signature.wat", signature.replace(" (memory (core memory $instance \"memory\"))", ""));
    assert_refused(&cli.run(&["run", "other.wat"]), 2, &["does not export `collect`", "it exports nothing"]);
    assert_refused(
        &cli.run(&["run", "import.wat"]),
        2,
        &["`acme:weather/forecast@1.2.0`", "pattoo:agent/modbus@0.1.0"],
    );
    assert_refused(&cli.run(&["run", "wasi.wat"]), 2, &["`wasi:http/outgoing-handler@0.2.0`", "does not provide"]);
    assert_refused(&cli.run(&["run", "signature.wat"]), 2, &["does not fit the world", "collect"]);
}

#[test]
fn malformed_arguments_are_refused_before_anything_runs() {
    let cli = Cli::new();
    cli.file("idle.wat", wat("(func (export \"collect\") (result i32) i32.const 0)"));
    for (arguments, words) in [
        (&["--http", "site-a.example.org"][..], &["--http", "site-a.example.org"][..]),
        (&["--http", "https://*.example.org"], &["--http"]),
        (&["--http", "https://a.example.org/path"], &["--http", "path"]),
        (&["--modbus", "tcp://192.0.2.1"], &["--modbus", "NAME=URL"]),
        (&["--modbus", "plc1=http://192.0.2.1"], &["`http` is not a Modbus transport"]),
        (&["--modbus", "plc1=tcp://192.0.2.1?unit=250"], &["unit 250 does not exist"]),
        (&["--modbus", "plc1=tcp://192.0.2.1:99999"], &["99999", "not a port"]),
        (&["--modbus", "plc1=tcp://192.0.2.1", "--modbus", "plc1=tcp://192.0.2.2"], &["`plc1` is granted twice"]),
        (&["--program", "a/b"], &["--program"]),
        (&["--interval", "0"], &["--interval"]),
        (&["--setting", "=3"], &["NAME=VALUE"]),
        (&["--settings", "missing.yaml"], &["missing.yaml", "No such file"]),
        (&["--grants", "missing.yaml"], &["missing.yaml", "No such file"]),
        (&["--timeout", "soon"], &["--timeout"]),
        (&["--memory", "much"], &["--memory"]),
        (&["--post", "ftp://192.0.2.1"], &["--post", "base URL"]),
        (&["--every", "0"], &["--every"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
    ] {
        let arguments: Vec<&str> = ["run", "idle.wat"].into_iter().chain(arguments.iter().copied()).collect();
        assert_refused(&cli.run(&arguments), 2, words);
    }
}

#[test]
fn a_grants_file_is_told_where_it_is_wrong() {
    let cli = Cli::new();
    cli.file("idle.wat", wat("(func (export \"collect\") (result i32) i32.const 0)"));
    for (grants, words) in [
        ("http: [", &["grants.yaml:1:"][..]),
        ("modbuss: {}\n", &["`modbuss` is not a key", "grants.yaml:1:1", "did you mean `modbus`?"]),
        (
            "modbus:\n  plc1:\n    url: tcp://192.0.2.1\n    unit: 248\n",
            &["unit 248 does not exist", "grants.yaml:4:11", "unit: 248", "write for example `unit: 7`"],
        ),
        ("modbus:\n  plc1: { url: 'tcp://192.0.2.1', holding: ['0-70000'] }\n", &["grants.yaml:2:45", "70000"]),
        (
            "http:\n  - { origin: 'https://a.example.org', methods: ['G T'] }\n",
            &["grants.yaml:2:50", "methods: [GET, POST]"],
        ),
        (
            "http:\n  - { origin: 'https://a.example.org', headers: { authorization: { secret: PATTOO_UNSET } } }\n",
            &["PATTOO_UNSET", "grants.yaml:2:76"],
        ),
    ] {
        cli.file("grants.yaml", grants);
        assert_refused(&cli.run(&["run", "idle.wat", "--grants", "grants.yaml"]), 2, words);
    }
}

#[test]
fn a_guest_that_misbehaves_is_stopped_with_the_reason() {
    let cli = Cli::new();
    let run = |name: &str, code: &str, more: &[&str]| {
        cli.file(name, wat(code));
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
fn an_error_of_the_guest_is_shown_and_cannot_forge_lines() {
    let cli = Cli::new();
    // `err("no\nERROR x\1b[31m")`: discriminant 1, pointer 16, length 15.
    let code = r#"(data (i32.const 0) "\01\00\00\00\10\00\00\00\0f\00\00\00") (data (i32.const 16) "no\0aERROR x\1b[31m")
        (func (export "collect") (result i32) i32.const 0)"#;
    cli.file("failing.wat", wat(code));
    let run = cli.run(&["run", "failing.wat"]);
    assert_refused(&run, 3, &["the collector failed", r"no\nERROR x\u{1b}[31m"]);
    assert!(!run.stderr.contains('\x1b'), "{:?}", run.stderr);
}

#[test]
fn what_is_not_granted_is_denied_with_the_flag_that_grants_it() {
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
fn a_span_outside_the_grant_never_reaches_the_device() {
    let device = modbus_device(&json!({"1": {"holding": {"0": [1, 2, 3]}}}));
    let cli = Cli::new();
    let url = format!("tcp://{}", device.address());
    cli.file("grants.yaml", json!({"modbus": {"plc1": {"url": url, "holding": ["0-1"]}}}).to_string());
    let module = guest("modbus_registers").display().to_string();
    let span = |address, count| format!("{{device: plc1, table: holding, address: {address}, count: {count}}}");
    let spans = format!("spans=[{}, {}, {}]", span(0, 2), span(1, 2), span(2, 1));
    let run = cli.run(&["run", &module, "--grants", "grants.yaml", "--setting", &spans]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(pattoo_records(&run.body()).len(), 2);
    assert_says(&run, &["\"1-2\" in `holding:` under `plc1`", "\"2-2\" in `holding:`"]);
    assert_eq!(device.next_line(), "[1, 3, 0, 2]");
}

#[test]
fn a_device_that_is_down_or_lacks_a_register_costs_only_its_own() {
    let device = modbus_device(&json!({"1": {"holding": {"0": [11, 12]}}}));
    let cli = Cli::new();
    let module = guest("modbus_registers").display().to_string();
    let (up, down) = (format!("up=tcp://{}", device.address()), format!("down=tcp://{}", nobody()));
    let spans = "spans=[{device: down, table: holding, address: 0, count: 1}, {device: up, table: holding, address: 0, count: 2}, \
                 {device: up, table: holding, address: 500, count: 1}]";
    let run = cli.run(&["run", &module, "--modbus", &up, "--modbus", &down, "--setting", spans]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let values: Vec<_> = pattoo_records(&run.body()).iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, [11, 12]);
    assert_says(&run, &["down", "refused", "exception 2"]);
    let alone = "spans=[{device: down, table: holding, address: 0, count: 1}]";
    assert_refused(&cli.run(&["run", &module, "--modbus", &down, "--setting", alone]), 3, &["refused"]);
    let past = "spans=[{device: up, table: holding, address: 65535, count: 2}]";
    assert_refused(&cli.run(&["run", &module, "--modbus", &up, "--setting", past]), 3, &["65535"]);
}

#[test]
fn a_site_that_fails_costs_only_its_own_and_is_named() {
    let cli = Cli::new();
    cli.file("good.json", json!({"ABC": 1.5}).to_string());
    cli.file("words.json", "not JSON");
    let (site, moody) = (web_site(cli.folder()), moody_site());
    let origin = |site: &pattoo_tests::Running| format!("http://{}", site.address());
    let (good, bad, dead) = (origin(&site), origin(&moody), format!("http://{}", nobody()));
    let sources: Vec<_> = [
        ("good", format!("{good}/good.json")),
        ("missing", format!("{good}/missing.json")),
        ("words", format!("{good}/words.json")),
        ("broken", format!("{bad}/status/500")),
        ("large", format!("{bad}/bytes/9000000")),
        ("elsewhere", format!("{bad}/redirect?http://{}/", nobody())),
        ("dead", format!("{dead}/x.json")),
    ]
    .iter()
    .map(|(target, url)| json!({"target": target, "url": url, "keys": ["ABC"]}))
    .collect();
    let module = guest("lava_script").display().to_string();
    let setting = format!("sources={}", json!(sources));
    let run = cli.run(&["run", &module, "--setting", &setting, "--http", &good, "--http", &bad, "--http", &dead]);
    assert_eq!(run.code, Some(3), "{run:#?}");
    let records = pattoo_records(&run.body());
    assert_eq!((records.len(), &records[0]["value"]), (1, &json!(1.5)));
    let words = [
        "missing: ",
        "404",
        "words: ",
        "broken: ",
        "500",
        "large: ",
        "8388608",
        "elsewhere: ",
        "denied",
        "dead: ",
        "refused",
    ];
    assert_says(&run, &words);
}

#[test]
fn what_could_not_be_delivered_stays_in_the_spool_and_goes_first_the_next_time() {
    let cli = Cli::new();
    let (site, moody) = (web_site(cli.folder()), moody_site());
    let origin = format!("http://{}", site.address());
    let setting =
        format!("sources={}", json!([{"target": "SITE_A", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]));
    let module = guest("lava_script").display().to_string();
    let run = |quote: f64, server: &str| {
        cli.file("quotes.json", json!({"ABC": quote}).to_string());
        cli.run(&["run", &module, "--setting", &setting, "--http", &origin, "--post", server])
    };
    let away = format!("http://{}", nobody());
    assert_refused(&run(1.5, &away), 5, &["not delivered", "cannot be reached", "refused", "body 1 in the spool"]);
    // A server that is no pattoo: it knows no POST.
    let other = format!("http://{}", moody.address());
    assert_refused(&run(2.5, &other), 5, &["not delivered", "answered 501", "body 2 in the spool"]);
    let receiver = cli.receive_at(away.trim_start_matches("http://"));
    let delivered = run(3.5, &away);
    assert_eq!((delivered.code, delivered.stdout.as_str()), (Some(0), ""), "{delivered:#?}");
    let values: Vec<_> = cli.received().iter().map(|body| pattoo_records(body)[0]["value"].clone()).collect();
    assert_eq!(values, [json!(1.5), json!(3.5)], "the oldest first, and what is for another server stays");
    assert!(receiver.interrupt().success());
}

#[test]
fn what_cannot_even_be_stored_is_printed() {
    let cli = Cli::new();
    cli.file("quotes.json", json!({"ABC": 1.5}).to_string());
    let site = web_site(cli.folder());
    let origin = format!("http://{}", site.address());
    let setting =
        format!("sources={}", json!([{"target": "SITE_A", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]));
    let module = guest("lava_script").display().to_string();
    let server = format!("http://{}", nobody());
    let post = ["run", &module, "--setting", &setting, "--http", &origin, "--post", &server];
    assert_eq!(cli.run(&post).code, Some(5));
    // With its last number used, SQLite says what it says when a disk has no room.
    let spool = cli.folder().join(".local/state/pattoo_wasm/spool/spool.sqlite3");
    let full = rusqlite::Connection::open(&spool).unwrap();
    full.execute_batch("UPDATE sqlite_sequence SET seq = 9223372036854775807").unwrap();
    let run = cli.run(&post);
    assert_eq!(run.code, Some(5), "{run:#?}");
    assert_eq!(pattoo_records(&run.body()).len(), 1);
    assert_says(&run, &["not stored", "no space left", "on stdout"]);
}

#[test]
fn a_guest_may_not_fetch_from_the_server_that_is_posted_to() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let server = format!("http://{}", receiver.address());
    cli.file("idle.wat", wat("(func (export \"collect\") (result i32) i32.const 0)"));
    assert_refused(&cli.run(&["run", "idle.wat", "--http", &server, "--post", &server]), 2, &[&server]);
}

#[test]
fn datapoints_that_nobody_reads_are_an_error_and_not_a_silence() {
    let cli = Cli::new();
    let device = modbus_device(&json!({"1": {"holding": {"0": 1}}}));
    let module = guest("modbus_registers").display().to_string();
    let granted = format!("plc1=tcp://{}", device.address());
    let span = "spans=[{device: plc1, table: holding, address: 0, count: 1}]";
    let mut command = cli.command(&["run", &module, "--modbus", &granted, "--setting", span]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the command ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("1 datapoints are lost"), "{stderr}");
}

#[test]
fn an_interrupted_collection_keeps_what_it_emitted() {
    let cli = Cli::new();
    // Emits one datapoint, says so, and goes on for ever.
    cli.file(
        "endless.wat",
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
          (data (i32.const 0) "\40\00\00\00\03\00\00\00\00\00\00\00\00\00\00\00\07")
          (data (i32.const 64) "key")
          (data (i32.const 80) "target")
          (func (export "collect") (result i32)
            (call $emit (i32.const 80) (i32.const 6) (i32.const 0) (i32.const 1) (i32.const 1024))
            (call $log (i32.const 2) (i32.const 80) (i32.const 6))
            (loop br 0)
            unreachable))"#,
    );
    let mut command = cli.command(&["run", "endless.wat", "--timeout", "10m"]);
    command.stdout(Stdio::piped());
    let mut running = Running::start(&mut command, Said::OnStderr, |line| line.contains("target").then(nobody));
    let mut stdout = running.take_stdout();
    running.signal("TERM");
    let mut body = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut body).expect("the command ends");
    assert_eq!(running.wait().code(), Some(4));
    let records = pattoo_records(&serde_json::from_str(&body).expect("a body"));
    assert_eq!((records.len(), &records[0]["key"]), (1, &json!("key")));
}

#[test]
fn what_cannot_be_used_leaves_nothing_behind() {
    let cli = Cli::new();
    cli.file("idle.wat", IDLE);
    cli.file("other.wat", "(component)");
    for arguments in [
        &["run", "idle.wat", "--grants", "missing.yaml"][..],
        &["run", "other.wat"],
        &["run", "idle.wat", "--http", "http://127.0.0.1:9", "--post", "http://127.0.0.1:9"],
    ] {
        assert_eq!(cli.run(arguments).code, Some(2), "{arguments:?}");
    }
    assert!(!cli.folder().join(".local").exists());
}

#[test]
fn the_server_that_is_posted_to_cannot_be_reached_under_another_name_either() {
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
    // A name is only known for what it is when it is asked for.
    let setting = setting.replace("127.0.0.1", "localhost");
    let run = cli.run(&["run", &module, "--setting", &setting, "--http", &name, "--post", &address]);
    assert_refused(&run, 3, &["no guest may talk to pattoo-wasm or its pattoo server"]);
    assert!(cli.received().is_empty());
}

#[test]
fn a_guest_cannot_flood_the_log_with_datapoints_that_are_refused() {
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
fn what_a_guest_hands_over_in_one_call_has_a_limit() {
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
fn responses_beyond_the_limit_of_a_collection_are_refused_one_by_one() {
    let cli = Cli::new();
    let site = moody_site();
    let origin = format!("http://{}", site.address());
    let sources: Vec<_> =
        (0..10).map(|_| json!({"target": "a", "url": format!("{origin}/bytes/8000000"), "keys": ["ABC"]})).collect();
    let module = guest("lava_script").display().to_string();
    let setting = format!("sources={}", json!(sources));
    let run = cli.run(&["run", &module, "--setting", &setting, "--http", &origin, "--memory", "512MiB"]);
    assert_refused(
        &run,
        3,
        &["10 of 10 sources failed", "the limit of 64.0 MiB on the response bodies of one collection"],
    );
}

#[test]
fn pretty_output_keeps_the_escapes_of_the_body() {
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
