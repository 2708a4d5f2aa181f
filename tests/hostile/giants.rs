//! Generated modules, too large for files, that exceed the limits of the compiler.

use std::{path::Path, time::Duration};

use pattoo_sandbox::{CompileError, CompileLimits, Compiler, LoadError, Module, Sandbox};
use pattoo_tests::{binary, dependent_branches};

use crate::machine::Machine;

/// The limits of a compilation here. A small collector is compiled within them; each of [`GIANTS`]
/// exceeds the one limit that stops it.
const TIME: Duration = Duration::from_secs(1);
const MEMORY: u64 = 224 << 20;

/// The limits that are tried here.
pub(crate) const GIANTS_LIMITS: [&str; 4] = ["module_bytes", "module_functions", "compile_time", "compile_memory"];

/// A giant: what it is, what stops it, and its text behind that of a collector.
type Giant = (&'static str, Stopped, fn() -> String);

#[derive(Debug, Clone, Copy)]
enum Stopped {
    OutOfTime,
    OutOfMemory,
}

const GIANTS: [Giant; 5] = [
    ("twenty thousand branches that all depend on each other", Stopped::OutOfTime, || {
        format!("(func (param i32 i32 i32) {})", dependent_branches(20_000))
    }),
    ("sixty thousand functions", Stopped::OutOfTime, || {
        let function = |n| format!("(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))");
        (0..60_000).map(function).collect()
    }),
    ("thirty thousand types, all different", Stopped::OutOfTime, || {
        let parameters =
            |n: u32| -> String { (0..18).map(|bit| if n >> bit & 1 == 1 { " i32" } else { " i64" }).collect() };
        let ty = |n| format!("(type (func (param{})))", parameters(n));
        (0..30_000).map(ty).collect()
    }),
    ("a segment of three hundred thousand elements", Stopped::OutOfMemory, || {
        format!("(table 10 funcref) (elem func {})", "0 ".repeat(300_000))
    }),
    ("five thousand locals, all alive through four thousand branches", Stopped::OutOfMemory, || {
        let branch = |n: u32| {
            let (to, from) = (n % 5000 + 1, n * 7 % 5000 + 1);
            format!("(if (local.get 0) (then (local.set {to} (i32.add (local.get {from}) (i32.const 1)))))")
        };
        format!("(func (param i32) (local {}) {})", "i32 ".repeat(5000), (0..4000).map(branch).collect::<String>())
    }),
];

fn module(text: &str) -> Module {
    let collector = r#"(memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0)"#;
    let binary = wat::parse_str(format!("(module {collector} {text})")).expect("a module");
    Module::from_bytes(Path::new("giant.wasm"), binary).expect("a module")
}

fn load(limits: CompileLimits, text: &str) -> Result<(), LoadError> {
    let sandbox = Sandbox::new(1, Compiler::new(binary(), limits), None).expect("the engine starts");
    sandbox.load(&module(text)).map(drop)
}

#[test]
fn each_expensive_module_is_stopped_by_the_limit_for_its_cost() {
    let machine = Machine::new();
    let (little_time, little_memory) = (
        CompileLimits { time: TIME, ..CompileLimits::default() },
        CompileLimits { memory: MEMORY, ..CompileLimits::default() },
    );
    load(CompileLimits { time: TIME, memory: MEMORY, ..CompileLimits::default() }, "")
        .expect("the limits are enough for a collector");
    std::thread::scope(|scope| {
        for (name, stopped, text) in GIANTS {
            let machine = &machine;
            scope.spawn(move || {
                let text = text();
                let (limits, words) = match stopped {
                    Stopped::OutOfTime => (little_time, "more than 1s of processor time (limit compile_time)"),
                    Stopped::OutOfMemory => (little_memory, "more than 224.0 MiB of memory (limit compile_memory)"),
                };
                match load(limits, &text) {
                    Err(LoadError::NotCompiled {
                        error: error @ (CompileError::OutOfTime(_) | CompileError::OutOfMemory(_)),
                        ..
                    }) => assert!(error.to_string().contains(words), "{name}: {error}"),
                    Err(error) => panic!("{name}: {error}"),
                    Ok(()) => panic!("{name}: compiled"),
                }
                machine.worker().good_collection().unwrap_or_else(|fault| panic!("{name}: {fault}"));
                // With that limit raised it is compiled: nothing else stopped it.
                load(CompileLimits { memory: 4 << 30, ..CompileLimits::default() }, &text)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            });
        }
    });
}

#[test]
fn module_with_more_functions_than_the_limit_is_refused() {
    let functions = "(func)".repeat(20_000);
    let error =
        load(CompileLimits { functions: 20_000, ..CompileLimits::default() }, &functions).expect_err("one more");
    assert!(error.to_string().contains("20000 functions (limit module_functions)"), "{error}");
    load(CompileLimits { functions: 20_001, ..CompileLimits::default() }, &functions).expect("as many as it may have");
}

#[test]
fn module_whose_code_is_a_thousand_times_its_size_is_refused() {
    // Two bytes of data, sixteen MiB apart: the compiler keeps all that is between them.
    let image = r#"(core module (memory 256) (data (i32.const 0) "a") (data (i32.const 16777214) "b"))"#;
    let component = |images| {
        let text = format!(
            r#"(component {} (core module $guest (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))
              (core instance $instance (instantiate $guest))
              (func (export "collect") (result (result (error string)))
                (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))"#,
            image.repeat(images)
        );
        let module = Module::from_bytes(Path::new("images.wat"), text.into_bytes()).expect("a module");
        let compiler = Compiler::new(binary(), CompileLimits::default());
        Sandbox::new(1, compiler, None).expect("the engine starts").load(&module).map(drop)
    };
    let error = component(6).expect_err("96 MiB").to_string();
    assert!(error.contains("its compiled form is larger than 64.0 MiB"), "{error}");
    component(3).expect("48 MiB");
}

#[test]
fn branch_table_with_a_hundred_thousand_targets_is_refused_at_load() {
    let jump = |places| format!("(func (param i32) block (br_table {} (local.get 0)) end)", "0 ".repeat(places));
    let error = load(CompileLimits::default(), &jump(100_000)).expect_err("too large");
    assert!(error.to_string().contains("br_table"), "{error}");
    load(CompileLimits::default(), &jump(60_000)).expect("as large as it may be");
}

#[test]
fn module_in_text_format_is_not_parsed_beyond_its_limit() {
    let text = |bytes: usize| {
        let text = format!("(module {})", "(func)".repeat(bytes / 6 - 2));
        let padded = text.clone() + &" ".repeat(bytes - text.len());
        Module::from_bytes(Path::new("long.wat"), padded.into_bytes()).map(drop)
    };
    let error = text((1 << 20) + 1).expect_err("a byte too many").to_string();
    assert!(error.contains("text of more than 1.0 MiB"), "{error}");
    text(1 << 20).expect("as much as is read");
}

#[test]
fn module_file_is_not_read_beyond_its_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("padded.wat");
    std::fs::write(&path, format!("(module) ;; {}", "x".repeat(100_000))).expect("room for it");
    let within = |module_bytes| Module::read_within(&path, &CompileLimits { module_bytes, ..CompileLimits::default() });
    let size = std::fs::metadata(&path).expect("it is there").len();
    let error = within(size - 1).err().expect("a byte too many").to_string();
    assert!(error.contains(&format!("{} bytes", size - 1)) && error.contains("(limit module_bytes)"), "{error}");
    assert!(within(size).is_ok());
}
