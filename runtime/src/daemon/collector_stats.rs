//! Statistics of each collector, updated as collections end and read by the status address.
//!
//! Nothing here decides anything. The statistics of a program outlive a reload: its counts continue
//! with a new module.

use std::{sync::Mutex, time::Duration};

use pattoo_base::{clock::unix_millis, invariant::Invariant as _, lock::lock};
use pattoo_measurement::PollingInterval;
use pattoo_sandbox::{ModuleDigest, capability::Usage};

/// Why a collection ended, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminationReason {
    /// The collector returned.
    Completed,
    /// The collector returned, and requests to devices or origins had failed.
    Partial,
    /// The collector returned an error.
    Failed,
    /// The collector trapped.
    Trap,
    /// It exceeded its timeout.
    Deadline,
    /// It exceeded another limit.
    Limit,
    /// The daemon stopped, and the collection did not end in time.
    Interrupted,
    /// Its datapoints could not be made durable, and are lost.
    NotStored,
    /// An internal error, or the stored state could not be read.
    Fault,
}

impl TerminationReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Trap,
        Self::Deadline,
        Self::Limit,
        Self::Interrupted,
        Self::NotStored,
        Self::Fault,
    ];

    /// Whether the collector returned without an error.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Completed | Self::Partial)
    }

    /// Its name in metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Limit => "limit",
            Self::Interrupted => "interrupted",
            Self::NotStored => "not_stored",
            Self::Fault => "fault",
        }
    }
}

/// Why a scheduled run was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The previous collection was still running.
    Overrun,
    /// The collector failed several times in a row and backs off.
    Backoff,
    /// Its module could not be loaded.
    NotLoaded,
    /// The machine was suspended or busy at the scheduled time.
    Missed,
}

impl SkipReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Overrun, Self::Backoff, Self::NotLoaded, Self::Missed];

    /// Its name in metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Backoff => "backoff",
            Self::NotLoaded => "not_loaded",
            Self::Missed => "missed",
        }
    }
}

/// One finished collection.
#[derive(Debug)]
pub struct CollectionRecord {
    /// Why it ended.
    pub reason: TerminationReason,
    /// The same as text.
    pub message: String,
    /// What it used and produced.
    pub totals: Totals,
}

/// What one collection used and produced, or all collections of a collector together.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How long it took.
    pub duration: Duration,
    /// How long after its scheduled time it began.
    pub lateness: Duration,
    /// Datapoints accepted.
    pub accepted: u64,
    /// Datapoints rejected.
    pub rejected: u64,
    /// Host calls, by device and origin.
    pub usage: Usage,
    /// The peak of its linear memory, in bytes; of several collections that of the last one.
    pub peak_memory: u64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.duration = self.duration.saturating_add(other.duration);
        self.lateness = self.lateness.saturating_add(other.lateness);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.usage.add(other.usage);
        self.peak_memory = other.peak_memory;
    }
}

/// The statistics of one collector since the daemon started, at one moment.
#[derive(Debug, Clone, Default)]
pub struct StatsSnapshot {
    collections: [u64; TerminationReason::ALL.len()],
    skipped: [u64; SkipReason::ALL.len()],
    /// Of all collections together.
    pub totals: Totals,
    /// Collections that failed since the last one that succeeded.
    pub failures: u32,
    /// Scheduled runs that will be skipped, since the collector backs off.
    pub runs_to_skip: u32,
    /// The last collection.
    pub last: Option<LastCollection>,
    /// When a collection last completed, if only partially, in Unix milliseconds.
    pub last_completed: Option<u64>,
    /// When the collector was configured, or the daemon started, in Unix milliseconds.
    pub configured: u64,
    /// Why the configured module does not run, if so.
    pub load_error: Option<String>,
    /// Whether a module for it is being loaded.
    pub loading: bool,
    /// The digest of the module that runs; none if no module was loaded.
    pub sha256: Option<ModuleDigest>,
    /// How often it collects.
    pub interval: PollingInterval,
}

/// How a collector's last collection ended.
#[derive(Debug, Clone)]
pub struct LastCollection {
    /// When, in Unix milliseconds.
    pub at: u64,
    /// Why.
    pub reason: TerminationReason,
    /// The same as text.
    pub message: String,
    /// How long it took.
    pub duration: Duration,
}

impl StatsSnapshot {
    /// How many collections ended for this reason.
    pub fn collections(&self, reason: TerminationReason) -> u64 {
        self.collections.get(reason as usize).copied().or_broken("each termination reason has a counter", 0)
    }

    /// How many scheduled runs were skipped for this reason.
    pub fn skipped(&self, reason: SkipReason) -> u64 {
        self.skipped.get(reason as usize).copied().or_broken("each reason for a skipped run has a counter", 0)
    }

    /// How many collections ended, for any reason.
    pub fn ended(&self) -> u64 {
        self.collections.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// The statistics of one collector, shared by those that write and read them.
#[derive(Debug)]
pub struct CollectorStats {
    current: Mutex<StatsSnapshot>,
}

impl Default for CollectorStats {
    /// Those of a collector that is configured now.
    fn default() -> Self {
        Self { current: Mutex::new(StatsSnapshot { configured: unix_millis(), ..StatsSnapshot::default() }) }
    }
}

impl CollectorStats {
    /// The statistics at this moment.
    pub fn snapshot(&self) -> StatsSnapshot {
        lock(&self.current).clone()
    }

    /// Changes something that is not a counter.
    pub fn update(&self, change: impl FnOnce(&mut StatsSnapshot)) {
        change(&mut lock(&self.current));
    }

    /// Counts skipped runs.
    pub fn skip(&self, reason: SkipReason, count: u64) {
        if let Some(skipped) = lock(&self.current).skipped.get_mut(reason as usize) {
            *skipped = skipped.saturating_add(count);
        }
    }

    /// Adds a finished collection.
    pub fn record(&self, record: CollectionRecord) {
        let mut current = lock(&self.current);
        if let Some(count) = current.collections.get_mut(record.reason as usize) {
            *count = count.saturating_add(1);
        }
        let duration = record.totals.duration;
        current.totals.add(record.totals);
        let at = unix_millis();
        if record.reason.is_completed() {
            current.last_completed = Some(at);
        }
        current.last = Some(LastCollection { at, reason: record.reason, message: record.message, duration });
    }
}
