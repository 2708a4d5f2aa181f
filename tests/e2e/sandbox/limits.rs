//! The limits of a collector: each has an effect, and the message names it with its value when it
//! is reached.
#![expect(clippy::string_slice, reason = "helpers of tests may do what tests may do")]

use pattoo_tests::{
    Cli, Finished, RawSite, assert_refused, assert_says, dependent_branches, guest, http_ok, modbus_device,
    pattoo_records,
};
use serde_json::json;

/// A core module with this body of `collect`.
fn core(imports: &str, body: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 4)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
          (func (export "collect") (result i32) (local $n i32) {body} (i32.const 0)))"#
    )
}

/// A loop that runs `body` this many times.
fn times(count: u32, body: &str) -> String {
    format!(
        "(loop $again {body} (local.set $n (i32.add (local.get $n) (i32.const 1))) \
         (br_if $again (i32.lt_u (local.get $n) (i32.const {count}))))"
    )
}

fn run(cli: &Cli, text: impl AsRef<[u8]>, limits: &[&str]) -> Finished {
    cli.file("guest.wat", text);
    let flags = limits.iter().flat_map(|limit| ["--limit", limit]);
    cli.run(&["run", "guest.wat"].into_iter().chain(flags).collect::<Vec<_>>())
}

#[test]
fn too_large_module_is_not_read_to_its_end() {
    let cli = Cli::new();
    let text = format!("{};;{}", core("", ""), "x".repeat(2000));
    assert_eq!(run(&cli, &text, &[]).code, Some(0));
    assert_refused(&run(&cli, &text, &["module_bytes=1KiB"]), 2, &["1024 bytes", "(limit module_bytes)"]);
}

#[test]
fn module_with_too_many_functions_is_not_compiled() {
    let cli = Cli::new();
    let text = core("", "").replacen("(memory", &format!("{} (memory", "(func)".repeat(20)), 1);
    assert_refused(
        &run(&cli, &text, &["module_functions=21"]),
        2,
        &["more than 21 functions (limit module_functions)"],
    );
    assert_eq!(run(&cli, &text, &["module_functions=22"]).code, Some(0));
}

#[test]
fn time_and_memory_of_the_compiler_are_configurable() {
    let cli = Cli::new();
    let text = core("", "").replacen(
        "(memory",
        &format!("(func (param i32 i32 i32) {}) (memory", dependent_branches(20_000)),
        1,
    );
    let module = wat::parse_str(text).unwrap();
    assert_refused(
        &run(&cli, &module, &["compile_time=1s"]),
        2,
        &["more than 1s of processor time (limit compile_time)"],
    );
    let memory = run(&cli, &module, &["compile_memory=256MiB"]);
    assert_refused(&memory, 2, &["more than 256.0 MiB of memory (limit compile_memory)"]);
}

