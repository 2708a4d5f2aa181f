//! How much a spool holds.

use std::time::Duration;

/// How many bytes a spool holds, and for how long. Payloads that are evicted or expire are counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of all payloads together. When more are stored, the agent that holds the most loses its payloads in
    /// quarantine first, then its oldest.
    pub bytes: u64,
    /// How long a payload is kept.
    pub age: Duration,
}

impl Default for SpoolLimits {
    /// 1 GiB and 30 days.
    fn default() -> Self {
        Self { bytes: 1 << 30, age: Duration::from_hours(30 * 24) }
    }
}
