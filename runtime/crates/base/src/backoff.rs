//! Exponential backoff: how long to wait after a number of failures in a row.

use std::time::Duration;

/// The wait after `failures` failures in a row: `first` after the first, twice as long after each
/// further one, at most `longest`. No failure means no wait.
///
/// ```
/// use std::time::Duration;
///
/// use pattoo_base::backoff::doubled;
///
/// let (first, longest) = (Duration::from_secs(1), Duration::from_secs(5));
/// let waits: Vec<u64> = (0..6).map(|failures| doubled(first, failures, longest).as_secs()).collect();
/// assert_eq!(waits, [0, 1, 2, 4, 5, 5]);
/// ```
pub fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}
