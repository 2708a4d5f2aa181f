//! What the daemon counts, in the text format of Prometheus (version 0.0.4).
//!
//! [`FAMILIES`] and the counters of [`ROOMS`] are the whole list: nothing is exposed that is not in it, and the reference in `docs/reference/metrics.md` is held
//! against it. A label never has a value that a guest made up: programs, devices and origins are those that an operator wrote.

use std::{fmt::Write as _, sync::atomic::Ordering, time::Duration};

use pattoo_output::Stats;
use pattoo_sandbox::capability::{Family, ROOMS};

use super::{
    board::{Board, LATENESS_BOUNDS},
    ledger::{Reason, Skip},
};

macro_rules! families {
    ($($constant:ident $name:literal $kind:literal [$($label:literal),*] $help:literal;)*) => {
        $(const $constant: Family = Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*
        /// Those of the daemon itself. [`ROOMS`] have theirs, as [`Counters`](pattoo_sandbox::capability::Counters).
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    BUILD "pattoo_wasm_build_info" "gauge" ["version"] "Always 1; the version is in the label.";
    STARTED "pattoo_wasm_start_time_seconds" "gauge" [] "When the daemon started, in Unix seconds.";
    RELOADS "pattoo_wasm_reloads_total" "counter" ["result"] "Reloads: taken, or refused since the configuration could not be used.";
    JUMPS "pattoo_wasm_clock_jumps_total" "counter" [] "Times that the wall clock jumped and all departures were aligned anew.";
    UNDER_WAY "pattoo_wasm_collections_under_way" "gauge" [] "Collections under way.";
    LATE "pattoo_wasm_lateness_seconds" "histogram" [] "How long after their time collections began, all collectors together.";
    COLLECTORS "pattoo_wasm_collectors" "gauge" ["state"] "Collectors: ok, failing (the last collection did not complete), not_loaded (no module could be loaded), loading (its first module is being loaded), new (not run yet).";
    COLLECTIONS "pattoo_wasm_collections_total" "counter" ["program", "outcome"] "Collections that ended, by how: completed, failed, trap, deadline, limit, interrupted, not_stored, fault.";
    SKIPPED "pattoo_wasm_departures_skipped_total" "counter" ["program", "reason"] "Departures not taken: overrun (the collection before was under way), backoff, not_loaded, missed (the daemon was held up).";
    DURATION "pattoo_wasm_collection_duration_seconds" "summary" ["program"] "How long collections took.";
    LATENESS "pattoo_wasm_collection_lateness_seconds_total" "counter" ["program"] "How long after their time collections began, all together.";
    DATAPOINTS "pattoo_wasm_datapoints_total" "counter" ["program", "result"] "Datapoints emitted: taken or rejected.";
    HOST_TIME "pattoo_wasm_host_call_seconds_total" "counter" ["program", "interface"] "How long collectors waited for devices (modbus) and web sites (http).";
    MEMORY "pattoo_wasm_peak_memory_bytes" "gauge" ["program"] "The most linear memory of the last collection.";
    COMPLETED "pattoo_wasm_last_completed_timestamp_seconds" "gauge" ["program"] "When a collection last completed, in Unix seconds.";
    FAILURES "pattoo_wasm_consecutive_failures" "gauge" ["program"] "Collections that failed and brought nothing since the last that brought something.";
    QUEUED "pattoo_wasm_spool_bodies" "gauge" [] "Bodies in the spool that wait for the server.";
    QUEUED_BYTES "pattoo_wasm_spool_bytes" "gauge" [] "Their size.";
    QUEUED_AGE "pattoo_wasm_spool_oldest_seconds" "gauge" [] "The age of the oldest of them; 0 when there is none.";
    QUARANTINED "pattoo_wasm_spool_quarantined_bodies" "gauge" [] "Bodies in quarantine, which the server refused while it took others.";
    QUARANTINED_BYTES "pattoo_wasm_spool_quarantined_bytes" "gauge" [] "Their size.";
    DELIVERED "pattoo_wasm_spool_delivered_total" "counter" [] "Bodies that the server took, over the life of the spool.";
    REFUSED "pattoo_wasm_spool_refusals_total" "counter" [] "Answers of the server that refused a body, over the life of the spool.";
    DROPPED "pattoo_wasm_spool_dropped_total" "counter" [] "Bodies that fell off the spool at its limit of size or age, or that a person dropped, over its life.";
}

/// The page. The spool's figures are left out when the spool did not give them.
pub fn page(board: &Board, spool: Option<&Stats>) -> String {
    let mut page = Page::default();
    page.daemon(board);
    page.collectors(board);
    if let Some(stats) = spool {
        page.spool(stats);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, family: Family) {
        let Family { name, kind, help, .. } = family;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of a family. `suffix` is what its type adds to the name.
    fn sample(&mut self, family: Family, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", family.name);
        let mut before = '{';
        for (label, value) in labels {
            let _ = write!(self.text, "{before}{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    _ => self.text.push(character),
                }
            }
            self.text.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn single(&mut self, family: Family, value: impl std::fmt::Display) {
        self.family(family);
        self.sample(family, "", &[], value);
    }

    fn daemon(&mut self, board: &Board) {
        self.family(BUILD);
        self.sample(BUILD, "", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.single(STARTED, seconds(Duration::from_millis(board.started)));
        self.family(RELOADS);
        for (result, counter) in [("taken", &board.reloads), ("refused", &board.refused_reloads)] {
            self.sample(RELOADS, "", &[("result", result)], counter.load(Ordering::Relaxed));
        }
        self.single(JUMPS, board.realignments.load(Ordering::Relaxed));
        self.single(UNDER_WAY, board.under_way());
        self.family(LATE);
        let lateness = board.lateness();
        let mut sum: u64 = 0;
        for (place, count) in lateness.buckets.iter().enumerate() {
            sum = sum.saturating_add(*count);
            let bound = LATENESS_BOUNDS.get(place).map(|millis| seconds(Duration::from_millis(*millis)).to_string());
            self.sample(LATE, "_bucket", &[("le", bound.as_deref().unwrap_or("+Inf"))], sum);
        }
        self.sample(LATE, "_sum", &[], seconds(lateness.sum));
        self.sample(LATE, "_count", &[], sum);
    }

    fn collectors(&mut self, board: &Board) {
        let all: Vec<_> = board.ledgers().into_iter().map(|(program, ledger)| (program, ledger.figures())).collect();
        self.family(COLLECTORS);
        for state in State::ALL {
            let count = all.iter().filter(|(_, figures)| State::of(figures) == state).count();
            self.sample(COLLECTORS, "", &[("state", state.name())], count);
        }
        self.family(COLLECTIONS);
        for (program, figures) in &all {
            for reason in Reason::ALL {
                let labels = [("program", program.as_str()), ("outcome", reason.name())];
                self.sample(COLLECTIONS, "", &labels, figures.collections(reason));
            }
        }
        self.family(SKIPPED);
        for (program, figures) in &all {
            for skip in Skip::ALL {
                let labels = [("program", program.as_str()), ("reason", skip.name())];
                self.sample(SKIPPED, "", &labels, figures.skipped(skip));
            }
        }
        self.family(DURATION);
        for (program, figures) in &all {
            let labels = [("program", program.as_str())];
            self.sample(DURATION, "_sum", &labels, seconds(figures.tally.duration));
            self.sample(DURATION, "_count", &labels, figures.ended());
        }
        self.each(&all, LATENESS, |figures| Some(seconds(figures.tally.lateness)));
        self.family(DATAPOINTS);
        for (program, figures) in &all {
            for (result, count) in [("taken", figures.tally.taken), ("rejected", figures.tally.rejected)] {
                self.sample(DATAPOINTS, "", &[("program", program.as_str()), ("result", result)], count);
            }
        }
        self.family(HOST_TIME);
        for (program, figures) in &all {
            for room in ROOMS.iter().filter(|room| room.counters.is_some()) {
                let time = figures.tally.usage.of(room.name).map(|calls| calls.time).unwrap_or_default();
                let labels = [("program", program.as_str()), ("interface", room.name)];
                self.sample(HOST_TIME, "", &labels, seconds(time));
            }
        }
        self.each(&all, MEMORY, |figures| Some(figures.tally.peak_memory));
        self.each(&all, COMPLETED, |figures| {
            figures.last_completed.map(|millis| seconds(Duration::from_millis(millis)))
        });
        self.each(&all, FAILURES, |figures| Some(figures.failures));
        for (room, counters) in ROOMS.iter().filter_map(|room| Some((room, room.counters?))) {
            for (family, are_failures) in [(counters.requests, false), (counters.failures, true)] {
                self.family(family);
                for (program, figures) in &all {
                    let by_peer = figures.tally.usage.of(room.name).map(|calls| &calls.by_peer);
                    for (peer, (requests, failures)) in by_peer.into_iter().flatten() {
                        let labels = [("program", program.as_str()), (counters.label, peer.as_str())];
                        self.sample(family, "", &labels, if are_failures { failures } else { requests });
                    }
                }
            }
        }
    }

    /// One sample a program, of those that have a value.
    fn each<T: std::fmt::Display>(
        &mut self,
        all: &[(pattoo_measurement::Program, super::ledger::Figures)],
        family: Family,
        value: impl Fn(&super::ledger::Figures) -> Option<T>,
    ) {
        self.family(family);
        for (program, figures) in all {
            if let Some(value) = value(figures) {
                self.sample(family, "", &[("program", program.as_str())], value);
            }
        }
    }

    fn spool(&mut self, stats: &Stats) {
        self.single(QUEUED, stats.queued);
        self.single(QUEUED_BYTES, stats.queued_bytes);
        self.single(QUEUED_AGE, seconds(stats.oldest.unwrap_or_default()));
        self.single(QUARANTINED, stats.quarantined);
        self.single(QUARANTINED_BYTES, stats.quarantined_bytes);
        self.single(DELIVERED, stats.delivered);
        self.single(REFUSED, stats.refused);
        self.single(DROPPED, stats.dropped);
    }
}

/// A time as Prometheus counts it.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// How a collector is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its last collection completed.
    Ok,
    /// Its last collection did not complete.
    Failing,
    /// It has no module.
    NotLoaded,
    /// It has no module yet.
    Loading,
    /// It has not collected yet.
    New,
}

impl State {
    const ALL: [Self; 5] = [Self::Ok, Self::Failing, Self::NotLoaded, Self::Loading, Self::New];

    /// How a collector with these figures is.
    pub fn of(figures: &super::ledger::Figures) -> Self {
        match (&figures.sha256, &figures.last) {
            (None, _) if figures.loading && figures.trouble.is_none() => Self::Loading,
            (None, _) => Self::NotLoaded,
            (Some(_), None) => Self::New,
            (Some(_), Some(last)) if last.reason == Reason::Completed => Self::Ok,
            (Some(_), Some(_)) => Self::Failing,
        }
    }

    /// Its name in metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::NotLoaded => "not_loaded",
            Self::Loading => "loading",
            Self::New => "new",
        }
    }
}
