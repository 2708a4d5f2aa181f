//! How much one collection may read.

use pattoo_settings::{Quantity, convert::narrow, quantity};

use crate::capability::CollectionLimits;

/// How much one collection may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModbusLimits {
    /// Spans read.
    pub spans: u32,
    /// Spans of one call that are read at the same time; more wait.
    pub concurrent_spans: u32,
}

impl Default for ModbusLimits {
    fn default() -> Self {
        Self { spans: 10_000, concurrent_spans: 1_000 }
    }
}

/// The ranges of [`ModbusLimits`].
pub(super) static RANGES: &[Quantity<CollectionLimits>] = &[
    quantity!("spans", "Modbus spans", Count, 0, 1_000_000, modbus.spans, u64::from, narrow),
    quantity!(
        "concurrent_spans",
        "Modbus spans of one call that are read at the same time",
        Count,
        1,
        1_000_000,
        modbus.concurrent_spans,
        u64::from,
        narrow
    ),
];
