//! When each collector runs: pure arithmetic over two clocks, which the caller reads.
//!
//! A collector runs at the multiples of its interval on the wall clock, shifted by an offset of its
//! own. The offset is derived from the program's name: it is the same after a restart, and
//! different for each program, so that a thousand collectors with one interval do not read all
//! devices at once. The daemon waits on the monotonic clock. Each run is computed from the previous
//! run's scheduled time, not from the time at which it began. So nothing drifts, over any number of
//! runs.
//!
//! The wall clock may be set. Every reading is compared with the monotonic clock. When the two
//! diverged, all runs are aligned again: at least half an interval after a collector's last run,
//! and less than two intervals after it, in whichever direction the clock jumped.
//!
//! A schedule never returns the same run twice. Of runs that were missed (the machine was busy, or
//! suspended) it returns only the last one, and counts the others.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use pattoo_base::invariant::Invariant as _;
use pattoo_measurement::{PollingInterval, Program};
use sha2::{Digest as _, Sha256};

/// How far the two clocks may diverge before runs are aligned again. Well above the time that it
/// takes to read both.
pub(super) const TOLERANCE: Duration = Duration::from_millis(100);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockReading {
    /// Since a moment that stays the same, such as the start of the process. Never goes back.
    pub(super) monotonic: Duration,
    /// Since 1970. Its operator may set it.
    pub(super) wall: Duration,
}

/// The times at which a collector runs: `offset` after the multiples of `period`, counted from
/// 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    period: Duration,
    offset: Duration,
}

impl Interval {
    /// The interval of a program.
    pub(super) fn new(program: &Program, interval: PollingInterval) -> Self {
        let digest = Sha256::digest(program.as_str());
        let hash = digest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let hash = hash.or_broken("a SHA-256 digest has 32 bytes", 0);
        // Whole milliseconds, which is the unit of pattoo's timestamps.
        let offset = hash.checked_rem(interval.millis()).or_broken("a polling interval is never zero", 0);
        Self { period: interval.duration(), offset: Duration::from_millis(offset) }
    }

    /// The time from one run to the next.
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// The first run that is not before `wall`.
    fn first_from(&self, wall: Duration) -> Duration {
        let since = wall.saturating_sub(self.offset);
        let period = self.period.as_nanos();
        let cycles = since.as_nanos().div_ceil(period.max(1));
        self.offset.saturating_add(nanos(cycles.saturating_mul(period)))
    }
}

/// A duration of this many nanoseconds; the longest one for more than it can hold.
fn nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos.div_euclid(SECOND)).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).or_broken("a part of a second fits 32 bits", 0);
    Duration::new(seconds, rest)
}

/// The number of a collector. The caller assigns them.
pub(super) type CollectorId = u64;

/// A scheduled run of a collector that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScheduledRun {
    /// The collector.
    pub(super) id: CollectorId,
    /// The scheduled time, on the monotonic clock.
    pub(super) due: Duration,
    /// How many runs before this one were missed.
    pub(super) missed: u64,
}

/// The next run of each collector.
///
/// A heap: to take a run costs the logarithm of the number of collectors, whatever their intervals.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The wall clock at monotonic zero, when runs were last aligned.
    epoch: Duration,
    heap: BinaryHeap<Reverse<(Duration, CollectorId, u64)>>,
    entries: HashMap<CollectorId, ScheduleEntry>,
    /// Distinguishes a collector's current place in the heap from its earlier places.
    tickets: u64,
    realignments: u64,
}

#[derive(Debug)]
struct ScheduleEntry {
    interval: Interval,
    ticket: u64,
    /// The time of the last run, on the monotonic clock.
    last: Option<Duration>,
}

/// The wall clock at monotonic zero.
fn epoch(now: ClockReading) -> Duration {
    now.wall.saturating_sub(now.monotonic)
}

impl Schedule {
    /// An empty schedule.
    pub(super) fn new(now: ClockReading) -> Self {
        Self { epoch: epoch(now), heap: BinaryHeap::new(), entries: HashMap::new(), tickets: 0, realignments: 0 }
    }

    /// Adds a collector, whose first run is within one interval. A collector that has an entry gets
    /// the new interval, and keeps its distance from its last run.
    pub(super) fn set(&mut self, id: CollectorId, interval: Interval, now: ClockReading) {
        let last = self.entries.get(&id).and_then(|entry| entry.last);
        self.entries.insert(id, ScheduleEntry { interval, ticket: 0, last });
        self.align(id, now);
    }

    /// Removes a collector.
    pub(super) fn remove(&mut self, id: CollectorId) {
        self.entries.remove(&id);
    }

    /// The time of the next run, on the monotonic clock.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        loop {
            let Reverse((due, id, ticket)) = *self.heap.peek()?;
            if self.entries.get(&id).is_some_and(|entry| entry.ticket == ticket) {
                return Some(due);
            }
            self.heap.pop();
        }
    }

    /// Takes a run that is due, if there is one. To be called until there is none.
    pub(super) fn take_due(&mut self, now: ClockReading) -> Option<ScheduledRun> {
        self.realign_if_clock_jumped(now);
        let due = self.next_due().filter(|due| *due <= now.monotonic)?;
        let Reverse((_, id, _)) = self.heap.pop()?;
        let entry = self.entries.get_mut(&id)?;
        let period = entry.interval.period;
        let late = now.monotonic.saturating_sub(due);
        let missed = late.as_nanos().checked_div(period.as_nanos()).or_broken("an interval is never zero", 0);
        let due = due.saturating_add(nanos(missed.saturating_mul(period.as_nanos())));
        entry.last = Some(due);
        self.push(id, due.saturating_add(period));
        Some(ScheduledRun { id, due, missed: u64::try_from(missed).unwrap_or(u64::MAX) })
    }

    /// How often the wall clock jumped.
    pub(super) fn realignments(&self) -> u64 {
        self.realignments
    }

    /// Aligns all runs again if the wall clock jumped.
    pub(super) fn realign_if_clock_jumped(&mut self, now: ClockReading) {
        if epoch(now).abs_diff(self.epoch) <= TOLERANCE {
            return;
        }
        self.epoch = epoch(now);
        self.realignments = self.realignments.saturating_add(1);
        self.heap.clear();
        let ids: Vec<_> = self.entries.keys().copied().collect();
        for id in ids {
            self.align(id, now);
        }
    }

    /// Computes a collector's next run from the wall clock.
    fn align(&mut self, id: CollectorId, now: ClockReading) {
        let Some(entry) = self.entries.get(&id) else { return };
        let half = nanos(entry.interval.period.as_nanos().div_euclid(2));
        let earliest = entry.last.map_or(now.monotonic, |last| last.saturating_add(half).max(now.monotonic));
        let wall = entry.interval.first_from(self.epoch.saturating_add(earliest));
        self.push(id, wall.saturating_sub(self.epoch));
    }

    fn push(&mut self, id: CollectorId, due: Duration) {
        self.tickets = self.tickets.saturating_add(1);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.ticket = self.tickets;
            self.heap.push(Reverse((due, id, self.tickets)));
        }
    }
}
