//! The state of the whole daemon: the statistics of all collectors, and what belongs to no single
//! one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pattoo_base::{
    clock::unix_millis,
    invariant::Invariant as _,
    lock::{lock, read, write},
};
use pattoo_measurement::Program;
use pattoo_output::DeliveryStatus;

use super::{collector_stats::CollectorStats, time_mark::TimeMark};

/// Upper bounds of the buckets of lateness, in milliseconds.
pub const LATENESS_BOUNDS: [u64; 7] = [1, 5, 20, 100, 500, 2_000, 10_000];

/// How long after its last sign of life the scheduling task counts as dead. It gives one every
/// second.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// The state of the whole daemon, written by the supervisor and its collections, read by the status
/// address.
#[derive(Debug)]
pub struct DaemonStatus {
    collectors: RwLock<BTreeMap<Program, Arc<CollectorStats>>>,
    /// When the daemon started, in Unix milliseconds.
    pub started: u64,
    origin: Instant,
    /// Milliseconds from `origin` to the last sign of life of the scheduling task.
    alive_at: AtomicU64,
    running: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS.len() + 1],
    lateness_micros: AtomicU64,
    /// The newest time at which payloads were stored.
    pub time_mark: Arc<TimeMark>,
    /// Times that the wall clock jumped.
    pub realignments: AtomicU64,
    /// Reloads that were carried out.
    pub reloads: AtomicU64,
    /// Reloads that were refused, since the configuration could not be used.
    pub refused_reloads: AtomicU64,
    /// When the configuration in effect was read, in Unix milliseconds.
    pub configured: AtomicU64,
    /// Whether the configuration could not be used when it was last read.
    configuration_refused: AtomicBool,
    /// The digest of the files of that configuration.
    configuration_digest: Mutex<String>,
    /// What is known of the outputs.
    pub outputs: Arc<DeliveryStatus>,
}

/// How late collections began: how many in each bucket, not cumulated, and the sum.
#[derive(Debug, Clone, Copy)]
pub struct LatenessHistogram {
    /// One for each of [`LATENESS_BOUNDS`], then one for all above.
    pub buckets: [u64; LATENESS_BOUNDS.len() + 1],
    /// Of all collections together.
    pub sum: Duration,
}

/// Counts a collection as running until it is dropped.
#[derive(Debug)]
pub struct RunningCollection(Arc<DaemonStatus>);

impl Drop for RunningCollection {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for DaemonStatus {
    fn default() -> Self {
        Self {
            collectors: RwLock::default(),
            started: unix_millis(),
            origin: Instant::now(),
            alive_at: AtomicU64::default(),
            running: AtomicU64::default(),
            lateness: <[AtomicU64; LATENESS_BOUNDS.len() + 1]>::default(),
            lateness_micros: AtomicU64::default(),
            time_mark: Arc::default(),
            realignments: AtomicU64::default(),
            reloads: AtomicU64::default(),
            refused_reloads: AtomicU64::default(),
            configured: AtomicU64::new(unix_millis()),
            configuration_refused: AtomicBool::default(),
            configuration_digest: Mutex::default(),
            outputs: Arc::default(),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl DaemonStatus {
    /// The state at the start, with the newest time that earlier processes kept.
    pub fn new(time_mark: TimeMark) -> Self {
        Self { time_mark: Arc::new(time_mark), ..Self::default() }
    }

    /// The configuration was read again, and is in effect or was refused.
    pub(super) fn reloaded(&self, is_valid: bool) {
        if is_valid {
            self.configured.store(unix_millis(), Ordering::Relaxed);
        }
        count(if is_valid { &self.reloads } else { &self.refused_reloads });
        self.configuration_refused.store(!is_valid, Ordering::Relaxed);
    }

    /// Files with this digest are in effect from now on.
    pub(super) fn configured_by(&self, digest: String) {
        *lock(&self.configuration_digest) = digest;
    }

    /// The SHA-256 digest of the files of the configuration in effect.
    pub fn configuration_digest(&self) -> String {
        lock(&self.configuration_digest).clone()
    }

    /// Whether the configuration could be used when it was last read.
    pub fn is_configuration_valid(&self) -> bool {
        !self.configuration_refused.load(Ordering::Relaxed)
    }

    /// The statistics of a program, which are created if there are none.
    pub fn collector(&self, program: &Program) -> Arc<CollectorStats> {
        Arc::clone(write(&self.collectors).entry(program.clone()).or_default())
    }

    /// Removes a program that no longer runs.
    pub fn remove(&self, program: &Program) {
        write(&self.collectors).remove(program);
    }

    /// The statistics of all collectors, by program.
    pub fn all_collectors(&self) -> Vec<(Program, Arc<CollectorStats>)> {
        let collectors = read(&self.collectors);
        collectors.iter().map(|(program, stats)| (program.clone(), Arc::clone(stats))).collect()
    }

    /// A collection began, this long after its scheduled time. It counts as running until the
    /// result is dropped.
    pub fn collection_began(self: &Arc<Self>, lateness: Duration) -> RunningCollection {
        let bucket = LATENESS_BOUNDS.iter().position(|bound| lateness <= Duration::from_millis(*bound));
        if let Some(bucket) = self.lateness.get(bucket.unwrap_or(LATENESS_BOUNDS.len())) {
            count(bucket);
        }
        let micros = u64::try_from(lateness.as_micros()).or_broken("a lateness in microseconds fits 64 bits", 0);
        self.lateness_micros.fetch_add(micros, Ordering::Relaxed);
        count(&self.running);
        RunningCollection(Arc::clone(self))
    }

    /// How many collections are running.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// How late collections began.
    pub fn lateness(&self) -> LatenessHistogram {
        let buckets = self.lateness.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        LatenessHistogram { buckets, sum: Duration::from_micros(self.lateness_micros.load(Ordering::Relaxed)) }
    }

    /// The scheduling task gives a sign of life.
    pub fn alive(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).or_broken("the uptime fits 64 bits", u64::MAX);
        self.alive_at.store(now, Ordering::Relaxed);
    }

    /// Whether the scheduling task gave a sign of life in the last ten seconds.
    pub fn is_alive(&self) -> bool {
        self.is_alive_at(self.origin.elapsed())
    }

    fn is_alive_at(&self, now: Duration) -> bool {
        let alive_at = Duration::from_millis(self.alive_at.load(Ordering::Relaxed));
        now.saturating_sub(alive_at) < DEAD_AFTER
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DEAD_AFTER, DaemonStatus};

    #[test]
    fn scheduling_task_without_a_sign_of_life_is_dead() {
        let status = DaemonStatus::default();
        status.alive();
        assert!(status.is_alive());
        assert!(status.is_alive_at(DEAD_AFTER.saturating_sub(Duration::from_secs(1))));
        assert!(!status.is_alive_at(DEAD_AFTER.saturating_add(Duration::from_mins(1))));
    }
}
