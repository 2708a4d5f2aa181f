//! How much the log file may hold.

use pattoo_settings::{
    GIB, MIB, Quantity,
    convert::{narrow, same},
    quantity,
};

/// When the log file is started again, and how many of those before are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The most bytes of a file.
    pub bytes: u64,
    /// How many files are kept beside the one that is written.
    pub keep: u32,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { bytes: 64 * MIB, keep: 4 }
    }
}

/// The keys below `log:`.
pub(super) static LOG: &[Quantity<LogBounds>] = &[
    quantity!(
        "size",
        "how large the log file becomes before it is moved aside",
        Size,
        MIB,
        64 * GIB,
        bytes,
        same,
        same
    ),
    quantity!("keep", "how many of those that were moved aside are kept", Count, 0, 1000, keep, u64::from, narrow),
];
