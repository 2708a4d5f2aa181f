//! Bad input gets a clear message and a documented exit code, and has no partial effect.

use std::process::Stdio;

use pattoo_tests::{
    Cli, IDLE, ReadyLine, Running, assert_refused, assert_says, component, emits_and, faulty_site, guest,
    modbus_device, pattoo_records, unused_address, web_site,
};
use serde_json::json;

#[test]
fn file_that_is_not_a_module_is_refused_and_named() {
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
    assert_refused(
        &cli.run(&["run", "photo.wasm"]),
        2,
        &["photo.wasm is not WebAssembly", "neither a WebAssembly binary nor text"],
    );
    assert_refused(&cli.run(&["run", "header.wasm"]), 2, &["header.wasm is not WebAssembly", "cut off"]);
    assert_refused(&cli.run(&["run", "broken.wat"]), 2, &["broken.wat is not WebAssembly"]);
    assert_refused(&cli.run(&["run", "cut.wasm"]), 2, &["cut.wasm does not compile"]);
}

#[test]
fn module_of_another_world_is_refused_with_what_is_missing() {
    let cli = Cli::new();
    cli.file("other.wat", "(component (core module $m) (core instance (instantiate $m)))");
    cli.file("import.wat", "(component (import \"acme:weather/forecast@1.2.0\" (instance)))");
    cli.file("wasi.wat", "(component (import \"wasi:http/incoming-handler@0.2.0\" (instance)))");
    let signature = component("(func (export \"collect\") (result i32) i32.const 0)").replace("(error string)", "");
    cli.file("signature.wat", signature.replace(" (memory (core memory $instance \"memory\"))", ""));
    assert_refused(&cli.run(&["run", "other.wat"]), 2, &["does not export `collect`", "it exports nothing"]);
    assert_refused(
        &cli.run(&["run", "import.wat"]),
        2,
        &["`acme:weather/forecast@1.2.0`", "pattoo:agent/modbus@0.1.0"],
    );
    assert_refused(&cli.run(&["run", "wasi.wat"]), 2, &["`wasi:http/incoming-handler@0.2.0`", "does not provide"]);
    cli.file("later.wat", "(component (import \"wasi:io/poll@0.3.0\" (instance)))");
    assert_refused(&cli.run(&["run", "later.wat"]), 2, &["`wasi:io/poll@0.3.0`", "0.2.0 and later, not 0.3"]);
    let collect = "must be `collect: func() -> result<_, string>`";
    assert_refused(&cli.run(&["run", "signature.wat"]), 2, &["does not fit the world", collect]);
    // A function of another name in one of our interfaces, and one of another signature.
    for (function, words) in [
        ("\"write\" (func (param \"message\" string))", ["`write`", "the interface has log"]),
        ("\"log\" (func (param \"message\" string))", ["`log`", "must be `log: func(level: level, message: string)`"]),
    ] {
        let import = format!("(component (import \"pattoo:agent/log@0.1.0\" (instance (export {function})))");
        cli.file("function.wat", IDLE.replacen("(component", &import, 1));
        assert_refused(&cli.run(&["run", "function.wat"]), 2, &words);
    }
}

