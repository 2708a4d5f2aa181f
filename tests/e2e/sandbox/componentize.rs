//! Core modules, which are componentized when they are loaded.
#![expect(clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::process::Command;

use pattoo_tests::{Cli, has_program, modbus_device, pattoo_records};
use serde_json::json;

/// The page that specifies hand-written modules.
const PAGE: &str = include_str!("../../../docs/guests/abi.md");

/// The program on the page.
fn program() -> &'static str {
    let (_, rest) = PAGE.split_once("```c\n").expect("the page has a program in C");
    rest.split_once("```").expect("the program ends").0
}

#[test]
fn c_program_of_the_abi_page_collects_without_a_library() {
    if !has_program("clang") || !has_program("wasm-ld") {
        return;
    }
    let cli = Cli::new();
    cli.file("registers.c", program());
    // As the page says.
    let built = Command::new("clang")
        .args(["--target=wasm32-unknown-unknown", "-O2", "-nostdlib", "-Wl,--no-entry", "-Wall", "-Werror"])
        .args(["-o", "registers.wasm", "registers.c"])
        .current_dir(cli.folder())
        .status()
        .expect("clang starts");
    assert!(built.success());
    let device = modbus_device(&json!({"1": {"holding": {"0": [732, 65535]}}}));
    let granted = format!("plc1=tcp://{}", device.address());
    let run = cli.run(&["run", "registers.wasm", "--modbus", &granted]);
    assert_eq!(run.code, Some(0), "{run:#?}");
    let read = |record: &serde_json::Value| json!([record["key"], record["value"], record["metadata"]]);
    let records: Vec<_> = pattoo_records(&run.body()).iter().map(read).collect();
    assert_eq!(records, [json!(["flow", 732, [["unit", "001"]]]), json!(["return", 65535, [["unit", "001"]]])]);

    let run = cli.run(&["run", "registers.wasm"]);
    assert_eq!(run.code, Some(3), "{run:#?}");
    assert!(run.stderr.contains("plc1 cannot be read"), "{run:#?}");
}

#[test]
fn core_module_with_wasi_can_only_write_to_the_log() {
    let cli = Cli::new();
    cli.file(
        "wasi.wat",
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environment (param i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\10\00\00\00\0e\00\00\00")
          (data (i32.const 16) "said by hand\1b\n")
          (func (export "collect") (result i32)
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
            (drop (call $environment (i32.const 64) (i32.const 68)))
            ;; The number of variables, which must be 0, decides between `ok` and an error of no text.
            (i32.store8 (i32.const 128) (i32.ne (i32.load (i32.const 64)) (i32.const 0)))
            i32.const 128))"#,
    );
    let run = cli.run(&["run", "wasi.wat"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:#?}");
    assert!(run.stderr.contains(r"wasi: said by hand\u{1b}"), "{run:#?}");
}

#[test]
fn core_module_of_another_contract_is_refused_with_the_reason() {
    let cli = Cli::new();
    for (text, words) in [
        ("(module)", "does not export a function `collect`"),
        (r#"(module (import "env" "print" (func)))"#, "`print` from `env`, which no collector can import"),
        (
            r#"(module (import "pattoo:agent/log@0.1.0" "log" (func (param i32))))"#,
            "has the signature (i32) -> (), and must have (i32, i32, i32) -> ()",
        ),
    ] {
        cli.file("core.wat", text);
        let run = cli.run(&["run", "core.wat"]);
        assert_eq!(run.code, Some(2), "{run:#?}");
        assert!(run.stderr.contains(words) && run.stderr.contains("docs/guests/abi.md"), "{words}: {run:#?}");
    }
}
