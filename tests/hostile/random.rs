//! Random modules are componentized, compiled, linked and run like any collector. Each ends with a
//! known outcome, in time and within its memory.
//!
//! They are made by wasm-smith (`tests/smith`), with our imports and exports. The compiler runs in
//! this process: a child process for each would take most of the time and test nothing more.

use std::{
    io::{BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use pattoo_sandbox::Termination;
use pattoo_wasm::config::CollectorLimits;

use crate::machine::{Machine, Run, SLACK};

/// How many there are, unless `RANDOM_MODULES` says otherwise.
const MODULES: u64 = 10_000;
/// The deadline of each.
const DEADLINE: Duration = Duration::from_millis(20);

/// The number of modules by outcome.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    completed: u64,
    failed: u64,
    stopped: u64,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Builds and starts the generator of modules.
fn smith(seed: u64, modules: u64) -> (Child, BufReader<ChildStdout>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = folder.join("../target/smith");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(folder.join("smith/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo starts");
    assert!(built.success(), "tests/smith does not build");
    let mut made = Command::new(target.join("debug/smith"));
    let mut made =
        made.args([seed.to_string(), modules.to_string()]).stdout(Stdio::piped()).spawn().expect("it starts");
    let modules = BufReader::new(made.stdout.take().expect("a pipe"));
    (made, modules)
}

/// The next module, if there is one.
fn next(modules: &Mutex<BufReader<ChildStdout>>) -> Option<Vec<u8>> {
    let mut modules = modules.lock().expect("no test panicked");
    let mut length = [0; 4];
    modules.read_exact(&mut length).ok()?;
    let mut module = vec![0; u32::from_le_bytes(length) as usize];
    modules.read_exact(&mut module).expect("a whole module");
    Some(module)
}

#[test]
fn random_modules_always_end_in_a_known_outcome() {
    let seed = number("PATTOO_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        u64::from(now.subsec_nanos())
    });
    let modules = number("RANDOM_MODULES").unwrap_or(MODULES);
    println!("PATTOO_SEED={seed}");
    let machine = Machine::without_child();
    let (mut child, made) = smith(seed, modules);
    let (source, total) = (Mutex::new(made), Mutex::new(Tally::default()));
    let mut limits = CollectorLimits::default();
    limits.collection.timeout = DEADLINE;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let worker = machine.worker();
                let mut tally = Tally::default();
                while let Some(module) = next(&source) {
                    match worker.run_module(module, &limits, Duration::from_mins(1)) {
                        Run::Refused(_) => tally.refused += 1,
                        Run::Ended(outcome, _) => {
                            assert!(outcome.duration < DEADLINE + SLACK, "{:?}", outcome.duration);
                            assert!(outcome.peak_memory <= limits.collection.memory);
                            match outcome.ending {
                                Termination::Completed => tally.completed += 1,
                                Termination::Failed(_) => tally.failed += 1,
                                Termination::Stopped(_) => tally.stopped += 1,
                            }
                        }
                    }
                }
                worker.good_collection().unwrap_or_else(|fault| panic!("{fault}"));
                let mut total = total.lock().expect("no test panicked");
                total.refused += tally.refused;
                total.completed += tally.completed;
                total.failed += tally.failed;
                total.stopped += tally.stopped;
            });
        }
    });
    assert!(child.wait().expect("it is our child").success(), "the smith failed");
    let total = total.into_inner().expect("no test panicked");
    println!("{total:?}");
    let ran = total.completed + total.failed + total.stopped;
    assert_eq!(total.refused + ran, modules, "{total:?}");
    assert!(ran * 2 > modules, "too few get past the loader to say anything: {total:?}");
}
