//! Compilation in a child process, and the cache of what it made.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may do what tests may do")]

use std::{fs, path::PathBuf, time::Duration};

use pattoo_tests::{COMPOSED, Cli, binary};
use pattoo_wasm::sandbox::{CompileError, CompileLimits, Compiler, LoadError, Module, Sandbox};

/// A collector that fails with this text, so that a run shows which one was run.
fn failing(text: &str) -> String {
    let length = text.len();
    format!(
        r#"(module (memory (export "memory") 1)
          (data (i32.const 0) "\01\00\00\00\10\00\00\00\{length:02x}\00\00\00") (data (i32.const 16) "{text}")
          (func (export "collect") (result i32) i32.const 0))"#
    )
}

/// The compiled modules that a run left.
fn entries(cli: &Cli) -> Vec<PathBuf> {
    let folder = fs::read_dir(cli.folder().join(".cache/pattoo_wasm/compiled")).expect("the cache is there");
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").path();
    folder.map(path).filter(|path| path.extension().is_some_and(|ending| ending == "cwasm")).collect()
}

#[test]
fn a_module_is_compiled_once_and_anew_when_it_has_changed() {
    let cli = Cli::new();
    cli.file("guest.wat", failing("first"));
    for _ in 0..2 {
        assert!(cli.run(&["run", "guest.wat"]).stderr.contains("first"));
        assert_eq!(entries(&cli).len(), 1);
    }
    cli.file("guest.wat", failing("second"));
    assert!(cli.run(&["run", "guest.wat"]).stderr.contains("second"));
    assert_eq!(entries(&cli).len(), 2);
}

#[test]
fn a_damaged_entry_is_noticed_and_made_anew() {
    let cli = Cli::new();
    cli.file("guest.wat", failing("sound"));
    cli.run(&["run", "guest.wat"]);
    let entry = entries(&cli).pop().expect("an entry");
    let sound = fs::read(&entry).expect("it can be read");
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    fs::write(&entry, &damaged).expect("it can be written");
    let run = cli.run(&["run", "guest.wat"]);
    assert!(run.stderr.contains("sound") && run.stderr.contains("made anew"), "{run:#?}");
    assert_eq!(fs::read(&entry).expect("it can be read").len(), sound.len());
    assert!(!cli.run(&["run", "guest.wat"]).stderr.contains("made anew"));
}

#[test]
fn a_component_that_is_composed_of_others_runs() {
    let cli = Cli::new();
    cli.file("guest.wat", COMPOSED);
    let run = cli.run(&["run", "guest.wat"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn a_module_with_several_memories_of_its_own_is_refused() {
    let cli = Cli::new();
    cli.file(
        "guest.wat",
        COMPOSED.replacen("(memory (export \"memory\") 1)", "(memory (export \"memory\") 1) (memory 1)", 1),
    );
    let run = cli.run(&["run", "guest.wat"]);
    assert!(run.code == Some(2) && run.stderr.contains("defined memories count of 2"), "{run:#?}");
}

/// What loading says of a module under these limits.
fn refusal(text: &str, limits: CompileLimits) -> CompileError {
    let sandbox = Sandbox::new(1, Compiler::new(binary(), limits), None).expect("the engine starts");
    let binary_form = wat::parse_str(text).expect("a module");
    let module = Module::from_bytes("bomb.wasm".as_ref(), binary_form).expect("a module");
    match sandbox.load(&module) {
        Err(LoadError::NotCompiled { error, .. }) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was compiled"),
    }
}

/// A module whose one function has twenty thousand branches that all depend on each other: seconds of work.
fn bomb() -> String {
    let branch = "(if (local.get 0) (then (local.set 1 (i32.add (local.get 0) (local.get 2)))) \
                  (else (local.set 2 (i32.mul (local.get 1) (local.get 0)))))";
    let body = branch.repeat(20_000);
    let collect = r#"(memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0)"#;
    format!("(module {collect} (func (param i32 i32 i32) {body}))")
}

#[test]
fn a_module_that_costs_the_compiler_too_much_time_is_given_up() {
    let error = refusal(&bomb(), CompileLimits { time: Duration::from_secs(1), ..CompileLimits::default() });
    assert!(error.to_string().contains("out of time") && error.to_string().contains("1s"), "{error}");
}

#[test]
fn a_module_that_costs_the_compiler_too_much_memory_is_given_up() {
    let error = refusal(&bomb(), CompileLimits { memory: 128 << 20, ..CompileLimits::default() });
    assert!(error.to_string().contains("out of memory") && error.to_string().contains("128.0 MiB"), "{error}");
}
