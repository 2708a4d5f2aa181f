//! What earlier reads showed of a device: addresses that fail, and how long a request may be.
//!
//! Devices have registers that cannot be read, blocks that no request may cross, and maxima that no
//! manual mentions. Each shows itself by an exception, and only shorter requests tell which of them
//! it was. The result is kept here for an hour, up to a bound, so that the next read plans around
//! it. It is only used for planning, never as a value.
//!
//! The replies to the parts of a request that failed tell three cases apart:
//! - *A span that fails alone* is bad: from then on it, and whatever contains it, gets a request of
//!   its own. When such a request succeeds, the span is no longer bad.
//! - *A request whose parts all succeeded* was too long, if it was longer than any request that
//!   succeeded in this table. The maximum of the device lies between the two lengths; the next
//!   reads try the middle, so that seven reads of that length find it. If no request can have a
//!   length between that of the success and the middle, they try the next length above it.
//! - Otherwise the request crossed a border of two blocks. This range is bad, its parts are not.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::model::{Span, Table, Unit};

/// How long a failure is remembered after it was last seen.
pub(crate) const LIFETIME: Duration = Duration::from_hours(1);
/// The maximum number of failed ranges for one table of one unit; the oldest is forgotten first.
pub(crate) const MAX_RUNS: usize = 512;

/// What is known of the tables of all units of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    tables: BTreeMap<(Unit, Table), Known>,
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

/// What is known of one table of one unit.
#[derive(Debug, Default)]
struct Known {
    /// Ranges that fail, none within another; sorted by start, and therefore by end.
    bad: Vec<Run>,
    /// The length of the longest request that succeeded.
    answered: u16,
    /// The length of the shortest request that was too long, and when that was seen.
    too_long: Option<(u16, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    first: u16,
    last: u16,
    seen: Instant,
}

impl Learned {
    /// Forgets what was not seen for [`LIFETIME`].
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let fresh = |seen: Instant| now.saturating_duration_since(seen) < LIFETIME;
        self.tables.values_mut().for_each(|known| {
            known.bad.retain(|run| fresh(run.seen));
            known.too_long = known.too_long.filter(|(_, seen)| fresh(*seen));
        });
    }

    /// Whether the span contains a range that fails.
    pub(crate) fn is_bad(&self, span: Span) -> bool {
        self.tables.get(&key(span)).is_some_and(|known| {
            let place = known.bad.partition_point(|run| run.first < span.address());
            known.bad.get(place).is_some_and(|run| run.last <= span.last())
        })
    }

    /// How long the next requests to a table may be. Until one was too long, all lengths may be
    /// tried.
    pub(crate) fn lengths(&self, unit: Unit, table: Table) -> Lengths {
        let known = self.tables.get(&(unit, table));
        let Some((proven, (too_long, _))) = known.and_then(|known| Some((known.answered, known.too_long?))) else {
            return Lengths { proven: u16::MAX, attempt: u16::MAX, too_long: u16::MAX };
        };
        // The maximum is at least `proven` and below `too_long`: try the middle.
        let room = too_long.saturating_sub(proven);
        Lengths { proven, attempt: proven.saturating_add(room / 2).max(1), too_long }
    }

    /// A request for the span succeeded.
    pub(crate) fn answered(&mut self, span: Span) {
        let known = self.tables.entry(key(span)).or_default();
        known.bad.retain(|run| run.first < span.address() || span.last() < run.last);
        known.answered = known.answered.max(span.count());
        known.too_long = known.too_long.filter(|(too_long, _)| span.count() < *too_long);
    }

    /// A request for exactly this piece failed because of its addresses.
    pub(crate) fn failed_alone(&mut self, span: Span, now: Instant) {
        self.tables.entry(key(span)).or_default().add(Run { first: span.address(), last: span.last(), seen: now });
    }

    /// A request failed because of its addresses, but all its parts succeeded.
    pub(crate) fn failed_together(&mut self, span: Span, now: Instant) {
        let known = self.tables.entry(key(span)).or_default();
        if span.count() > known.answered {
            let shortest = known.too_long.map_or(u16::MAX, |(too_long, _)| too_long).min(span.count());
            known.too_long = Some((shortest, now));
        } else {
            known.add(Run { first: span.address(), last: span.last(), seen: now });
        }
    }
}

impl Known {
    fn add(&mut self, run: Run) {
        // A range within this one is more precise; one around it is less precise.
        let mut within = false;
        for known in &mut self.bad {
            if run.first <= known.first && known.last <= run.last {
                known.seen = run.seen;
                within = true;
            }
        }
        if within {
            return;
        }
        self.bad.retain(|known| run.first < known.first || known.last < run.last);
        if self.bad.len() >= MAX_RUNS
            && let Some(oldest) = self.bad.iter().enumerate().min_by_key(|(_, run)| run.seen).map(|(place, _)| place)
        {
            self.bad.remove(oldest);
        }
        let place = self.bad.partition_point(|known| known.first < run.first);
        self.bad.insert(place, run);
    }
}

fn key(span: Span) -> (Unit, Table) {
    (span.unit(), span.table())
}

#[cfg(test)]
#[path = "tests/learned.rs"]
mod tests;
