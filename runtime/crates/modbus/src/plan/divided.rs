//! Requests that failed and were sent once more in parts, and what the parts show.

use pattoo_base::invariant::Invariant as _;
use tokio::time::Instant;

use super::Learned;
use crate::model::Span;

/// The divided requests of one unit in one read, by index.
#[derive(Default)]
pub(super) struct DividedRequests(Vec<Divided>);

struct Divided {
    span: Span,
    /// The number of parts that have not ended.
    open: usize,
    /// Whether nothing is to be learned, or was already: a part failed in the same way, which
    /// explains why the whole did.
    is_explained: bool,
    /// Whether it got no reply; otherwise it got an exception.
    was_silent: bool,
}

/// How a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Values,
    Exception,
    /// No reply, or another error.
    Failed,
}

impl DividedRequests {
    /// Adds a request without parts. Returns its index.
    pub(super) fn add(&mut self, span: Span, was_silent: bool) -> usize {
        self.0.push(Divided { span, open: 0, is_explained: false, was_silent });
        self.0.len().saturating_sub(1)
    }

    pub(super) fn was_silent(&self, index: usize) -> bool {
        self.0.get(index).is_some_and(|divided| divided.was_silent)
    }

    /// The request has this number of parts more.
    pub(super) fn parts_begin(&mut self, index: usize, count: usize) {
        if let Some(divided) = self.0.get_mut(index) {
            divided.open = divided.open.saturating_add(count);
        }
    }

    /// A part of the request has ended, or was divided itself.
    pub(super) fn part_ended(&mut self, index: usize, end: End) {
        let Some(divided) = self.0.get_mut(index) else { return };
        divided.open = divided.open.checked_sub(1).or_broken("a part that ends was open", 0);
        // An exception of a part does not explain the silence of the whole.
        divided.is_explained |= end == End::Failed || (end == End::Exception && !divided.was_silent);
    }

    /// A part of the request has failed as the whole did.
    pub(super) fn part_failed(&mut self, index: usize) {
        if let Some(divided) = self.0.get_mut(index) {
            divided.is_explained = true;
        }
    }

    /// Learns from requests all parts of which have ended, if none of them explains why the whole
    /// failed.
    pub(super) fn learn(&mut self, learned: &mut Learned, now: Instant) {
        let mut unexplained: Vec<_> =
            self.0.iter_mut().filter(|divided| divided.open == 0 && !divided.is_explained).collect();
        // The shortest is the most precise.
        unexplained.sort_by_key(|divided| divided.span.count());
        for divided in unexplained {
            divided.is_explained = true;
            if divided.was_silent {
                learned.was_silent_together(divided.span, now);
            } else {
                learned.failed_together(divided.span, now);
            }
        }
    }
}
