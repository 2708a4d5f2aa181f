//! How much the spool may hold.

use std::time::Duration;

use pattoo_settings::{
    GIB, HOUR, MIB, Quantity,
    convert::{duration, millis, same},
    quantity,
};

/// How much may wait for the server, and how long.
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
        "how much may wait for the server; beyond it the agent that holds the most drops its oldest",
        Size,
        MIB,
        1024 * GIB,
        bytes,
        same,
        same
    ),
    quantity!("age", "how long anything waits before it falls off", Time, HOUR, 365 * 24 * HOUR, age, millis, duration),
];
