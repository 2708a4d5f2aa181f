//! The state that a collector keeps from one collection to the next.

use pattoo_tests::{Cli, Finished};

/// A collector in text format that counts its collections under the key `n`, logs the count, and
/// ends as `end` says.
fn counter(end: &str) -> String {
    format!(
        r#"(component
          (import "pattoo:agent/state@0.1.0" (instance $state
            (type $why (variant (case "quota" string) (case "invalid" string) (case "other" string)))
            (export "error" (type $error (eq $why)))
            (export "get" (func (param "key" string) (result (option (list u8)))))
            (export "set" (func (param "key" string) (param "value" (list u8)) (result (result (error $error)))))))
          (import "pattoo:agent/log@0.1.0" (instance $log
            (type $words (enum "trace" "debug" "info" "warn" "error"))
            (export "level" (type $level (eq $words)))
            (export "log" (func (param "level" $level) (param "message" string)))))
          (core module $memory
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096))
          (core instance $memory (instantiate $memory))
          (core func $get (canon lower (func $state "get")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
          (core func $set (canon lower (func $state "set")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
          (core func $log (canon lower (func $log "log") (memory (core memory $memory "memory"))))
          (core module $guest
            (import "memory" "memory" (memory 1))
            (import "host" "get" (func $get (param i32 i32 i32)))
            (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
            (import "host" "log" (func $log (param i32 i32 i32)))
            (data (i32.const 16) "n0 collections")
            (data (i32.const 200) "\01\00\00\00\10\00\00\00\01\00\00\00")
            (func (export "collect") (result i32)
              (call $get (i32.const 16) (i32.const 1) (i32.const 32))
              (if (i32.load8_u (i32.const 32))
                (then (i32.store8 (i32.const 17) (i32.load8_u (i32.load (i32.const 36))))))
              (i32.store8 (i32.const 17) (i32.add (i32.load8_u (i32.const 17)) (i32.const 1)))
              (call $set (i32.const 16) (i32.const 1) (i32.const 17) (i32.const 1) (i32.const 64))
              (if (i32.load8_u (i32.const 64)) (then unreachable))
              (call $log (i32.const 2) (i32.const 17) (i32.const 13))
              {end}))
          (core instance $guest (instantiate $guest
            (with "memory" (instance $memory))
            (with "host" (instance
              (export "get" (func $get)) (export "set" (func $set)) (export "log" (func $log))))))
          (func (export "collect") (result (result (error string)))
            (canon lift (core func $guest "collect") (memory (core memory $memory "memory")))))"#
    )
}

fn run(cli: &Cli, end: &str) -> Finished {
    cli.file("counter.wat", counter(end));
    // Only the endless collector may reach its deadline, and only after it has done its work.
    let timeout = if end == ENDLESS { "2s" } else { "1m" };
    cli.run(&["run", "counter.wat", "--timeout", timeout])
}

#[track_caller]
fn assert_counts(run: &Finished, code: i32, count: u32) {
    assert_eq!(run.code, Some(code), "{run:#?}");
    assert!(run.stderr.contains(&format!("{count} collections")), "{run:#?}");
}

const GOOD: &str = "i32.const 128";
const ENDLESS: &str = "(loop br 0) i32.const 128";

#[test]
fn state_is_kept_across_runs_and_unchanged_by_a_failed_one() {
    let cli = Cli::new();
    assert_counts(&run(&cli, GOOD), 0, 1);
    assert_counts(&run(&cli, GOOD), 0, 2);
    // It returns an error, traps, and never ends.
    for (end, code) in [("i32.const 200", 3), ("unreachable", 4), (ENDLESS, 4)] {
        assert_counts(&run(&cli, end), code, 3);
    }
    assert_counts(&run(&cli, GOOD), 0, 3);
    cli.file("other.wat", counter(GOOD));
    assert_counts(&cli.run(&["run", "other.wat"]), 0, 1);
}

#[test]
fn unusable_state_file_is_named_and_stops_the_collection() {
    let cli = Cli::new();
    assert_counts(&run(&cli, GOOD), 0, 1);
    std::fs::remove_dir_all(cli.folder().join(".local/state/pattoo_wasm/state")).unwrap();
    std::fs::create_dir(cli.folder().join(".local/state/pattoo_wasm/state")).unwrap();
    cli.file(".local/state/pattoo_wasm/state/state.sqlite3", "not a database ".repeat(1000));
    let stopped = run(&cli, GOOD);
    assert_eq!(stopped.code, Some(4), "{stopped:#?}");
    assert!(stopped.stderr.contains("state.sqlite3") && stopped.stderr.contains("damaged"), "{stopped:#?}");
    // A collector without state is not affected.
    cli.file("idle.wat", pattoo_tests::IDLE);
    assert_eq!(cli.run(&["run", "idle.wat"]).code, Some(0));
}
