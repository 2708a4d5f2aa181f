//! Results of the good collectors, from the payloads that arrived at the server and from the
//! daemon's metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

use crate::server::{Collection, Receiver};

/// The interval of all collectors, in milliseconds.
const INTERVAL: u64 = 1000;
/// How far the two clocks of the daemon may be apart, in milliseconds: a collection that is early
/// by less is on time.
const CLOCKS: u64 = 100;
/// How late 99 of a hundred collections may begin, in milliseconds.
const LATE: u64 = 100;
/// What was begun so shortly before the end need not be finished, in milliseconds.
const UNDER_WAY: u64 = 3000;
/// How often a hostile collector collects at least, in milliseconds: each is stopped after ten
/// seconds.
const LEAST_OFTEN: u64 = 30_000;

type Metrics = BTreeMap<String, f64>;

fn now() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("a time")
}

/// The time in which collections count, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    from: u64,
    until: u64,
}

impl Window {
    pub(crate) fn opens_now() -> Self {
        Self { from: now(), until: u64::MAX }
    }

    pub(crate) fn closes_now(self) -> Self {
        Self { until: now(), ..self }
    }
}

/// The collections of a program that ended in this way.
fn ended(metrics: &Metrics, program: &str, outcome: &str) -> f64 {
    let name = format!("pattoo_wasm_collections_total{{program=\"{program}\",outcome=\"{outcome}\"}}");
    metrics.get(&name).copied().unwrap_or(0.0)
}

/// The samples of a family that are about a program, by the last of their labels; those that are
/// zero left out.
fn of_program(metrics: &Metrics, family: &str, program: &str) -> Vec<(String, f64)> {
    let begin = format!("{family}{{program=\"{program}\",");
    let samples = metrics.iter().filter(|(_, value)| **value != 0.0);
    let label = |name: &str| Some(name.strip_prefix(&begin)?.split('"').nth(1)?.to_owned());
    samples.filter_map(|(name, value)| Some((label(name)?, *value))).collect()
}

/// Whether all that good collectors had completed at the moment of these metrics is at the server.
pub(crate) fn has_arrived(receiver: &Receiver, metrics: &Metrics) -> bool {
    let collections = receiver.collections();
    metrics.iter().all(|(name, completed)| {
        let program = name
            .strip_prefix("pattoo_wasm_collections_total{program=\"GOOD")
            .and_then(|rest| rest.strip_suffix("\",outcome=\"completed\"}"));
        program.is_none_or(|program| {
            let arrived = collections.get(&format!("GOOD{program}")).map_or(0, |all| distinct(all).len());
            arrived as f64 >= *completed
        })
    })
}

/// The collections without duplicates, which may arrive when a connection breaks.
fn distinct(collections: &[Collection]) -> BTreeSet<&Collection> {
    collections.iter().collect()
}

/// One good collector.
#[derive(Debug)]
struct Program {
    name: String,
    /// How long after the start of the daemon it collected for the first time; never, if not at
    /// all.
    first: Option<u64>,
    arrived: usize,
    /// Intervals without a collection that arrived, from the first one on.
    missed: u64,
    /// Collections that the daemon says it completed, and that had not arrived a minute after the
    /// end.
    lost: f64,
    /// How late each began, in milliseconds.
    late: Vec<u64>,
    /// Collections that did not complete, and times when it did not collect, as the daemon counts
    /// them.
    failures: Vec<(String, f64)>,
    /// Whether numbers of a counter are missing or not in their order.
    disordered: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Measured(Vec<Program>);

impl Measured {
    pub(crate) fn of(
        receiver: &Receiver,
        names: impl Iterator<Item = String>,
        window: Window,
        metrics: &Metrics,
    ) -> Self {
        let collections = receiver.collections();
        let of = |name: String| Program::of(&name, collections.get(&name).map_or(&[], Vec::as_slice), window, metrics);
        Self(names.map(of).collect())
    }

    /// How late all collections began, sorted.
    fn late(&self) -> Vec<u64> {
        let mut late: Vec<u64> = self.0.iter().flat_map(|program| program.late.iter().copied()).collect();
        late.sort_unstable();
        late
    }

