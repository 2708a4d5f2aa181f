//! The station of `guests/station` in every language: its size, and the cost of its start and of
//! its collections.
//!
//! Each language has a process of its own, so that one's memory is not another's.

use std::{
    env, fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use pattoo_sandbox::{Cache, CompileLimits, Compiler, Module, Sandbox};
use pattoo_tests::{
    STATIONS, StationPeers, binary,
    figures::{Samples, Target, cpu_seconds, repeated, say},
    resident_kib, station,
};
use serde_json::json;

/// How often it is compiled.
const COMPILATIONS: u32 = 3;
/// How often an instance is made, and how often it collects; as many again come before, and do not
/// count.
const COLLECTIONS: u32 = 100;

pub(crate) fn figures() {
    say_machine();
    for language in STATIONS.iter().filter(|language| station(language).is_some()) {
        let argument = format!("guests/{language}");
        let status = Command::new(env::current_exe().unwrap()).arg(argument).status().unwrap();
        assert!(status.success(), "{language}");
    }
}

/// What the figures come from, in words: the page that shows them names it.
#[expect(clippy::print_stdout, reason = "that is how a benchmark says its figures")]
fn say_machine() {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':')).unwrap();
        line.trim().to_owned()
    };
    let kib: f64 = first("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap();
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let words = format!(
        "{} build; {}, {} of its processors, {:.0} GiB; load average {} at the start",
        if cfg!(debug_assertions) { "development" } else { "release" },
        first("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().unwrap(),
        kib / f64::from(1 << 20),
        load.split(' ').next().unwrap(),
    );
    println!("{}", json!({"name": "guests: measured on", "target": words}));
}

/// The figures of one language.
pub(crate) fn figures_of(language: &str) {
    let path = station(language).unwrap();
    let say = |what: &str, figures: &Samples| say(&format!("guests: {language}: {what}"), figures, None, Target::None);
    let one = |figure: f64| Samples::new(vec![figure]);
    say("MB of the module", &one(fs::metadata(&path).unwrap().len() as f64 / 1e6));

    let field = StationPeers::start();
    let compiler = || Compiler::new(binary(), CompileLimits::default());
    let module = Module::read(&path).unwrap();
    let compilation = |cache: Option<Cache>| {
        let sandbox = Sandbox::new(1, compiler(), cache).unwrap();
        millis(sandbox.load(&module).unwrap().compilation().time)
    };
    say("ms to compile it", &repeated(COMPILATIONS, || compilation(None)));
    let cache = || Some(Cache::open(&field.folder().join("cache")).unwrap());
    compilation(cache());
    say("ms to load it compiled", &repeated(9, || compilation(cache())));

    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sandbox = Sandbox::new(1, compiler(), cache()).unwrap();
    let before = resident_kib(std::process::id());
    let collector = sandbox.load(&module).unwrap();
    let assignment = Arc::new(field.assignment(language));
    let mut walls = Vec::new();
    let mut peak = 0;
    let mut collect = || {
        let started = Instant::now();
        let mut outcome = None;
        let cpu = cpu_seconds(|| {
            outcome = Some(tokio.block_on(sandbox.collect(&collector, Arc::clone(&assignment))));
        });
        let wall = millis(started.elapsed());
        let outcome = outcome.unwrap();
        peak = peak.max(outcome.peak_memory);
        tokio.block_on(StationPeers::counted(outcome, language));
        (cpu * 1e3, wall)
    };
    for _ in 0..COLLECTIONS {
        collect();
    }
    let cpu = repeated(COLLECTIONS, || {
        let (cpu, wall) = collect();
        walls.push(wall);
        cpu
    });
    let resident = resident_kib(std::process::id()).saturating_sub(before);
    let instantiate = || 1e6 * cpu_seconds(|| tokio.block_on(sandbox.instantiate(&collector, &assignment)).unwrap());
    for _ in 0..COLLECTIONS {
        instantiate();
    }
    say("us of a processor to instantiate it", &repeated(COLLECTIONS, instantiate));
    say("ms of a processor for a collection", &cpu);
    say("ms from a collection's start to its end", &Samples::new(walls));
    say("MiB of linear memory", &one(peak as f64 / f64::from(1 << 20)));
    say("MiB that the process is larger", &one(resident as f64 / 1024.0));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
