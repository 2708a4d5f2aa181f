//! How a collector that keeps failing runs less often, and recovers by itself.
//!
//! The first failure costs nothing: the next scheduled run takes place. From the second failure in
//! a row, runs are skipped: the time from one run to the next doubles, up to [`LONGEST`]. So a
//! device that is available again is read within that time, and a collector with a longer interval
//! is never delayed. One collection that succeeds ends it.

use std::time::Duration;

use pattoo_base::{backoff::doubled, invariant::Invariant as _};

/// The longest time from one run of a failing collector to the next, unless its interval is longer.
pub(super) const LONGEST: Duration = Duration::from_mins(1);

/// The failures of one collector in a row, and the runs to skip for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    failures: u32,
    runs_to_skip: u32,
}

impl Backoff {
    /// Whether a scheduled run takes place. One that does not is counted as skipped.
    pub(super) fn permits_run(&mut self) -> bool {
        match self.runs_to_skip.checked_sub(1) {
            Some(left) => {
                self.runs_to_skip = left;
                false
            }
            None => true,
        }
    }

    /// A collection failed.
    pub(super) fn failed(&mut self, interval: Duration) {
        self.failures = self.failures.saturating_add(1);
        // The wait from one run to the next. Of the runs that fall into it all but its last one are
        // skipped.
        let wait = doubled(interval, self.failures, LONGEST.max(interval));
        let runs = wait.as_secs().checked_div(interval.as_secs()).or_broken("an interval is at least a second", 1);
        self.runs_to_skip = u32::try_from(runs.saturating_sub(1)).unwrap_or(u32::MAX);
    }

    /// A collection succeeded.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How many collections failed since the last one that succeeded.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How many scheduled runs will be skipped.
    pub(super) fn runs_to_skip(&self) -> u32 {
        self.runs_to_skip
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use std::time::Duration;

    use super::{Backoff, LONGEST};

    /// How many runs are skipped after each of `failures` failures.
    fn skipped(seconds: u64, failures: usize) -> Vec<u32> {
        let mut backoff = Backoff::default();
        let skipped = |_| {
            backoff.failed(Duration::from_secs(seconds));
            let mut skipped = 0;
            while !backoff.permits_run() {
                skipped += 1;
            }
            skipped
        };
        (0..failures).map(skipped).collect()
    }

    #[test]
    fn failing_collector_skips_more_and_more_runs_up_to_a_limit() {
        assert_eq!(skipped(5, 8), [0, 1, 3, 7, 11, 11, 11, 11]);
        assert_eq!(skipped(20, 4), [0, 1, 2, 2]);
    }

    #[test]
    fn failing_collector_runs_within_its_interval_or_a_minute_whichever_is_longer() {
        for seconds in 1..=400 {
            let bound = Duration::from_secs(seconds).max(LONGEST);
            for skipped in skipped(seconds, 40) {
                assert!(Duration::from_secs(seconds) * (skipped + 1) <= bound, "{skipped} runs of {seconds} s");
            }
        }
    }

    #[test]
    fn collector_with_a_long_interval_skips_no_run() {
        assert_eq!(skipped(31, 5), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn one_successful_collection_ends_the_backoff() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed(Duration::from_secs(1));
        }
        backoff.succeeded();
        assert!(backoff.permits_run());
        assert_eq!((backoff.failures(), backoff.runs_to_skip()), (0, 0));
    }
}
