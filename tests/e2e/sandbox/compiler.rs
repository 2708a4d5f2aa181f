//! Compilation in a child process, and the cache of compiled code.
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests may do what tests may do")]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use pattoo_sandbox::{CompileError, CompileLimits, Compiler, LoadError, Module, Sandbox};
use pattoo_tests::{COMPOSED, Cli, binary, dependent_branches};

/// A collector that fails with this text, which shows which module ran.
fn failing(text: &str) -> String {
    let length = text.len();
    format!(
        r#"(module (memory (export "memory") 1)
          (data (i32.const 0) "\01\00\00\00\10\00\00\00\{length:02x}\00\00\00") (data (i32.const 16) "{text}")
          (func (export "collect") (result i32) i32.const 0))"#
    )
}

/// The compiled modules in the cache.
fn entries(cli: &Cli) -> Vec<PathBuf> {
    let folder = fs::read_dir(cli.folder().join(".cache/pattoo_wasm/compiled")).expect("the cache is there");
    let path = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").path();
    folder.map(path).filter(|path| path.extension().is_some_and(|ending| ending == "cwasm")).collect()
}

#[test]
fn module_is_compiled_once_and_again_after_a_change() {
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
fn damaged_cache_entry_is_detected_and_compiled_again() {
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
    assert!(run.stderr.contains("sound") && run.stderr.contains("compiled again"), "{run:#?}");
    assert_eq!(fs::read(&entry).expect("it can be read").len(), sound.len());
    assert!(!cli.run(&["run", "guest.wat"]).stderr.contains("compiled again"));
}

#[test]
fn component_composed_of_other_components_runs() {
    let cli = Cli::new();
    cli.file("guest.wat", COMPOSED);
    let run = cli.run(&["run", "guest.wat"]);
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn module_with_two_memories_of_its_own_is_refused() {
    let cli = Cli::new();
    cli.file(
        "guest.wat",
        COMPOSED.replacen("(memory (export \"memory\") 1)", "(memory (export \"memory\") 1) (memory 1)", 1),
    );
    let run = cli.run(&["run", "guest.wat"]);
    assert!(run.code == Some(2) && run.stderr.contains("defined memories count of 2"), "{run:#?}");
}

/// The error of loading a module under these limits.
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

/// A module whose one function has twenty thousand branches that all depend on each other: seconds
/// of work.
fn bomb() -> String {
    let body = dependent_branches(20_000);
    let collect = r#"(memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0)"#;
    format!("(module {collect} (func (param i32 i32 i32) {body}))")
}

#[test]
fn compilation_that_takes_too_much_time_is_stopped() {
    let error = refusal(&bomb(), CompileLimits { time: Duration::from_secs(1), ..CompileLimits::default() });
    assert!(error.to_string().contains("more than 1s of processor time (limit compile_time)"), "{error}");
}

#[test]
fn compilation_that_takes_too_much_memory_is_stopped() {
    let error = refusal(&bomb(), CompileLimits { memory: 128 << 20, ..CompileLimits::default() });
    assert!(error.to_string().contains("more than 128.0 MiB of memory (limit compile_memory)"), "{error}");
}

/// A module that takes a compiler minutes.
fn giant() -> Vec<u8> {
    let collect = r#"(memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0)"#;
    let text = format!("(module {collect} (func (param i32 i32 i32) {}))", dependent_branches(60_000));
    wat::parse_str(text).expect("a module")
}

#[test]
fn failed_compilation_is_not_repeated_until_its_limit_is_raised() {
    let cli = Cli::new();
    cli.file("giant.wasm", giant());
    let run = |limit: &str| cli.run(&["run", "giant.wasm", "--limit", limit]);
    let compiles = |limit: &str| {
        let run = run(limit);
        assert_eq!(run.code, Some(2), "{run:#?}");
        assert!(run.stderr.contains("(limit compile_time)"), "{run:#?}");
        !run.stderr.contains("is not compiled again")
    };
    assert!(compiles("compile_time=1s"));
    let began = Instant::now();
    assert!(!compiles("compile_time=1s"), "another process knows of it");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(compiles("compile_time=2s"), "a raised limit tries again");
    assert!(!compiles("compile_time=1s") && !compiles("compile_time=2s"));
}

/// A process under test, killed on drop.
struct Parent(Child);

impl Drop for Parent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that compiles a giant module, and its child process, which has confined itself and
/// compiles.
fn compiling(cli: &Cli) -> (Parent, u32) {
    cli.file("giant.wasm", giant());
    let mut command = cli.command(&["run", "giant.wasm"]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let parent = Parent(command.spawn().expect("it starts"));
    let deadline = Instant::now().checked_add(Duration::from_mins(1)).expect("a while from now");
    loop {
        let tasks = fs::read_dir(format!("/proc/{}/task", parent.0.id())).expect("it runs").flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let child = children.flat_map(|pids| pids.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>());
        if let Some(child) = child.last()
            && status(child, "Threads").is_some_and(|threads| threads != "1")
        {
            return (parent, child);
        }
        assert!(Instant::now() < deadline, "no child compiles");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A value of `/proc/PID/status`; none when the process has ended.
fn status(pid: u32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    if value("State")?.starts_with(['Z', 'X']) { None } else { value(key).map(str::to_owned) }
}

#[test]
fn compiler_process_ends_when_its_parent_is_killed() {
    let cli = Cli::new();
    let (parent, child) = compiling(&cli);
    // This sends SIGKILL.
    drop(parent);
    let killed = Instant::now();
    while status(child, "State").is_some() {
        assert!(killed.elapsed() < Duration::from_secs(1), "the compiler goes on without its parent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn compiler_process_has_only_memory_and_three_pipes() {
    let cli = Cli::new();
    let (_parent, child) = compiling(&cli);
    let is = |key: &str| status(child, key).expect("it compiles");
    assert_eq!((is("Seccomp"), is("NoNewPrivs")), ("2".to_owned(), "1".to_owned()));
    let tasks = fs::read_dir(format!("/proc/{child}/task")).expect("it compiles").flatten();
    for task in tasks {
        let status = fs::read_to_string(task.path().join("status")).expect("a thread");
        assert!(status.contains("Seccomp:\t2"), "every thread is under the filter: {status}");
    }
    let read = |name: &str| fs::read_to_string(format!("/proc/{child}/{name}")).expect("it compiles");
    let files = fs::read_dir(format!("/proc/{child}/fd")).expect("it compiles").flatten();
    let files: Vec<_> = files.map(|file| fs::read_link(file.path()).expect("a link")).collect();
    assert!(files.len() == 3 && files.iter().all(|file| file.to_string_lossy().starts_with("pipe:")), "{files:?}");
    assert_eq!((read("environ"), read("oom_score_adj").trim()), (String::new(), "1000"));
    assert_eq!(fs::read_link(format!("/proc/{child}/cwd")).expect("a folder"), PathBuf::from("/"));
    let limits = read("limits");
    for limit in ["Max file size 0 0", "Max open files 3 3", "Max core file size 0 0", "Max cpu time 120 125"] {
        let is = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(limit);
        assert!(limits.lines().any(is), "{limit}: {limits}");
    }
}
