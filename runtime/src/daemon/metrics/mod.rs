//! The metrics of the daemon, in the text format of Prometheus (version 0.0.4).
//!
//! [`FAMILIES`] and the counters of [`CAPABILITIES`] are the whole list: nothing else is exposed, and the
//! reference in `docs/reference/metrics.md` is compared with it. A label never has a value that a
//! collector chose: programs, devices, origins and outputs are those of the configuration. Each of
//! them has its series from the start, so that an alert finds also what never succeeded.

mod family;
mod process;
mod text_format;

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use pattoo_measurement::Program;
use pattoo_output::ObservedOutput;
use pattoo_sandbox::capability::{CAPABILITIES, Family, PeerCalls};
use pattoo_spool::{OutputId, SpoolStats};

pub use self::family::FAMILIES;
pub(super) use self::process::read as process_usage;
use self::text_format::{Page, Samples, seconds, timestamp, up};
use super::{
    collector_state::CollectorState,
    collector_stats::{SkipReason, StatsSnapshot, TerminationReason},
    daemon_status::{DaemonStatus, LATENESS_BOUNDS},
};

/// Adds the samples of a device or origin with these labels.
type AddSamples<'f> = dyn Fn(&mut Samples<'_>, &[(&str, &str)], &PeerCalls) + 'f;

/// The commit that the program was built from, if the build knew it.
const REVISION: &str = env!("PATTOO_REVISION");

/// The page. The metrics of the spool are left out if the spool could not be read.
pub fn page(status: &DaemonStatus, spool: Option<&SpoolStats>, queued: Option<&BTreeMap<OutputId, u64>>) -> String {
    let mut page = Page::default();
    page.daemon(status);
    page.collectors(status);
    page.outputs(&status.outputs.all(), queued);
    if let Some(stats) = spool {
        page.spool(stats);
    }
    page.process();
    page.text
}

