//! What earlier reads showed of a device: addresses that fail, addresses that get no reply, and how
//! long a request may be.
//!
//! Devices have registers that cannot be read, blocks that no request may cross, and maxima that no
//! manual mentions. Each shows itself by an exception, or by silence, and only shorter requests tell
//! which of them it was. The result is kept here for an hour, up to a bound, so that the next read
//! plans around it. It is only used for planning, never as a value.
//!
//! The replies to the parts of a request that failed tell three cases apart:
//! - *A span that fails alone* is bad: from then on it, and whatever contains it, gets a request of
//!   its own. When such a request succeeds, the span is no longer bad.
//! - *A request whose parts all succeeded* was too long, if it was longer than any request that
//!   succeeded in this table. The maximum of the device lies between the two lengths; the next
//!   reads try the middle, so that seven reads of that length find it. If no request can have a
//!   length between that of the success and the middle, they try the next length above it.
//! - Otherwise the request crossed a border of two blocks. This range is bad, its parts are not.
//!
//! Silence costs the timeout of a request, where an exception costs a few milliseconds. So what got
//! no reply, although its unit answers, is requested again only after [`SILENCE_RETRY`]:
//! - *A span that got no reply* is not requested, and neither is anything that contains it.
//! - *A request whose parts are not all known* is replaced by its parts in the next reads.
//! - *A request that was too long* ends the search for the maximum until then: requests have the
//!   longest length that succeeded.
//! - *A request whose parts all succeeded, and that was not too long*, may have been lost by a noisy
//!   line. If it gets no reply a second time, it crosses a border, and is replaced by its parts.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::runs::{Run, Runs};
use crate::model::{Span, Table, Unit};

/// How long a failure is remembered after it was last seen.
pub(crate) const LIFETIME: Duration = Duration::from_hours(1);
/// How long after a silence the same is requested again.
pub(crate) const SILENCE_RETRY: Duration = Duration::from_mins(10);

/// What is known of the tables of all units of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    tables: BTreeMap<(Unit, Table), Known>,
    /// Units that answered nothing in the last read, and for how many reads.
    silent_units: BTreeMap<Unit, u16>,
    /// The time by which it is decided what is requested again.
    now: Option<Instant>,
}

/// How many addresses a request to one table may have, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// The length of the longest request that succeeded.
    pub(crate) proven: u16,
    /// The length to try next, in order to find the maximum.
    pub(crate) attempt: u16,
    /// The length of the shortest request that was too long.
    pub(crate) too_long: u16,
}

/// A range that got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Silence {
    pub(crate) first: u16,
    pub(crate) last: u16,
    /// When it was last requested.
    pub(crate) seen: Instant,
    /// Whether it may be requested again.
    pub(crate) is_due: bool,
}

/// What is known of one table of one unit.
#[derive(Debug, Default)]
struct Known {
    /// Ranges that fail with an exception.
    bad: Runs,
    /// Ranges that get no reply.
    silent: Runs,
    /// Ranges that got no reply once, while all their parts did.
    doubted: Runs,
    /// The length of the longest request that succeeded.
    answered: u16,
    too_long: Option<TooLong>,
}

/// The shortest request that was too long.
#[derive(Debug, Clone, Copy)]
struct TooLong {
    count: u16,
    seen: Instant,
    /// Whether it got no reply; otherwise it got an exception.
    was_silent: bool,
}

impl Lengths {
    /// Every length may be tried.
    const ANY: Self = Self { proven: u16::MAX, attempt: u16::MAX, too_long: u16::MAX };

    /// No request is longer than this.
    fn up_to(count: u16) -> Self {
        let count = count.max(1);
        Self { proven: count, attempt: count, too_long: count.saturating_add(1) }
    }
}

