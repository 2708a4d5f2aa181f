//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in Unix milliseconds; 0 when it stands before 1970.
pub fn unix_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
