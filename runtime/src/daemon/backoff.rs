//! How a collector that fails again and again is left in peace for longer and longer, and comes back by itself.
//!
//! The first failure costs nothing: the next departure is taken. From the second in a row on, departures are let pass: 1, 3, 7 and so
//! on, as long as that is at most [`LONGEST`]. So a device that comes back is read again within that time, and a collector whose
//! interval is longer is never held back at all. A single collection that goes well ends it.

use std::time::Duration;

/// The longest time that a failing collector is let rest.
pub(super) const LONGEST: Duration = Duration::from_mins(5);

/// What one collector's failures have come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    /// In a row.
    failures: u32,
    /// Departures that are still to be let pass.
    resting: u32,
}

impl Backoff {
    /// Whether a departure is to be taken. One that is not counts towards the rest.
    pub(super) fn take(&mut self) -> bool {
        match self.resting.checked_sub(1) {
            Some(left) => {
                self.resting = left;
                false
            }
            None => true,
        }
    }

    /// A collection failed.
    pub(super) fn failed(&mut self, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        let most = LONGEST.as_secs().checked_div(interval.as_secs()).unwrap_or(u64::MAX);
        let doublings = self.failures.saturating_sub(1).min(20);
        let rest = 2u32.saturating_pow(doublings).saturating_sub(1);
        self.resting = rest.min(u32::try_from(most).unwrap_or(u32::MAX));
    }

    /// A collection went well.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How many collections failed since the last good one.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How many departures will be let pass.
    pub(super) fn resting(&self) -> u32 {
        self.resting
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use std::time::Duration;

    use super::{Backoff, LONGEST};

    /// How many departures are let pass after each of `failures` failures.
    fn rests(seconds: u64, failures: usize) -> Vec<u32> {
        let mut backoff = Backoff::default();
        let rest = |_| {
            backoff.failed(Duration::from_secs(seconds));
            let mut passed = 0;
            while !backoff.take() {
                passed += 1;
            }
            passed
        };
        (0..failures).map(rest).collect()
    }

    #[test]
    fn a_failing_collector_rests_longer_and_longer_up_to_a_bound() {
        assert_eq!(rests(20, 8), [0, 1, 3, 7, 15, 15, 15, 15]);
        assert_eq!(rests(1, 200).last(), Some(&u32::try_from(LONGEST.as_secs()).unwrap()));
    }

    #[test]
    fn a_collector_that_departs_seldom_is_not_held_back() {
        assert_eq!(rests(301, 5), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn one_good_collection_ends_it() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed(Duration::from_secs(1));
        }
        backoff.succeeded();
        assert!(backoff.take());
        assert_eq!((backoff.failures(), backoff.resting()), (0, 0));
    }
}
