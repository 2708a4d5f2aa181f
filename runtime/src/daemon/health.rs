//! The daemon's own health as datapoints of a program of its own, for sites without Prometheus.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use pattoo_base::{clock::unix_millis, files::Space};
use pattoo_measurement::{Agent, Bounds, Candidate, SinkFactory as _, Value};
use pattoo_output::{Encoders, Encodings};
use pattoo_spool::Spool;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    collection::StorePayloads, collector_state::CollectorState, daemon_status::DaemonStatus, metrics::process_usage,
};

/// The target of what is not about an output.
const DAEMON: &str = "daemon";

/// When the first report is made, unless the interval is shorter: most collectors are loaded then.
const FIRST: Duration = Duration::from_secs(10);

/// Emits datapoints about the daemon and its outputs, on an interval.
pub(super) struct HealthReporter {
    pub(super) agent: Arc<Agent>,
    pub(super) encodings: Encodings,
    pub(super) status: Arc<DaemonStatus>,
    pub(super) spool: Spool,
    pub(super) store: StorePayloads,
    /// The directory whose file system has to have space.
    pub(super) directory: PathBuf,
}

/// Values by target and key.
type Report = BTreeMap<String, Vec<(&'static str, Value)>>;

impl HealthReporter {
    /// Reports until the future is dropped.
    pub(super) async fn run(self) {
        let period = self.agent.polling_interval.duration();
        let first = Instant::now().checked_add(FIRST.min(period)).unwrap_or_else(Instant::now);
        let mut ticks = interval_at(first, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            let reported = self.report().await;
            match &reported {
                Err(error) if !failed => tracing::error!("{}: cannot report: {error}", self.agent.program),
                Ok(()) if failed => tracing::info!("{}: reports again", self.agent.program),
                _ => {}
            }
            failed = reported.is_err();
        }
    }

    async fn report(&self) -> Result<(), String> {
        let mut report = self.of_spool().await.map_err(|error| error.to_string())?;
        report.entry(DAEMON.to_owned()).or_default().extend(self.of_daemon());
        let now = unix_millis();
        let mut sink = self.encodings.sink(&self.agent, Bounds::default());
        for (target, values) in report {
            let candidates = values.into_iter().map(|(key, value)| Candidate {
                key: key.to_owned(),
                value,
                timestamp: None,
                metadata: Vec::new(),
            });
            let rejected = sink.emit(&target, candidates.collect(), now).map_err(|error| error.to_string())?;
            if let Some(rejection) = rejected.first() {
                return Err(format!("{rejection:?}"));
            }
        }
        let encoders = Encoders::of(sink).ok_or("internal error")?;
        let payloads = encoders.into_payloads(now).map_err(|error| error.to_string())?;
        (self.store)(payloads).await
    }

    /// What waits in the spool, all together and by output.
    async fn of_spool(&self) -> Result<Report, pattoo_spool::SpoolError> {
        let stats = self.spool.stats().await?;
        let queued = self.spool.queued_by_output().await?;
        let mut report = Report::from([(
            DAEMON.to_owned(),
            vec![
                ("queued_payloads", count(stats.queued)),
                ("queued_bytes", count(stats.queued_bytes)),
                ("oldest_payload_seconds", count(stats.oldest.unwrap_or_default().as_secs())),
                ("quarantined_payloads", count(stats.quarantined)),
                ("delivered_payloads", Value::Counter64(stats.delivered)),
                ("dropped_payloads", Value::Counter64(stats.dropped)),
            ],
        )]);
        let now = unix_millis();
        for output in self.status.outputs.all() {
            let values = report.entry(format!("output {}", output.name)).or_default();
            values.push(("queued_payloads", count(queued.get(&output.id).copied().unwrap_or_default())));
            let status = output.status;
            let known = [("reachable", status.reachable), ("authorised", status.authorised)];
            values.extend(known.into_iter().filter_map(|(key, value)| Some((key, count(value?.into())))));
            values.extend(status.last_delivery.map(|last| {
                ("seconds_since_delivery", count(Duration::from_millis(now.saturating_sub(last)).as_secs()))
            }));
        }
        Ok(report)
    }

    /// The daemon, its clock, its disk and its collectors.
    fn of_daemon(&self) -> Vec<(&'static str, Value)> {
        let mut values = vec![
            ("uptime_seconds", count(unix_millis().saturating_sub(self.status.started).div_euclid(1000))),
            ("configuration_valid", count(self.status.is_configuration_valid().into())),
            ("clock_behind_seconds", count(self.status.time_mark.behind().as_secs())),
        ];
        if let Some(ahead) = self.status.outputs.clock_ahead() {
            values.push(("clock_ahead_of_server_seconds", Value::Integer(ahead.div_euclid(1000))));
        }
        let collectors = self.status.all_collectors();
        let states: Vec<_> = collectors.iter().map(|(_, stats)| CollectorState::of(&stats.snapshot())).collect();
        values.push(("collectors", count(states.len() as u64)));
        for (key, state) in [
            ("collectors_ok", CollectorState::Ok),
            ("collectors_partial", CollectorState::Partial),
            ("collectors_failing", CollectorState::Failing),
            ("collectors_not_loaded", CollectorState::NotLoaded),
        ] {
            values.push((key, count(states.iter().filter(|found| **found == state).count() as u64)));
        }
        if let Ok(Space { size, free }) = Space::at(&self.directory) {
            values.extend([("disk_free_bytes", count(free)), ("disk_size_bytes", count(size))]);
        }
        if let Some(process) = process_usage() {
            values.push(("resident_memory_bytes", count(process.resident)));
        }
        values
    }
}

/// A count as a whole number.
fn count(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
