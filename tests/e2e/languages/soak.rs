//! The station in every language, thousands of times in one process: nothing fails, and memory
//! stays flat.
//!
//! `cargo xtask soak guests` runs it. `GUEST_COLLECTIONS` is the number of collections (20 000
//! unless set; a tenth of that in languages with an interpreter), `GUEST_LANGUAGES` the languages,
//! separated by commas.

use std::{sync::Arc, time::Instant};

use pattoo_sandbox::{Cache, CompileLimits, Compiler, Module, Sandbox};
use pattoo_tests::{STATIONS, StationPeers, binary, resident_kib, station};

/// Languages whose modules contain an interpreter.
const SLOW: [&str; 3] = ["python", "javascript", "typescript"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour long: `cargo xtask soak guests` runs it"]
async fn every_language_collects_thousands_of_times_without_memory_growth() {
    let setting = |name: &str| std::env::var(name).ok();
    let many: u64 = setting("GUEST_COLLECTIONS").map_or(20_000, |text| text.parse().unwrap());
    let wanted = setting("GUEST_LANGUAGES");
    let wanted = |language: &str| wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == language));
    let field = StationPeers::start();
    let cache = Cache::open(&field.folder().join("cache")).unwrap();
    let sandbox = Sandbox::new(1, Compiler::new(binary(), CompileLimits::default()), Some(cache)).unwrap();
    println!(
        "| language | collections | milliseconds each | resident MiB at the start | a quarter | half | three quarters | the end |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for language in STATIONS.iter().copied().filter(|language| wanted(language)) {
        let Some(path) = station(language) else {
            println!("| {language} | not built | | | | | | |");
            continue;
        };
        let collections = if SLOW.iter().any(|slow| language.starts_with(slow)) { many / 10 } else { many };
        let module = Module::read(&path).unwrap();
        let collector = sandbox.load(&module).unwrap();
        let assignment = Arc::new(field.assignment(language));
        let started = Instant::now();
        let mut marks = Vec::new();
        for number in 1..=collections {
            let outcome = sandbox.collect(&collector, Arc::clone(&assignment)).await;
            let counted = StationPeers::counted(outcome, &format!("{language}, collection {number}")).await;
            assert_eq!(counted, number, "{language}");
            // The level after the first few, which open connections and fill caches and the pool.
            if number == collections.div_ceil(20) || number % collections.div_ceil(4) == 0 || number == collections {
                marks.push(resident_kib(std::process::id()));
                eprintln!("{language}: {number} of {collections} after {:.0} s", started.elapsed().as_secs_f64());
            }
        }
        let each = started.elapsed().as_secs_f64() * 1000.0 / f64::from(u32::try_from(collections).unwrap());
        let mib: Vec<String> =
            marks.iter().map(|kib| format!("{:.1}", f64::from(u32::try_from(*kib).unwrap()) / 1024.0)).collect();
        println!("| {language} | {collections} | {each:.2} | {} |", mib.join(" | "));
        let (early, late) = (marks[1], marks[marks.len() - 1]);
        assert!(late <= early + early / 20 + 2048, "{language}: memory grows: {marks:?} KiB");
    }
}