    /// The faults, as messages.
    pub(crate) fn faults(&self, start: Duration) -> Vec<String> {
        let mut faults: Vec<String> = self.0.iter().flat_map(|program| program.faults(start)).collect();
        let late = self.late();
        if at(&late, 99) > LATE {
            faults.push(format!("99 % of the good collections began up to {} ms late", at(&late, 99)));
        }
        faults
    }
}

/// The value below which so many percent are.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let index = sorted.len() * percent / 100;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = self.late();
        let sum = |of: fn(&Program) -> u64| self.0.iter().map(of).sum::<u64>();
        write!(
            formatter,
            "{} good collectors: {} collections arrived, {} intervals were missed, {} completed collections had not arrived a minute after the end; the first ones began \
             {} to {} ms after the start; half of all began at most {} ms late, 90 % {} ms, 99 % {} ms, all {} ms",
            self.0.len(),
            late.len(),
            sum(|program| program.missed),
            self.0.iter().map(|program| program.lost).sum::<f64>(),
            self.0.iter().filter_map(|program| program.first).min().unwrap_or(0),
            self.0.iter().filter_map(|program| program.first).max().unwrap_or(0),
            at(&late, 50),
            at(&late, 90),
            at(&late, 99),
            late.last().copied().unwrap_or(0),
        )
    }
}

impl Program {
    fn of(name: &str, collections: &[Collection], window: Window, metrics: &Metrics) -> Self {
        // As `daemon/schedule.rs` has it: at the multiples of the interval, shifted by an offset
        // that comes from the name.
        let digest = Sha256::digest(name);
        let offset = u64::from_be_bytes(*digest.first_chunk().expect("32 bytes")) % INTERVAL;
        let since = |at: u64| at - offset + CLOCKS;
        let distinct = distinct(collections);
        let times: Vec<u64> = distinct.iter().map(|collection| collection.at).collect();
        let intervals: BTreeSet<u64> = times.iter().map(|at| since(*at) / INTERVAL).collect();
        let last = since(window.until.saturating_sub(UNDER_WAY)) / INTERVAL;
        let expected = intervals.first().map_or(0, |first| (last + 1).saturating_sub(*first));
        let arrived = intervals.iter().filter(|interval| **interval <= last).count() as u64;
        let counts: Vec<u64> = distinct.iter().filter_map(|collection| collection.count).collect();
        let mut failures: Vec<(String, f64)> = of_program(metrics, "pattoo_wasm_collections_total", name);
        failures.retain(|(outcome, _)| outcome != "completed");
        let skipped = of_program(metrics, "pattoo_wasm_collections_skipped_total", name);
        // While its module is compiled it is not there yet: that is what `first` is about.
        failures.extend(skipped.into_iter().filter(|(reason, _)| reason != "not_loaded"));
        Self {
            name: name.to_owned(),
            first: times.first().map(|first| first.saturating_sub(window.from)),
            arrived: distinct.len(),
            missed: expected.saturating_sub(arrived),
            lost: (ended(metrics, name, "completed") - distinct.len() as f64).max(0.0),
            late: times.iter().map(|at| (since(*at) % INTERVAL).saturating_sub(CLOCKS)).collect(),
            failures,
            disordered: counts.windows(2).any(|two| two[1] != two[0] + 1),
        }
    }

    fn faults(&self, start: Duration) -> Vec<String> {
        let mut faults = Vec::new();
        match self.first {
            None => faults.push("never collected".to_owned()),
            Some(first) if u128::from(first) > start.as_millis() => {
                faults.push(format!("collected for the first time only {first} ms after the start"));
            }
            Some(_) => {}
        }
        if self.missed > 0 {
            faults.push(format!("{} intervals without a collection, beside {} with one", self.missed, self.arrived));
        }
        if self.lost > 0.0 {
            faults.push(format!("{} collections that completed had not arrived a minute after the end", self.lost));
        }
        if self.disordered {
            faults.push("numbers are missing".to_owned());
        }
        faults.extend(self.failures.iter().map(|(how, times)| format!("{times} times {how}")));
        faults.into_iter().map(|fault| format!("{}: {fault}", self.name)).collect()
    }
}

/// Prints the results of the hostile collectors.
pub(crate) fn print_hostile(programs: &[String], metrics: &Metrics) {
    for program in programs {
        let mut ended = of_program(metrics, "pattoo_wasm_collections_total", program);
        ended.extend(of_program(metrics, "pattoo_wasm_collections_skipped_total", program));
        let ended: Vec<String> = ended.iter().map(|(how, times)| format!("{times} {how}")).collect();
        if !ended.is_empty() {
            println!("{program}: {}", ended.join(", "));
        }
    }
}

/// Hostile collectors that did next to nothing, so that the test shows nothing about them.
pub(crate) fn idle(programs: &[String], window: Window, metrics: &Metrics) -> Vec<String> {
    let least = ((window.until - window.from) / LEAST_OFTEN) as f64;
    let collected = |program: &str| {
        of_program(metrics, "pattoo_wasm_collections_total", program).iter().map(|(_, times)| times).sum::<f64>()
    };
    // A module that is compiled for long, or refused, does not collect.
    let idle = programs.iter().filter(|program| !program.ends_with("giant") && collected(program) < least);
    idle.map(|program| format!("{program} collected only {} times", collected(program))).collect()
}