#[test]
fn datapoints_for_too_many_targets_are_rejected() {
    let site = RawSite::saying(r#"{"A": 1}"#);
    let cli = Cli::new();
    let source = |target: &str| json!({"target": target, "url": format!("{}/", site.origin()), "keys": ["A"]});
    let sources = json!(["one", "two", "three", "one"].map(source)).to_string();
    let module = guest("lava_script").display().to_string();
    let setting = format!("sources={sources}");
    let arguments = ["run", &module, "--setting", &setting, "--http", &site.origin(), "--limit", "targets=2"];
    let run = cli.run(&arguments);
    assert_eq!(run.code, Some(3), "{run:#?}");
    assert_says(&run, &["three", "the limit of 2 on targets of one collection is reached (limit targets)"]);
    assert_eq!(pattoo_records(&run.body()).len(), 2);
}

#[test]
fn error_text_of_a_collector_is_truncated_at_its_limit() {
    let cli = Cli::new();
    let data = format!(
        r#"(data (i32.const 0) "\01\00\00\00\10\00\00\00\e8\03\00\00") (data (i32.const 16) "{}")"#,
        "y".repeat(1000)
    );
    let text = core(&data, "");
    let failed = run(&cli, &text, &["error_bytes=100"]);
    assert_refused(&failed, 3, &["the collector failed"]);
    assert!(failed.stderr.contains(&format!("{}…", "y".repeat(100))), "{failed:#?}");
    assert!(!failed.stderr.contains(&"y".repeat(101)), "{failed:#?}");
    assert!(run(&cli, &text, &[]).stderr.contains(&"y".repeat(1000)));
}

#[test]
fn log_of_a_collection_is_limited_in_lines_and_bytes() {
    let cli = Cli::new();
    let log = r#"(import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let line = format!(r#"(data (i32.const 16) "{}\0a")"#, "z".repeat(99));
    let logged = core(log, &times(50, "(call $log (i32.const 2) (i32.const 16) (i32.const 99))"));
    let logged = logged.replacen("(memory", &format!("{line} (memory"), 1);
    let print = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let vector = r#"(data (i32.const 8) "\10\00\00\00\64\00\00\00")"#;
    let printed =
        core(print, &times(50, "(drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 4)))"));
    let printed = printed.replacen("(memory", &format!("{line} {vector} (memory"), 1);
    for text in [logged, printed] {
        let lines = |run: &Finished| run.stderr.matches(&"z".repeat(99)).count();
        let all = run(&cli, &text, &[]);
        assert_eq!((all.code, lines(&all)), (Some(0), 50), "{all:#?}");
        let few = run(&cli, &text, &["log_lines=7"]);
        assert_eq!((few.code, lines(&few)), (Some(0), 7), "{few:#?}");
        assert_says(&few, &["43 log lines left out after the first 7", "limit log_lines"]);
        let short = run(&cli, &text, &["log_bytes=1000"]);
        assert_eq!((short.code, lines(&short)), (Some(0), 10), "{short:#?}");
        assert_says(&short, &["40 log lines left out after the first 10", "1000 B (limit log_bytes)"]);
    }
}

#[test]
fn spans_beyond_those_at_the_same_time_wait() {
    let device = modbus_device(&json!({"1": {"holding": {"0": [1, 2, 3, 4, 5]}}}));
    let cli = Cli::new();
    let module = guest("modbus_registers").display().to_string();
    let spans = (0..5).map(|n| format!("{{device: plc1, table: holding, address: {n}, count: 1}}"));
    let setting = format!("spans=[{}]", spans.collect::<Vec<_>>().join(", "));
    let granted = format!("plc1=tcp://{}", device.address());
    let arguments = |limit| ["run", &module, "--setting", &setting, "--modbus", &granted, "--limit", limit];
    for (limit, requests) in
        [("concurrent_spans=5", &["[1, 3, 0, 5]"][..]), ("concurrent_spans=4", &["[1, 3, 0, 4]", "[1, 3, 4, 1]"])]
    {
        assert_eq!(cli.run(&arguments(limit)).code, Some(0));
        for request in requests {
            assert_eq!(device.next_line(), *request);
        }
        assert_eq!(device.try_next_line(), None);
    }
    // More than a collection may read is refused before any request.
    let refused = cli.run(&arguments("spans=4"));
    assert_refused(&refused, 3, &["limit of 4 on Modbus spans of one collection is reached (limit spans)"]);
    assert_eq!(device.try_next_line(), None);
}

#[test]
fn random_bytes_are_limited_per_collection_and_not_per_call() {
    let cli = Cli::new();
    let import = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let text = core(import, &times(10, "(drop (call $random (i32.const 1024) (i32.const 1000)))"));
    assert_eq!(run(&cli, &text, &[]).code, Some(0));
    assert_eq!(run(&cli, &text, &["random_bytes=10000"]).code, Some(0));
    assert_refused(&run(&cli, &text, &["random_bytes=9999"]), 4, &["random bytes", "(limit random_bytes)"]);
}

#[test]
fn stack_overflow_names_the_size_of_the_stack() {
    let cli = Cli::new();
    let deep = run(&cli, core("(func $deep (call $deep))", "(call $deep)"), &[]);
    assert_refused(&deep, 4, &["call stack exhausted: it has 512.0 KiB"]);
}

/// Every function that takes a text or a list gets one that is too long. The numbers are the flat
/// parameters of the canonical ABI; `L` is the long length.
#[test]
fn every_host_function_enforces_the_limit_on_one_call() {
    let functions = [
        ("log", "log", "2 16 L", false),
        ("datapoints", "emit", "16 L 16 0 8", false),
        ("datapoints", "emit", "16 4 16 L 8", false),
        ("state", "get", "16 L 8", false),
        ("state", "set", "16 L 16 4 8", false),
        ("state", "set", "16 4 16 L 8", false),
        ("state", "remove", "16 L", false),
        ("http", "fetch", "16 L 16 4 16 0 0 0 0 0 0 8", false),
        ("http", "fetch", "16 4 16 L 16 0 0 0 0 0 0 8", false),
        ("http", "fetch", "16 4 16 4 16 L 0 0 0 0 0 8", false),
        ("http", "fetch", "16 4 16 4 16 0 1 16 L 0 0 8", false),
        ("http", "fetch-all", "16 L 8", false),
        ("modbus", "read-many", "16 L 8", false),
        ("modbus", "read-coils", "16 L 0 0 0 1 8", false),
        ("modbus", "read-discrete-inputs", "16 L 0 0 0 1 8", false),
        ("modbus", "read-holding-registers", "16 L 0 0 0 1 8", false),
        ("modbus", "read-input-registers", "16 L 0 0 0 1 8", false),
    ];
    let cli = Cli::new();
    for (interface, function, arguments, returns) in functions {
        let count = arguments.split(' ').count();
        let result = if returns { "(result i32)" } else { "" };
        let import = format!(
            r#"(import "pattoo:agent/{interface}@0.1.0" "{function}" (func $f (param {}) {result}))"#,
            &"i32 ".repeat(count)[..count * 4 - 1]
        );
        let call = |long: &str| {
            let pushed: Vec<_> =
                arguments.split(' ').map(|n| format!("(i32.const {})", if n == "L" { long } else { n })).collect();
            format!("(call $f {})", pushed.join(" "))
        };
        // A short argument is accepted, whatever the memory holds there.
        let taken = run(&cli, core(&import, &call("1")), &["call_bytes=1KiB"]);
        assert_eq!(taken.code, Some(0), "{interface}/{function} {arguments}: {taken:#?}");
        let refused = run(&cli, core(&import, &call("2000")), &["call_bytes=1KiB"]);
        assert_refused(&refused, 4, &["the limit of 1.0 KiB on one call is reached (limit call_bytes)"]);
    }
}

#[test]
fn library_log_lines_count_as_lines_of_the_collector() {
    // Sends requests without an address: the HTTP library logs a warning for each.
    let text = include_str!("../../hostile/tenants/wasi.wat").replace("$ATTACK", "$responses");
    let cli = Cli::new();
    cli.file("guest.wat", text);
    let run = cli.run(&["run", "guest.wat", "--timeout", "2s"]);
    let warnings: Vec<&str> = run.stderr.lines().filter(|line| line.contains("wasmtime_wasi_http")).collect();
    assert!(warnings.len() > 10, "{}", run.stderr);
    // 1 000 lines and 256 KiB unless set otherwise; one line counts the lines that were left out.
    assert!(warnings.len() <= 1_000 && run.stderr.len() < 300 << 10, "{} bytes", run.stderr.len());
    for line in &warnings {
        assert!(line.contains("guest: wasmtime_wasi_http"), "{line}");
    }
    assert!(run.stderr.contains("log lines left out"), "{:.1000}", run.stderr);
}

#[test]
fn denial_messages_are_short_whatever_was_requested() {
    // A method of 16 MB, and paths as long as a URL may be, twenty of each.
    let body = times(
        20,
        "(i32.store8 (i32.const 65536) (i32.add (i32.const 65) (local.get $n)))
         (call $fetch (i32.const 65536) (i32.const 16700000) (i32.const 0) (i32.const 19) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
         (i32.store8 (i32.const 40019) (i32.add (i32.const 65) (local.get $n)))
         (call $fetch (i32.const 19) (i32.const 3) (i32.const 40000) (i32.const 8000) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
    );
    let text = format!(
        r#"(module
          (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
          (memory (export "memory") 600)
          (data (i32.const 0) "http://127.0.0.1:9/GET")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 17825792)
          (func (export "collect") (result i32) (local $n i32)
            (memory.fill (i32.const 65536) (i32.const 65) (i32.const 16700000))
            (memory.fill (i32.const 40000) (i32.const 98) (i32.const 8000))
            (memory.copy (i32.const 40000) (i32.const 0) (i32.const 19))
            {body} (i32.const 61440)))"#
    );
    let run = run(&Cli::new(), text, &[]);
    assert_eq!(run.code, Some(0), "{:.2000}", run.stderr);
    assert!(run.stderr.contains("not granted") || run.stderr.contains("denied"), "{:.2000}", run.stderr);
    assert!(run.stderr.len() < 64 << 10, "{} bytes", run.stderr.len());
    assert!(run.stderr.lines().all(|line| line.len() < 1_500), "{:.2000}", run.stderr);
}

#[test]
fn response_bytes_are_counted_during_transfer_and_stop_at_the_limit() {
    let site = RawSite::answering(|_| http_ok(vec![b'x'; 4_000_000]));
    let url = format!("{}/", site.origin());
    let body = times(
        30,
        &format!(
            "(call $fetch (i32.const 0) (i32.const 3) (i32.const 3) (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
               (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
            url.len()
        ),
    );
    let text = format!(
        r#"(module
          (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
          (memory (export "memory") 200)
          (data (i32.const 0) "GET{url}")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
          (func (export "collect") (result i32) (local $n i32) {body} (i32.const 61440)))"#
    );
    let cli = Cli::new();
    cli.file("guest.wat", text);
    let run = cli.run(&["run", "guest.wat", "--http", &site.origin(), "--limit", "fetched_bytes=1MiB"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("(limit fetched_bytes)"), "{}", run.stderr);
    // The first response was read up to the limit, and no other request was sent.
    assert_eq!(site.seen().len(), 1);
}
