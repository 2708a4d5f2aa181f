//! The limits of the log file.

use pattoo_settings::{
    GIB, MIB, Quantity,
    convert::{narrow, same},
    quantity,
};

/// When the log file is rotated, and how many files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The size of a file in bytes at which it is rotated.
    pub bytes: u64,
    /// How many rotated files are kept.
    pub keep: u32,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { bytes: 64 * MIB, keep: 4 }
    }
}

/// The keys below `log:`.
pub(super) static LOG: &[Quantity<LogBounds>] = &[
    quantity!("size", "size at which the log file is rotated", Size, MIB, 64 * GIB, bytes, same, same),
    quantity!("keep", "how many rotated files are kept", Count, 0, 1000, keep, u64::from, narrow),
];
