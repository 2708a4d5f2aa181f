//! The metrics of the daemon, in the text format of Prometheus (version 0.0.4).
//!
//! [`FAMILIES`] and the counters of [`CAPABILITIES`] are the whole list: nothing else is exposed, and the
//! reference in `docs/reference/metrics.md` is compared with it. A label never has a value that a
//! collector chose: programs, devices and origins are those of the configuration.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    sync::atomic::Ordering,
    time::Duration,
};

use pattoo_measurement::Program;
use pattoo_sandbox::capability::{CAPABILITIES, Family, PeerCalls};
use pattoo_spool::{OutputId, SpoolStats};

use super::{
    collector_stats::{SkipReason, StatsSnapshot, TerminationReason},
    daemon_status::{DaemonStatus, LATENESS_BOUNDS},
};

/// A value of a peer, with the class of a status if it is of one.
type PeerValue = (Option<&'static str>, u64);

macro_rules! families {
    ($($constant:ident $name:literal $(was $previous:literal)? $kind:literal [$($label:literal),*] $help:literal;)*) => {
        $(const $constant: Family = Family {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
            previous_name: families!(@previous $($previous)?),
        };)*
        /// Those of the daemon itself. [`CAPABILITIES`] have theirs, as
        /// [`Counters`](pattoo_sandbox::capability::Counters).
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
    (@previous) => { None };
    (@previous $previous:literal) => { Some($previous) };
}

families! {
    BUILD "pattoo_wasm_build_info" "gauge" ["version"] "Always 1; the label has the version.";
    STARTED "pattoo_wasm_start_time_seconds" "gauge" [] "When the daemon started, in Unix seconds.";
    RELOADS "pattoo_wasm_reloads_total" "counter" ["result"] "Reloads: applied, or refused because the configuration was invalid.";
    JUMPS "pattoo_wasm_clock_jumps_total" "counter" [] "How often the wall clock jumped and all scheduled runs were aligned to it again.";
    BEHIND "pattoo_wasm_clock_behind_seconds" "gauge" [] "How far the wall clock is behind the newest time at which payloads were stored; 0 if it is not, or by less than a minute.";
    RUNNING "pattoo_wasm_collections_running" was "pattoo_wasm_collections_under_way" "gauge" [] "Running collections.";
    LATE "pattoo_wasm_lateness_seconds" "histogram" [] "How long after their scheduled time collections began, of all collectors.";
    COLLECTORS "pattoo_wasm_collectors" "gauge" ["state"] "Collectors: ok, failing (the last collection did not complete), not_loaded (no module could be loaded), loading (its first module is being loaded), new (not run yet).";
    COLLECTIONS "pattoo_wasm_collections_total" "counter" ["program", "outcome"] "Collections that ended, by outcome: completed, failed, trap, deadline, limit, interrupted, not_stored, fault (an internal error).";
    // words: keep, the previous name
    SKIPPED "pattoo_wasm_collections_skipped_total" was "pattoo_wasm_departures_skipped_total" "counter" ["program", "reason"] "Scheduled runs that were skipped: overrun (the previous collection was still running), backoff, not_loaded, missed (the daemon was delayed).";
    DURATION "pattoo_wasm_collection_duration_seconds" "summary" ["program"] "How long collections took.";
    LATENESS "pattoo_wasm_collection_lateness_seconds_total" "counter" ["program"] "The sum of the time by which collections began after their scheduled time.";
    DATAPOINTS "pattoo_wasm_datapoints_total" "counter" ["program", "result"] "Datapoints emitted: accepted or rejected.";
    HOST_TIME "pattoo_wasm_host_call_seconds_total" "counter" ["program", "interface"] "How long collections waited for devices (modbus) and web sites (http).";
    MEMORY "pattoo_wasm_peak_memory_bytes" "gauge" ["program"] "The peak of linear memory in the last collection.";
    COMPLETED "pattoo_wasm_last_completed_timestamp_seconds" "gauge" ["program"] "When a collection last completed, in Unix seconds.";
    FAILURES "pattoo_wasm_consecutive_failures" "gauge" ["program"] "Collections that failed and emitted nothing, since the last one that emitted something.";
    QUEUED "pattoo_wasm_spool_payloads" was "pattoo_wasm_spool_bodies" "gauge" [] "Payloads in the spool that wait for their output.";
    QUEUED_BYTES "pattoo_wasm_spool_bytes" "gauge" [] "Their size.";
    QUEUED_AGE "pattoo_wasm_spool_oldest_seconds" "gauge" [] "The age of the oldest of them; 0 if there is none.";
    OUTPUT_QUEUED "pattoo_wasm_output_queued_payloads" "gauge" ["output"] "Payloads that wait for an output; a pattoo server has its URL as its name.";
    // words: keep, the previous name
    QUARANTINED "pattoo_wasm_spool_quarantined_payloads" was "pattoo_wasm_spool_quarantined_bodies" "gauge" [] "Payloads in quarantine, which their output refused while it accepted others.";
    QUARANTINED_BYTES "pattoo_wasm_spool_quarantined_bytes" "gauge" [] "Their size.";
    DELIVERED "pattoo_wasm_spool_delivered_total" "counter" [] "Payloads that an output accepted, over the life of the spool.";
    REFUSED "pattoo_wasm_spool_refusals_total" "counter" [] "Responses that refused a payload, over the life of the spool.";
    DROPPED "pattoo_wasm_spool_dropped_total" "counter" [] "Payloads that were evicted at a limit of size or age, or dropped by an operator, over the life of the spool.";
}

/// The page. The metrics of the spool are left out if the spool could not be read.
pub fn page(status: &DaemonStatus, spool: Option<&SpoolStats>, queued: &BTreeMap<OutputId, u64>) -> String {
    let mut page = Page::default();
    page.daemon(status);
    page.collectors(status);
    if let Some(stats) = spool {
        page.spool(stats);
        page.family(OUTPUT_QUEUED, |samples| {
            for (output, count) in queued {
                samples.add("", &[("output", output.as_str())], count);
            }
        });
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// Writes a family, under its previous name as well.
    fn family(&mut self, family: Family, samples: impl Fn(&mut Samples<'_>)) {
        let Family { name, kind, help, previous_name, .. } = family;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        samples(&mut Samples { name, text: &mut self.text });
        if let Some(previous) = previous_name {
            let _ = writeln!(
                self.text,
                "# HELP {previous} Deprecated: the previous name of {name}.\n# TYPE {previous} {kind}"
            );
            samples(&mut Samples { name: previous, text: &mut self.text });
        }
    }

    fn single(&mut self, family: Family, value: impl Display) {
        self.family(family, |samples| samples.add("", &[], &value));
    }

    fn daemon(&mut self, status: &DaemonStatus) {
        self.family(BUILD, |samples| samples.add("", &[("version", env!("CARGO_PKG_VERSION"))], &1));
        self.single(STARTED, seconds(Duration::from_millis(status.started)));
        self.family(RELOADS, |samples| {
            for (result, counter) in [("applied", &status.reloads), ("refused", &status.refused_reloads)] {
                samples.add("", &[("result", result)], &counter.load(Ordering::Relaxed));
            }
        });
        self.single(JUMPS, status.realignments.load(Ordering::Relaxed));
        self.single(BEHIND, seconds(status.time_mark.behind()));
        self.single(RUNNING, status.running());
        let lateness = status.lateness();
        self.family(LATE, |samples| {
            let mut sum: u64 = 0;
            for (index, count) in lateness.buckets.iter().enumerate() {
                sum = sum.saturating_add(*count);
                let bound = LATENESS_BOUNDS.get(index).map(|bound| seconds(Duration::from_millis(*bound)).to_string());
                samples.add("_bucket", &[("le", bound.as_deref().unwrap_or("+Inf"))], &sum);
            }
            samples.add("_sum", &[], &seconds(lateness.sum));
            samples.add("_count", &[], &sum);
        });
    }

    fn collectors(&mut self, status: &DaemonStatus) {
        let all: Vec<_> =
            status.all_collectors().into_iter().map(|(program, stats)| (program, stats.snapshot())).collect();
        self.family(COLLECTORS, |samples| {
            for state in CollectorState::ALL {
                let count = all.iter().filter(|(_, stats)| CollectorState::of(stats) == state).count();
                samples.add("", &[("state", state.name())], &count);
            }
        });
        self.each(&all, COLLECTIONS, |samples, program, stats| {
            for reason in TerminationReason::ALL {
                samples.add("", &[program, ("outcome", reason.name())], &stats.collections(reason));
            }
        });
        self.each(&all, SKIPPED, |samples, program, stats| {
            for reason in SkipReason::ALL {
                samples.add("", &[program, ("reason", reason.name())], &stats.skipped(reason));
            }
        });
        self.each(&all, DURATION, |samples, program, stats| {
            samples.add("_sum", &[program], &seconds(stats.totals.duration));
            samples.add("_count", &[program], &stats.ended());
        });
        self.each(&all, LATENESS, |samples, program, stats| {
            samples.add("", &[program], &seconds(stats.totals.lateness));
        });
        self.each(&all, DATAPOINTS, |samples, program, stats| {
            samples.add("", &[program, ("result", "accepted")], &stats.totals.accepted);
            samples.add("", &[program, ("result", "rejected")], &stats.totals.rejected);
        });
        self.each(&all, HOST_TIME, |samples, program, stats| {
            for capability in CAPABILITIES.iter().filter(|capability| capability.counters.is_some()) {
                let time = stats.totals.usage.of(capability.name).map(|calls| calls.time).unwrap_or_default();
                samples.add("", &[program, ("interface", capability.name)], &seconds(time));
            }
        });
        self.each(&all, MEMORY, |samples, program, stats| samples.add("", &[program], &stats.totals.peak_memory));
        self.each(&all, COMPLETED, |samples, program, stats| {
            if let Some(millis) = stats.last_completed {
                samples.add("", &[program], &seconds(Duration::from_millis(millis)));
            }
        });
        self.each(&all, FAILURES, |samples, program, stats| samples.add("", &[program], &stats.failures));
        for (capability, counters) in
            CAPABILITIES.iter().filter_map(|capability| Some((capability, capability.counters?)))
        {
            let mut of_peers = |family, values: fn(&PeerCalls) -> Vec<PeerValue>| {
                self.each(&all, family, |samples, program, stats| {
                    let by_peer = stats.totals.usage.of(capability.name).map(|calls| &calls.by_peer);
                    for (peer, calls) in by_peer.into_iter().flatten() {
                        for (class, value) in values(calls) {
                            let mut labels = vec![program, (counters.label, peer.as_str())];
                            labels.extend(class.map(|class| ("status", class)));
                            samples.add("", &labels, &value);
                        }
                    }
                });
            };
            of_peers(counters.requests, |calls| vec![(None, calls.requests)]);
            of_peers(counters.failures, |calls| vec![(None, calls.failures)]);
            if let Some(family) = counters.repeated {
                of_peers(family, |calls| vec![(None, calls.repeated)]);
            }
            if let Some(family) = counters.responses {
                of_peers(family, |calls| calls.responses.iter().map(|(class, count)| (Some(*class), *count)).collect());
            }
        }
    }

    /// Writes a family with samples of each program.
    fn each(
        &mut self,
        all: &[(Program, StatsSnapshot)],
        family: Family,
        of_program: impl Fn(&mut Samples<'_>, (&str, &str), &StatsSnapshot),
    ) {
        self.family(family, |samples| {
            for (program, stats) in all {
                of_program(samples, ("program", program.as_str()), stats);
            }
        });
    }

    fn spool(&mut self, stats: &SpoolStats) {
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

/// The samples of one family.
struct Samples<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Samples<'_> {
    /// Writes a sample. `suffix` is what its type adds to the name.
    fn add(&mut self, suffix: &str, labels: &[(&str, &str)], value: &dyn Display) {
        let Self { name, text } = self;
        let _ = write!(text, "{name}{suffix}");
        let mut before = '{';
        for (label, value) in labels {
            let _ = write!(text, "{before}{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    _ => text.push(character),
                }
            }
            text.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

/// A time in the unit of Prometheus.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The state of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorState {
    /// Its last collection completed.
    Ok,
    /// Its last collection did not complete.
    Failing,
    /// No module could be loaded.
    NotLoaded,
    /// Its first module is being loaded.
    Loading,
    /// It has not collected yet.
    New,
}

impl CollectorState {
    const ALL: [Self; 5] = [Self::Ok, Self::Failing, Self::NotLoaded, Self::Loading, Self::New];

    /// The state of a collector with these statistics.
    pub fn of(stats: &StatsSnapshot) -> Self {
        match (&stats.sha256, &stats.last) {
            (None, _) if stats.loading && stats.load_error.is_none() => Self::Loading,
            (None, _) => Self::NotLoaded,
            (Some(_), None) => Self::New,
            (Some(_), Some(last)) if last.reason == TerminationReason::Completed => Self::Ok,
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