impl Page {
    fn daemon(&mut self, status: &DaemonStatus) {
        self.family(family::BUILD, |samples| {
            samples.add("", &[("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)], &1);
        });
        self.single(family::STARTED, seconds(Duration::from_millis(status.started)));
        self.family(family::RELOADS, |samples| {
            for (result, counter) in [("applied", &status.reloads), ("refused", &status.refused_reloads)] {
                samples.add("", &[("result", result)], &counter.load(Ordering::Relaxed));
            }
        });
        let digest = status.configuration_digest();
        self.family(family::CONFIG, |samples| samples.add("", &[("sha256", &digest)], &1));
        self.single(family::RELOAD_OK, u8::from(status.is_configuration_valid()));
        self.single(family::RELOADED, seconds(Duration::from_millis(status.configured.load(Ordering::Relaxed))));
        self.single(family::JUMPS, status.realignments.load(Ordering::Relaxed));
        self.single(family::BEHIND, seconds(status.time_mark.behind()));
        self.single(family::RUNNING, status.running());
        let lateness = status.lateness();
        self.family(family::LATE, |samples| {
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
        self.family(family::COLLECTORS, |samples| {
            for state in CollectorState::ALL {
                let count = all.iter().filter(|(_, stats)| CollectorState::of(stats) == state).count();
                samples.add("", &[("state", state.name())], &count);
            }
        });
        self.each(&all, family::STATE, |samples, program, stats| {
            let current = CollectorState::of(stats);
            for state in CollectorState::ALL {
                samples.add("", &[program, ("state", state.name())], &u8::from(state == current));
            }
        });
        self.each(&all, family::INFO, |samples, program, stats| {
            let sha256 = stats.sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
            samples.add("", &[program, ("sha256", &sha256)], &1);
        });
        self.each(&all, family::INTERVAL, |samples, program, stats| {
            samples.add("", &[program], &stats.interval.seconds());
        });
        self.each(&all, family::CONFIGURED, |samples, program, stats| {
            samples.add("", &[program], &timestamp(Some(stats.configured)));
        });
        self.each(&all, family::COLLECTIONS, |samples, program, stats| {
            for reason in TerminationReason::ALL {
                samples.add("", &[program, ("outcome", reason.name())], &stats.collections(reason));
            }
        });
        self.each(&all, family::SKIPPED, |samples, program, stats| {
            for reason in SkipReason::ALL {
                samples.add("", &[program, ("reason", reason.name())], &stats.skipped(reason));
            }
        });
        self.each(&all, family::DURATION, |samples, program, stats| {
            samples.add("_sum", &[program], &seconds(stats.totals.duration));
            samples.add("_count", &[program], &stats.ended());
        });
        self.each(&all, family::LATENESS, |samples, program, stats| {
            samples.add("", &[program], &seconds(stats.totals.lateness));
        });
        self.each(&all, family::DATAPOINTS, |samples, program, stats| {
            samples.add("", &[program, ("result", "accepted")], &stats.totals.accepted);
            samples.add("", &[program, ("result", "rejected")], &stats.totals.rejected);
        });
        self.each(&all, family::HOST_TIME, |samples, program, stats| {
            for capability in CAPABILITIES.iter().filter(|capability| capability.counters.is_some()) {
                let time = stats.totals.usage.of(capability.name).map(|calls| calls.time).unwrap_or_default();
                samples.add("", &[program, ("interface", capability.name)], &seconds(time));
            }
        });
        self.each(&all, family::MEMORY, |samples, program, stats| {
            samples.add("", &[program], &stats.totals.peak_memory);
        });
        self.each(&all, family::ENDED, |samples, program, stats| {
            samples.add("", &[program], &timestamp(stats.last.as_ref().map(|last| last.at)));
        });
        self.each(&all, family::COMPLETED, |samples, program, stats| {
            samples.add("", &[program], &timestamp(stats.last_completed));
        });
        self.each(&all, family::FAILURES, |samples, program, stats| samples.add("", &[program], &stats.failures));
        self.peers(&all);
    }

    /// What became of requests to devices and origins.
    fn peers(&mut self, all: &[(Program, StatsSnapshot)]) {
        for (capability, counters) in
            CAPABILITIES.iter().filter_map(|capability| Some((capability, capability.counters?)))
        {
            let mut of_peers = |family, add: &AddSamples<'_>| {
                self.each(all, family, |samples, program, stats| {
                    let by_peer = stats.totals.usage.of(capability.name).map(|calls| &calls.by_peer);
                    for (peer, calls) in by_peer.into_iter().flatten() {
                        add(samples, &[program, (counters.label, peer.as_str())], calls);
                    }
                });
            };
            of_peers(counters.requests, &|samples, labels, calls| samples.add("", labels, &calls.requests));
            of_peers(counters.failures, &|samples, labels, calls| samples.add("", labels, &calls.failures));
            of_peers(counters.up, &|samples, labels, calls| samples.add("", labels, &up(calls.is_up())));
            of_peers(counters.last_request, &|samples, labels, calls| {
                samples.add("", labels, &timestamp(calls.last_request));
            });
            of_peers(counters.last_answer, &|samples, labels, calls| {
                samples.add("", labels, &timestamp(calls.last_answer));
            });
            if let Some(family) = counters.repeated {
                of_peers(family, &|samples, labels, calls| samples.add("", labels, &calls.repeated));
            }
            if let Some((family, classes)) = counters.responses {
                of_peers(family, &|samples, labels, calls| {
                    for class in classes {
                        let count = calls.responses.get(class).copied().unwrap_or_default();
                        samples.add("", &[labels, &[("status", *class)]].concat(), &count);
                    }
                });
            }
        }
    }

    /// The configured outputs, and others for which something waits. What waits is left out if the
    /// spool could not be read.
    fn outputs(&mut self, outputs: &[ObservedOutput], queued: Option<&BTreeMap<OutputId, u64>>) {
        if let Some(queued) = queued {
            let mut all: BTreeMap<&str, u64> = outputs.iter().map(|output| (output.id.as_str(), 0)).collect();
            all.extend(queued.iter().map(|(output, count)| (output.as_str(), *count)));
            self.family(family::OUTPUT_QUEUED, |samples| {
                for (output, count) in &all {
                    samples.add("", &[("output", output)], count);
                }
            });
        }
        self.family(family::OUTPUT_INFO, |samples| {
            for output in outputs {
                let labels = [("output", output.id.as_str()), ("name", output.name.as_str()), ("type", output.kind)];
                samples.add("", &labels, &1);
            }
        });
        let mut each = |family, value: fn(&ObservedOutput) -> f64| {
            self.family(family, |samples| {
                for output in outputs {
                    samples.add("", &[("output", output.id.as_str())], &value(output));
                }
            });
        };
        each(family::OUTPUT_REACHABLE, |output| up(output.status.reachable));
        each(family::OUTPUT_AUTHORISED, |output| up(output.status.authorised));
        each(family::OUTPUT_ATTEMPT, |output| timestamp(output.status.last_attempt));
        each(family::OUTPUT_ACCEPTED, |output| timestamp(output.status.last_delivery));
    }

    /// The process, as far as the system tells.
    fn process(&mut self) {
        let Some(process) = process::read() else { return };
        self.single(family::CPU, process.cpu_seconds);
        self.single(family::THREADS, process.threads);
        self.single(family::RESIDENT, process.resident);
        self.single(family::VIRTUAL, process.virtual_memory);
        self.single(family::PROCESS_STARTED, process.started);
        self.single(family::OPEN_FILES, process.open_files);
        if let Some(max_files) = process.max_files {
            self.single(family::MAX_FILES, max_files);
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
        self.single(family::QUEUED, stats.queued);
        self.single(family::QUEUED_BYTES, stats.queued_bytes);
        self.single(family::QUEUED_AGE, seconds(stats.oldest.unwrap_or_default()));
        self.single(family::QUARANTINED, stats.quarantined);
        self.single(family::QUARANTINED_BYTES, stats.quarantined_bytes);
        self.single(family::DELIVERED, stats.delivered);
        self.single(family::REFUSED, stats.refused);
        self.single(family::DROPPED, stats.dropped);
    }
}
