//! What was learned of an endpoint's units while reading them: addresses that fail, and how much a request may ask for.
//!
//! Devices have registers that must not be read, blocks that no request may cross, and maxima that no manual names. Each
//! shows by an exception, and which of them it was only by asking for less. What that brought out is kept here, for an
//! hour and up to a bound, so that the next read plans around it. It is learned anew from the device alone; nothing of it
//! is ever taken for a value.
//!
//! Three facts are told apart, by what was answered to parts of a request that failed:
//! - *A span that fails alone* is bad: it, and whatever contains it, is asked for alone from then on. When it is
//!   answered one day, it is forgotten.
//! - *A request whose parts were all answered* was too long, if it was longer than any that this table ever answered. The
//!   device's maximum lies between the two; the next reads try the middle, so it is found within seven reads that long.
//! - If it was not longer than that, it crosses something. That run is bad, its parts are not.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{span::Span, table::Table};

/// How long something is remembered that was not seen again.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);
/// The most runs that are remembered for one table of one unit; the oldest goes first.
pub(super) const MAX_RUNS: usize = 512;

/// What is known of all units of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Memory {
    tables: BTreeMap<(u8, Table), Known>,
}

/// What is known of one table of one unit.
#[derive(Debug, Default)]
struct Known {
    /// Runs that fail, none within another; sorted, so that their ends are too.
    bad: Vec<Run>,
    /// The longest request that was answered.
    answered: u16,
    /// The shortest that was too long, and when that was seen.
    too_long: Option<(u16, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    first: u16,
    last: u16,
    seen: Instant,
}

impl Memory {
    /// Forgets what was not seen for a [`LIFETIME`].
    pub(super) fn forget_old(&mut self, now: Instant) {
        let fresh = |seen: Instant| now.saturating_duration_since(seen) < LIFETIME;
        self.tables.values_mut().for_each(|known| {
            known.bad.retain(|run| fresh(run.seen));
            known.too_long = known.too_long.filter(|(_, seen)| fresh(*seen));
        });
    }

    /// Whether a run that fails lies within the span.
    pub(super) fn is_bad(&self, span: Span) -> bool {
        self.tables.get(&key(span)).is_some_and(|known| {
            let place = known.bad.partition_point(|run| run.first < span.address());
            known.bad.get(place).is_some_and(|run| run.last <= span.last())
        })
    }

    /// The most addresses that a request should ask for at once, as far as the device is known.
    pub(super) fn maximum(&self, unit: u8, table: Table) -> u16 {
        let Some(Known { answered, too_long: Some((too_long, _)), .. }) = self.tables.get(&(unit, table)) else {
            return u16::MAX;
        };
        // What was answered was shorter than what was too long; in the middle is what to try next.
        let room = too_long.saturating_sub(*answered);
        answered.saturating_add(room / 2).max(1)
    }

    /// The span was answered with values.
    pub(super) fn answered(&mut self, span: Span) {
        let known = self.tables.entry(key(span)).or_default();
        known.bad.retain(|run| run.first < span.address() || span.last() < run.last);
        known.answered = known.answered.max(span.count());
        known.too_long = known.too_long.filter(|(too_long, _)| span.count() < *too_long);
    }

    /// The span, which nobody wants only a part of, failed because of its addresses.
    pub(super) fn failed_alone(&mut self, span: Span, now: Instant) {
        self.tables.entry(key(span)).or_default().add(Run { first: span.address(), last: span.last(), seen: now });
    }

    /// A request failed because of its addresses, but all its parts were answered.
    pub(super) fn failed_together(&mut self, span: Span, now: Instant) {
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
        // A run within this one says more; one around it says less.
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

fn key(span: Span) -> (u8, Table) {
    (span.unit(), span.table())
}

#[cfg(test)]
#[path = "tests/memory.rs"]
mod tests;
