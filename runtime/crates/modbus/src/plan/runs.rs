//! Ranges of addresses of one table, each with the time when it was last seen.

use tokio::time::Instant;

use crate::model::Span;

/// The maximum number of ranges in a list; the one that was not seen for the longest time is
/// forgotten first.
pub(super) const MAX_RUNS: usize = 512;

/// A range of addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) seen: Instant,
}

impl Run {
    pub(super) fn new(span: Span, seen: Instant) -> Self {
        Self { first: span.address(), last: span.last(), seen }
    }

    /// The number of its addresses.
    pub(super) fn count(&self) -> u16 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// Ranges, none within another; sorted by start, and therefore by end.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }

    /// Keeps the ranges that were seen at a time for which `fresh` is true.
    pub(super) fn forget(&mut self, fresh: impl Fn(Instant) -> bool) {
        self.0.retain(|run| fresh(run.seen));
    }

    /// The first range within the span.
    pub(super) fn within(&self, span: Span) -> Option<&Run> {
        let place = self.0.partition_point(|run| run.first < span.address());
        self.0.get(place).filter(|run| run.last <= span.last())
    }

    /// The last range that contains the span and is longer than it.
    pub(super) fn around(&self, span: Span) -> Option<&Run> {
        let after = self.0.partition_point(|run| run.first <= span.address());
        let run = after.checked_sub(1).and_then(|place| self.0.get(place))?;
        (span.last() <= run.last && span.count() < run.count()).then_some(run)
    }

    /// Removes all ranges within the span.
    pub(super) fn remove_within(&mut self, span: Span) {
        self.0.retain(|run| run.first < span.address() || span.last() < run.last);
    }

    /// Adds a range. A range within it is more precise, and is seen again instead; one around it is
    /// less precise, and is replaced.
    pub(super) fn add(&mut self, run: Run) {
        let mut within = false;
        for known in &mut self.0 {
            if run.first <= known.first && known.last <= run.last {
                known.seen = run.seen;
                within = true;
            }
        }
        if within {
            return;
        }
        self.0.retain(|known| run.first < known.first || known.last < run.last);
        if self.0.len() >= MAX_RUNS
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, run)| run.seen).map(|(place, _)| place)
        {
            self.0.remove(oldest);
        }
        let place = self.0.partition_point(|known| known.first < run.first);
        self.0.insert(place, run);
    }
}