impl Learned {
    /// Forgets what was not seen for [`LIFETIME`]. What was silent at `now` minus [`SILENCE_RETRY`]
    /// may be requested again.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.now = Some(now);
        let fresh = |seen: Instant| now.saturating_duration_since(seen) < LIFETIME;
        self.tables.values_mut().for_each(|known| {
            known.bad.forget(fresh);
            known.silent.forget(fresh);
            known.doubted.forget(fresh);
            known.too_long = known.too_long.filter(|too_long| fresh(too_long.seen));
        });
    }

    /// Whether the span contains a range that fails or gets no reply.
    pub(crate) fn is_bad(&self, span: Span) -> bool {
        self.tables
            .get(&key(span))
            .is_some_and(|known| known.bad.within(span).is_some() || known.silent.within(span).is_some())
    }

    /// A range within the span that gets no reply.
    pub(crate) fn silence_within(&self, span: Span) -> Option<Silence> {
        self.tables.get(&key(span))?.silent.within(span).map(|run| self.silence(run))
    }

    /// A range around the span that gets no reply.
    pub(crate) fn silence_around(&self, span: Span) -> Option<Silence> {
        self.tables.get(&key(span))?.silent.around(span).map(|run| self.silence(run))
    }

    fn silence(&self, run: &Run) -> Silence {
        Silence { first: run.first, last: run.last, seen: run.seen, is_due: self.is_due(run.seen) }
    }

    fn is_due(&self, seen: Instant) -> bool {
        self.now.is_some_and(|now| now.saturating_duration_since(seen) >= SILENCE_RETRY)
    }

    /// How long the next requests to a table may be. Until one was too long, all lengths may be
    /// tried.
    pub(crate) fn lengths(&self, unit: Unit, table: Table) -> Lengths {
        let Some(known) = self.tables.get(&(unit, table)) else { return Lengths::ANY };
        let proven = known.answered;
        // As long as it is not known whether a request was too long, others are much shorter.
        if let Some(shortest) = known.silent.iter().map(Run::count).filter(|count| *count > proven).min() {
            let too_long = known.too_long.map_or(u16::MAX, |too_long| too_long.count);
            return Lengths::up_to(proven.max((shortest / 4).min(too_long.saturating_sub(1))));
        }
        match known.too_long {
            None => Lengths::ANY,
            Some(too_long) if too_long.was_silent && !self.is_due(too_long.seen) => Lengths::up_to(proven),
            Some(TooLong { count: too_long, .. }) => {
                // The maximum is at least `proven` and below `too_long`: try the middle.
                let room = too_long.saturating_sub(proven);
                Lengths { proven, attempt: proven.saturating_add(room / 2).max(1), too_long }
            }
        }
    }

    /// For how many reads in a row the unit has answered nothing.
    pub(crate) fn silent_reads(&self, unit: Unit) -> u16 {
        self.silent_units.get(&unit).copied().unwrap_or_default()
    }

    /// The unit answered nothing in a read.
    pub(crate) fn unit_was_silent(&mut self, unit: Unit) {
        let reads = self.silent_units.entry(unit).or_default();
        *reads = reads.saturating_add(1);
    }

    /// The unit answered a request, possibly with an exception.
    pub(crate) fn unit_answered(&mut self, unit: Unit) {
        self.silent_units.remove(&unit);
    }

    /// A request for the span succeeded.
    pub(crate) fn answered(&mut self, span: Span) {
        let known = self.tables.entry(key(span)).or_default();
        known.bad.remove_within(span);
        known.silent.remove_within(span);
        known.doubted.remove_within(span);
        known.answered = known.answered.max(span.count());
        known.too_long = known.too_long.filter(|too_long| span.count() < too_long.count);
    }

    /// A request for the span got an exception, and therefore a reply.
    pub(crate) fn answered_exception(&mut self, span: Span) {
        if let Some(known) = self.tables.get_mut(&key(span)) {
            known.silent.remove_within(span);
            known.doubted.remove_within(span);
        }
    }

    /// A request for exactly this piece failed because of its addresses.
    pub(crate) fn failed_alone(&mut self, span: Span, now: Instant) {
        self.tables.entry(key(span)).or_default().bad.add(Run::new(span, now));
    }

    /// A request failed because of its addresses, but all its parts succeeded.
    pub(crate) fn failed_together(&mut self, span: Span, now: Instant) {
        let known = self.tables.entry(key(span)).or_default();
        if span.count() > known.answered {
            known.was_too_long(TooLong { count: span.count(), seen: now, was_silent: false });
        } else {
            known.bad.add(Run::new(span, now));
        }
    }

    /// A request for the span got no reply, although the unit answers.
    pub(crate) fn was_silent(&mut self, span: Span, now: Instant) {
        let known = self.tables.entry(key(span)).or_default();
        // A range that was doubted explains it.
        let run = known.doubted.within(span).copied().unwrap_or(Run::new(span, now));
        known.silent.add(Run { seen: now, ..run });
    }

    /// A request got no reply, but all its parts succeeded.
    pub(crate) fn was_silent_together(&mut self, span: Span, now: Instant) {
        let known = self.tables.entry(key(span)).or_default();
        if span.count() > known.answered {
            known.silent.remove_within(span);
            known.was_too_long(TooLong { count: span.count(), seen: now, was_silent: true });
        } else if known.doubted.within(span).is_none() {
            known.silent.remove_within(span);
            known.doubted.add(Run::new(span, now));
        }
    }
}

impl Known {
    fn was_too_long(&mut self, found: TooLong) {
        let count = self.too_long.map_or(u16::MAX, |known| known.count).min(found.count);
        self.too_long = Some(TooLong { count, ..found });
    }
}

fn key(span: Span) -> (Unit, Table) {
    (span.unit(), span.table())
}

#[cfg(test)]
#[path = "tests/learned.rs"]
mod tests;
