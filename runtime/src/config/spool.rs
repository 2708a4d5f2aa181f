//! The limits of the spool.

use std::time::Duration;

use pattoo_settings::{
    GIB, HOUR, MIB, Quantity,
    convert::{duration, millis, same},
    quantity,
};

/// The size of the spool, and the age of payloads at which they are evicted.
pub(super) struct SpoolBounds {
    pub(super) bytes: u64,
    pub(super) age: Duration,
}

impl Default for SpoolBounds {
    fn default() -> Self {
        Self { bytes: GIB, age: Duration::from_hours(30 * 24) }
    }
}

/// The keys below `spool:`.
pub(super) static SPOOL: &[Quantity<SpoolBounds>] = &[
    quantity!(
        "size",
        "size of the spool; beyond it the oldest payloads of the agent with the most are evicted",
        Size,
        MIB,
        1024 * GIB,
        bytes,
        same,
        same
    ),
    quantity!("age", "age at which payloads are evicted", Time, HOUR, 365 * 24 * HOUR, age, millis, duration),
];
