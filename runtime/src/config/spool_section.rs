//! The limits of the spool.

use pattoo_settings::{
    GIB, HOUR, MIB, Quantity,
    convert::{duration, millis, same},
    quantity,
};
use pattoo_spool::SpoolLimits;

/// The keys below `spool:`.
pub(super) static SPOOL: &[Quantity<SpoolLimits>] = &[
    quantity!(
        "size",
        "how much may be queued; beyond it the agent that holds the most loses its oldest payloads",
        Size,
        MIB,
        1024 * GIB,
        bytes,
        same,
        same
    ),
    quantity!("age", "how long a payload is kept", Time, HOUR, 365 * 24 * HOUR, age, millis, duration),
];
