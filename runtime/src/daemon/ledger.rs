//! What is known of each collector: counted as it happens, read by whoever asks how the daemon is.
//!
//! Nothing here decides anything. A ledger outlives a reload: the counts of a program go on under its new module.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pattoo_base::clock::unix_millis;
use pattoo_measurement::PollingInterval;
use pattoo_sandbox::capability::Usage;

/// How a collection ended, as a reason that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The collector returned.
    Completed,
    /// The collector returned an error.
    Failed,
    /// The collector ran into its own mistake.
    Trap,
    /// It took too long.
    Deadline,
    /// It wanted more than it may have.
    Limit,
    /// The daemon was stopped and it did not end in time.
    Interrupted,
    /// What it emitted could not be made durable, and is lost.
    NotStored,
    /// The runtime or the machine failed: what it keeps could not be read, or a mistake of ours.
    Fault,
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Completed,
        Self::Failed,
        Self::Trap,
        Self::Deadline,
        Self::Limit,
        Self::Interrupted,
        Self::NotStored,
        Self::Fault,
    ];

    /// Its name in metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
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

/// Why a departure was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The collection before was still under way.
    Overrun,
    /// It failed several times in a row, and is let rest.
    Backoff,
    /// Its module could not be loaded.
    NotLoaded,
    /// The daemon was held up past it: the machine was asleep, or busy.
    Missed,
}

impl Skip {
    /// All of them, in the order of their numbers.
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

/// One finished collection, as it is entered.
#[derive(Debug)]
pub struct Entry {
    /// How it ended.
    pub reason: Reason,
    /// The same in words.
    pub words: String,
    /// What it took and brought.
    pub tally: Tally,
}

/// What one collection took and brought, or all of a collector together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How long it took.
    pub duration: Duration,
    /// How long after its time it began.
    pub lateness: Duration,
    /// Datapoints taken.
    pub taken: u64,
    /// Datapoints handed back.
    pub rejected: u64,
    /// Host calls, by device and origin.
    pub usage: Usage,
    /// The most memory that it had, in bytes; of several collections that of the last.
    pub peak_memory: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.duration = self.duration.saturating_add(other.duration);
        self.lateness = self.lateness.saturating_add(other.lateness);
        self.taken = self.taken.saturating_add(other.taken);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.usage.add(other.usage);
        self.peak_memory = other.peak_memory;
    }
}

/// The counts of one collector since the daemon started.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    collections: [u64; Reason::ALL.len()],
    skips: [u64; Skip::ALL.len()],
    /// Of all collections together.
    pub tally: Tally,
    /// Collections that failed since the last that went well.
    pub failures: u32,
    /// Departures that will be let pass, since it failed.
    pub resting: u32,
    /// The last thing that happened.
    pub last: Option<Last>,
    /// When a collection last went well, in Unix milliseconds.
    pub last_completed: Option<u64>,
    /// Why what its operator configured is not what runs, if so.
    pub trouble: Option<String>,
    /// Whether a module for it is being loaded.
    pub loading: bool,
    /// The digest of the module that runs; none when none could be loaded.
    pub sha256: Option<String>,
    /// How often it collects.
    pub interval: PollingInterval,
}

/// How a collector's last collection ended.
#[derive(Debug, Clone)]
pub struct Last {
    /// When, in Unix milliseconds.
    pub at: u64,
    /// How.
    pub reason: Reason,
    /// The same in words.
    pub words: String,
    /// How long it took.
    pub duration: Duration,
}

impl Figures {
    /// How many collections ended so.
    pub fn collections(&self, reason: Reason) -> u64 {
        self.collections.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many departures were not taken for this reason.
    pub fn skipped(&self, skip: Skip) -> u64 {
        self.skips.get(skip as usize).copied().unwrap_or_default()
    }

    /// Collections that ended, however.
    pub fn ended(&self) -> u64 {
        self.collections.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// One collector's figures, shared by who writes and who reads.
#[derive(Debug, Default)]
pub struct Ledger {
    figures: Mutex<Figures>,
}

impl Ledger {
    /// The figures as they stand.
    pub fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// Changes something that is no count.
    pub fn note(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.lock());
    }

    /// Counts departures that were not taken.
    pub fn skip(&self, skip: Skip, count: u64) {
        if let Some(skips) = self.lock().skips.get_mut(skip as usize) {
            *skips = skips.saturating_add(count);
        }
    }

    /// Enters a collection. Whether its words are others than those of the one before.
    pub fn enter(&self, entry: Entry) -> bool {
        let mut figures = self.lock();
        if let Some(count) = figures.collections.get_mut(entry.reason as usize) {
            *count = count.saturating_add(1);
        }
        let duration = entry.tally.duration;
        figures.tally.add(entry.tally);
        let at = unix_millis();
        if entry.reason == Reason::Completed {
            figures.last_completed = Some(at);
        }
        let news = figures.last.as_ref().is_none_or(|last| last.reason != entry.reason || last.words != entry.words);
        figures.last = Some(Last { at, reason: entry.reason, words: entry.words, duration });
        news
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        // Counts are whole at any moment; a panic elsewhere is no reason to stop counting.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
