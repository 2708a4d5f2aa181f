//! How many new lines are logged.

use std::time::{Duration, Instant};

/// How many lines are logged at once.
pub(super) const BURST: u32 = 100;
/// The time after which one more is.
pub(super) const REFILL: Duration = Duration::from_mins(1);

/// A token bucket: [`BURST`] lines at once, then one each [`REFILL`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    lines: u32,
    refilled: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { lines: BURST, refilled: None }
    }
}

impl Budget {
    /// Takes one line, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let refilled = *self.refilled.get_or_insert(now);
        let periods = now.saturating_duration_since(refilled).as_secs().div_euclid(REFILL.as_secs());
        let more = u32::try_from(periods).unwrap_or(u32::MAX);
        self.lines = self.lines.saturating_add(more).min(BURST);
        self.refilled = refilled.checked_add(REFILL.saturating_mul(more)).or(Some(now));
        let Some(left) = self.lines.checked_sub(1) else { return false };
        self.lines = left;
        true
    }
}
