//! When each collector departs: pure arithmetic over two clocks, which the caller reads.
//!
//! A collector departs at the wall-clock multiples of its interval, shifted by an offset that is its own: derived from the
//! program's name, so that it is the same after a restart, and spread over the interval, so that a thousand collectors of one
//! interval do not ask all devices at once. Waiting is done on the monotonic clock, the next departure is computed from the
//! one before and not from when that was served; so nothing drifts, over any number of cycles.
//!
//! The wall clock may be set. Every reading is compared with the monotonic clock, and when the two went apart, all departures are
//! aligned anew: never less than half an interval after a collector's last departure, and less than two intervals after it,
//! whichever way the clock jumped.
//!
//! An agenda never hands out the same departure twice, and of departures that were missed (the machine was busy, or asleep) only
//! the last; the others are counted.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use pattoo_measurement::{PollingInterval, Program};
use sha2::{Digest as _, Sha256};

/// How far the two clocks may go apart before departures are aligned anew. Well above what it takes to read both.
pub(super) const TOLERANCE: Duration = Duration::from_millis(100);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Since some moment that stays the same, such as the start of the process. Never goes back.
    pub(super) monotonic: Duration,
    /// Since 1970. Goes where its operator sets it.
    pub(super) wall: Duration,
}

/// Which moments a collector departs at: `offset` after the multiples of `interval`, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timetable {
    interval: Duration,
    offset: Duration,
}

impl Timetable {
    /// The timetable of a program.
    pub(super) fn new(program: &Program, interval: PollingInterval) -> Self {
        let digest = Sha256::digest(program.as_str());
        let hash = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        // Whole milliseconds, which is what pattoo's timestamps count. An interval is never zero.
        let offset = hash.checked_rem(interval.millis()).unwrap_or_default();
        Self { interval: interval.duration(), offset: Duration::from_millis(offset) }
    }

    /// Time between two departures.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// The first departure that is not before `wall`.
    fn first_from(&self, wall: Duration) -> Duration {
        let since = wall.saturating_sub(self.offset);
        let interval = self.interval.as_nanos();
        let cycles = since.as_nanos().div_ceil(interval.max(1));
        self.offset.saturating_add(nanos(cycles.saturating_mul(interval)))
    }
}

/// A duration of so many nanoseconds; the longest one for more than it can hold.
fn nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos.checked_div(SECOND).unwrap_or_default()).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos.checked_rem(SECOND).unwrap_or_default()).unwrap_or_default();
    Duration::new(seconds, rest)
}

/// Who departs. The caller gives the numbers out.
pub(super) type Id = u64;

/// A collector's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departure {
    /// Whose.
    pub(super) id: Id,
    /// For when it was scheduled, on the monotonic clock.
    pub(super) due: Duration,
    /// How many departures before this one were missed.
    pub(super) missed: u64,
}

/// The departures of all collectors.
///
/// A heap: handing out a departure costs the logarithm of how many collectors there are, whatever their intervals.
#[derive(Debug)]
pub(super) struct Agenda {
    /// The wall clock at monotonic zero, as it stood when departures were last aligned.
    epoch: Duration,
    heap: BinaryHeap<Reverse<(Duration, Id, u64)>>,
    entries: HashMap<Id, Entry>,
    /// Tells a collector's current place in the heap from those that it had before.
    tickets: u64,
    realignments: u64,
}

#[derive(Debug)]
struct Entry {
    timetable: Timetable,
    ticket: u64,
    /// When it departed last, on the monotonic clock.
    last: Option<Duration>,
}

/// The wall clock at monotonic zero.
fn epoch(now: Reading) -> Duration {
    now.wall.saturating_sub(now.monotonic)
}

impl Agenda {
    /// An empty one.
    pub(super) fn new(now: Reading) -> Self {
        Self { epoch: epoch(now), heap: BinaryHeap::new(), entries: HashMap::new(), tickets: 0, realignments: 0 }
    }

    /// Enters a collector, which departs first within one interval. If it is there already it gets the new timetable, and keeps
    /// its distance from its last departure.
    pub(super) fn enter(&mut self, id: Id, timetable: Timetable, now: Reading) {
        let last = self.entries.get(&id).and_then(|entry| entry.last);
        self.entries.insert(id, Entry { timetable, ticket: 0, last });
        self.align(id, now);
    }

    /// Takes a collector out.
    pub(super) fn remove(&mut self, id: Id) {
        self.entries.remove(&id);
    }

    /// When the next one departs, on the monotonic clock.
    pub(super) fn next(&mut self) -> Option<Duration> {
        loop {
            let Reverse((due, id, ticket)) = *self.heap.peek()?;
            if self.entries.get(&id).is_some_and(|entry| entry.ticket == ticket) {
                return Some(due);
            }
            self.heap.pop();
        }
    }

    /// A departure that is due, if there is one. To be called until there is none.
    pub(super) fn depart(&mut self, now: Reading) -> Option<Departure> {
        self.follow_the_clock(now);
        let due = self.next().filter(|due| *due <= now.monotonic)?;
        let Reverse((_, id, _)) = self.heap.pop()?;
        let entry = self.entries.get_mut(&id)?;
        let interval = entry.timetable.interval;
        let late = now.monotonic.saturating_sub(due);
        let missed = late.as_nanos().checked_div(interval.as_nanos()).unwrap_or_default();
        let due = due.saturating_add(nanos(missed.saturating_mul(interval.as_nanos())));
        entry.last = Some(due);
        self.push(id, due.saturating_add(interval));
        Some(Departure { id, due, missed: u64::try_from(missed).unwrap_or(u64::MAX) })
    }

    /// How often the wall clock jumped.
    pub(super) fn realignments(&self) -> u64 {
        self.realignments
    }

    /// Aligns everything anew if the wall clock jumped.
    pub(super) fn follow_the_clock(&mut self, now: Reading) {
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

    /// Finds a collector's next departure by the wall clock.
    fn align(&mut self, id: Id, now: Reading) {
        let Some(entry) = self.entries.get(&id) else { return };
        let half = entry.timetable.interval.checked_div(2).unwrap_or_default();
        let earliest = entry.last.map_or(now.monotonic, |last| last.saturating_add(half).max(now.monotonic));
        let wall = entry.timetable.first_from(self.epoch.saturating_add(earliest));
        self.push(id, wall.saturating_sub(self.epoch));
    }

    fn push(&mut self, id: Id, due: Duration) {
        self.tickets = self.tickets.saturating_add(1);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.ticket = self.tickets;
            self.heap.push(Reverse((due, id, self.tickets)));
        }
    }
}