#[test]
fn malformed_arguments_are_refused_before_anything_runs() {
    let cli = Cli::new();
    cli.file("idle.wat", component("(func (export \"collect\") (result i32) i32.const 0)"));
    for (arguments, words) in [
        (&["--http", "site-a.example.org"][..], &["--http", "site-a.example.org"][..]),
        (&["--http", "https://*.example.org"], &["--http"]),
        (&["--http", "https://a.example.org/path"], &["--http", "path"]),
        (&["--modbus", "tcp://192.0.2.1"], &["--modbus", "expected NAME=URL"]),
        (&["--modbus", "plc1=http://192.0.2.1"], &["`http` is not a Modbus transport"]),
        (&["--modbus", "plc1=tcp://192.0.2.1?unit=256"], &["unit 256 does not exist"]),
        (&["--modbus", "plc1=tcp://192.0.2.1:99999"], &["99999", "not a port"]),
        (&["--modbus", "plc1=tcp://192.0.2.1", "--modbus", "plc1=tcp://192.0.2.2"], &["`plc1` is granted twice"]),
        (&["--program", "a/b"], &["--program"]),
        (&["--interval", "0"], &["--interval"]),
        (&["--setting", "=3"], &["expected NAME=VALUE", "--setting count=3"]),
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
fn usage_error_says_what_is_expected_and_names_the_help_of_its_command() {
    let cli = Cli::new();
    for (arguments, words) in [
        (
            &["spool", "list", "--limit", "much"][..],
            &[
                "error: invalid value `much` for `--limit <COUNT>`: expected an integer",
                "`pattoo-wasm spool list --help`",
            ][..],
        ),
        (
            &["spool", "show", "x"],
            &["invalid value `x` for `<ID>`: expected an integer", "`pattoo-wasm spool show --help`"],
        ),
        (&["receive", "--answer", "700"], &["expected an integer from 200 to 599, for example 503"]),
        (&["receive", "--delay", "soon"], &["expected a duration, for example 30s", "`pattoo-wasm receive --help`"]),
        (&["receive", "--listen", "20201"], &["expected an IP address and a port, for example 127.0.0.1:20201"]),
        (&["run", "a.wat", "--timeout", "soon"], &["expected a duration, for example 30s", "`pattoo-wasm run --help`"]),
        (&["run", "a.wat", "--memory", "much"], &["expected a size, for example 64MiB"]),
        (&["run", "a.wat", "--interval", "0"], &["expected an integer from 1 to 4294967, for example 300"]),
        (&["run", "a.wat", "--post", "pattoo"], &["invalid base URL `pattoo`", "for example http://192.0.2.5:20201"]),
        (&["run", "a.wat", "--http", "http://a:b"], &["invalid origin", "for example https://site-a.example.org"]),
        (&["run", "a.wat", "--limit", "datapoint=1"], &["unknown limit `datapoint`: did you mean `datapoints`?"]),
    ] {
        assert_refused(&cli.run(arguments), 2, words);
    }
}

#[test]
fn scenario_that_is_missing_or_invalid_is_refused_with_its_keys() {
    let cli = Cli::new();
    cli.file("wrong.yaml", "answers: 500\n");
    let receive = |file: &str| cli.run(&["receive", "--listen", "127.0.0.1:0", "--scenario", file]);
    let keys = "`answer`, `retry_after`, `delay`, `hang`, `keep`, `only`, `token`";
    assert_refused(&receive("nope"), 2, &["error: cannot read the scenario nope: No such file", keys]);
    assert_refused(&receive("wrong.yaml"), 2, &["error: invalid scenario wrong.yaml", "answers", keys]);
}

#[test]
fn output_that_does_not_exist_is_refused_and_the_others_are_named() {
    let cli = Cli::new();
    cli.file("a.wat", emits_and("i32.const 512"));
    let server = format!("http://{}", unused_address());
    assert_eq!(cli.run(&["run", "a.wat", "--post", &server]).code, Some(5));
    let other = format!("`--server {server}`");
    for command in ["list", "retry", "drop"] {
        let run = cli.run(&["spool", command, "--output", "nope"]);
        assert_refused(&run, 2, &["error: there is no output `nope`", &other]);
    }
    assert_eq!(cli.run(&["spool", "list", "--server", &server]).stdout.lines().count(), 2);
}

#[test]
fn denied_request_names_its_origin_once_and_metadata_addresses_are_never_recommended() {
    let cli = Cli::new();
    let module = guest("lava_script").display().to_string();
    let denials = |origin: &str| {
        let sources = json!([{"target": "SITE", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]);
        let run = cli.run(&["run", &module, "--setting", &format!("sources={sources}")]);
        assert_says(&run, &[&format!("GET {origin}/quotes.json: denied: the origin is not granted")]);
        let denials = run.stderr.lines().filter(|line| line.contains("WARN") && line.contains("is denied"));
        denials.map(str::to_owned).collect::<Vec<_>>()
    };
    let named = denials("http://10.255.0.1:8080");
    let [line] = &named[..] else { panic!("{named:#?}") };
    assert!(
        line.contains("GET /quotes.json is denied: the origin is not granted; to grant it: --http http://10"),
        "{line}"
    );
    assert_eq!(line.matches("10.255.0.1").count(), 1, "{line}");
    for metadata in ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://100.100.100.200"] {
        let named = denials(metadata);
        let [line] = &named[..] else { panic!("{named:#?}") };
        assert!(line.contains(metadata) && !line.contains("to grant it"), "{line}");
    }
}

#[test]
fn error_in_a_grants_file_names_line_and_column() {
    let cli = Cli::new();
    cli.file("idle.wat", component("(func (export \"collect\") (result i32) i32.const 0)"));
    for (grants, words) in [
        ("http: [", &["grants.yaml:1:"][..]),
        ("modbuss: {}\n", &["`modbuss` is not a key", "grants.yaml:1:1", "did you mean `modbus`?"]),
        (
            "modbus:\n  plc1:\n    url: tcp://192.0.2.1\n    unit: 256\n",
            &[
                "expected an integer from 0 to 255, found `256`",
                "grants.yaml:4:11",
                "unit: 256",
                "write for example `unit: 7`",
            ],
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
fn unavailable_device_or_register_costs_only_its_own_datapoints() {
    let device = modbus_device(&json!({"1": {"holding": {"0": [11, 12]}}}));
    let cli = Cli::new();
    let module = guest("modbus_registers").display().to_string();
    let (up, down) = (format!("up=tcp://{}", device.address()), format!("down=tcp://{}", unused_address()));
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
fn failing_site_costs_only_its_own_datapoints_and_is_named() {
    let cli = Cli::new();
    cli.file("good.json", json!({"ABC": 1.5}).to_string());
    cli.file("words.json", "not JSON");
    let (site, faulty) = (web_site(cli.folder()), faulty_site());
    let origin = |site: &pattoo_tests::Running| format!("http://{}", site.address());
    let (good, bad, dead) = (origin(&site), origin(&faulty), format!("http://{}", unused_address()));
    let sources: Vec<_> = [
        ("good", format!("{good}/good.json")),
        ("missing", format!("{good}/missing.json")),
        ("words", format!("{good}/words.json")),
        ("broken", format!("{bad}/status/500")),
        ("large", format!("{bad}/bytes/9000000")),
        ("elsewhere", format!("{bad}/redirect?http://{}/", unused_address())),
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
fn undelivered_payload_stays_in_the_spool_and_is_sent_first_next_time() {
    let cli = Cli::new();
    let (site, faulty) = (web_site(cli.folder()), faulty_site());
    let origin = format!("http://{}", site.address());
    let setting =
        format!("sources={}", json!([{"target": "SITE_A", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]));
    let module = guest("lava_script").display().to_string();
    let run = |quote: f64, server: &str| {
        cli.file("quotes.json", json!({"ABC": quote}).to_string());
        cli.run(&["run", &module, "--setting", &setting, "--http", &origin, "--post", server])
    };
    let away = format!("http://{}", unused_address());
    assert_refused(
        &run(1.5, &away),
        5,
        &["not delivered", "cannot be reached", "refused", "payload 1 stays in the spool"],
    );
    // A server that is not pattoo and does not support POST.
    let other = format!("http://{}", faulty.address());
    assert_refused(&run(2.5, &other), 5, &["not delivered", "answered 501", "payload 2 stays in the spool"]);
    let receiver = cli.receive_at(away.trim_start_matches("http://"));
    let delivered = run(3.5, &away);
    assert_eq!((delivered.code, delivered.stdout.as_str()), (Some(0), ""), "{delivered:#?}");
    let values: Vec<_> = cli.received().iter().map(|body| pattoo_records(body)[0]["value"].clone()).collect();
    assert_eq!(values, [json!(1.5), json!(3.5)], "the oldest first, and what is for another server stays");
    assert!(receiver.interrupt().success());
}

#[test]
fn payload_that_cannot_be_stored_is_printed() {
    let cli = Cli::new();
    cli.file("quotes.json", json!({"ABC": 1.5}).to_string());
    let site = web_site(cli.folder());
    let origin = format!("http://{}", site.address());
    let setting =
        format!("sources={}", json!([{"target": "SITE_A", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]));
    let module = guest("lava_script").display().to_string();
    let server = format!("http://{}", unused_address());
    let post = ["run", &module, "--setting", &setting, "--http", &origin, "--post", &server];
    assert_eq!(cli.run(&post).code, Some(5));
    // With its last number used, SQLite reports the same error as on a full disk.
    let spool = cli.folder().join(".local/state/pattoo_wasm/spool/spool.sqlite3");
    let full = rusqlite::Connection::open(&spool).unwrap();
    full.execute_batch("UPDATE sqlite_sequence SET seq = 9223372036854775807").unwrap();
    let run = cli.run(&post);
    assert_eq!(run.code, Some(5), "{run:#?}");
    assert_eq!(pattoo_records(&run.body()).len(), 1);
    assert_says(&run, &["cannot be stored", "no space left", "on stdout"]);
}

#[test]
fn closed_standard_output_is_an_error_and_not_a_silent_loss() {
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
fn interrupted_collection_keeps_its_emitted_datapoints() {
    let cli = Cli::new();
    // Emits one datapoint, logs a line, and never ends.
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
    let mut running =
        Running::start(&mut command, ReadyLine::OnStderr, |line| line.contains("target").then(unused_address));
    let mut stdout = running.take_stdout();
    running.signal("TERM");
    let mut body = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut body).expect("the command ends");
    assert_eq!(running.wait().code(), Some(4));
    let records = pattoo_records(&serde_json::from_str(&body).expect("a body"));
    assert_eq!((records.len(), &records[0]["key"]), (1, &json!("key")));
}

#[test]
fn refused_command_line_creates_no_files() {
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
