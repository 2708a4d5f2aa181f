//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in milliseconds since 1970 (UTC); 0 if it shows a time before 1970.
///
/// ```
/// // 2020-01-01T00:00:00Z
/// assert!(pattoo_base::clock::unix_millis() > 1_577_836_800_000);
/// ```
pub fn unix_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
