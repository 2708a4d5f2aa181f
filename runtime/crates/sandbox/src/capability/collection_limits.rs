//! How much one collection may use of what does not belong to any interface, and what is said when
//! a limit is reached.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use pattoo_base::lock::lock;
use pattoo_measurement::Program;
use pattoo_settings::{
    GIB, HOUR, KIB, MIB, Quantity,
    convert::{duration, millis, narrow, widen},
    quantity,
};

use super::CollectionLimits;

/// The rows of those limits that do not belong to any interface.
pub static COLLECTION_LIMITS: &[Quantity<CollectionLimits>] = &[
    quantity!(
        "timeout",
        "time for the whole collection, waiting included",
        Time,
        1,
        24 * HOUR,
        timeout,
        millis,
        duration
    ),
    quantity!("memory", "linear memory, all memories together", Size, 64 * KIB, 4 * GIB, memory, widen, narrow),
    quantity!(
        "host_memory",
        "memory of the host that is used for the collection",
        Size,
        MIB,
        4 * GIB,
        host_memory,
        widen,
        narrow
    ),
    quantity!(
        "table_elements",
        "elements of tables, all tables together",
        Count,
        0,
        100_000,
        table_elements,
        widen,
        narrow
    ),
    quantity!(
        "instances",
        "core instances, memories and tables of one component, each",
        Count,
        1,
        50,
        instances,
        widen,
        narrow
    ),
    quantity!("call_bytes", "bytes handed to the host in one call", Size, KIB, GIB, call_bytes, widen, narrow),
    quantity!("resources", "handles of resources at the same time", Count, 16, 1_000_000, resources, widen, narrow),
    quantity!("error_bytes", "bytes of its error text", Size, 64, MIB, error_bytes, widen, narrow),
];

/// A limit that a collection reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {value} on {what} is reached (limit {setting})")]
pub struct LimitReached {
    /// What is limited, in words: `memory`.
    pub what: &'static str,
    /// Its value with its unit: `64.0 MiB`.
    pub value: String,
    /// The setting that raises it, under `limits:` of the collector.
    pub setting: &'static str,
}

impl LimitReached {
    /// A limit on bytes.
    pub(crate) fn of_bytes(what: &'static str, limit: impl TryInto<u64>, setting: &'static str) -> Self {
        let bytes = bytesize::ByteSize(limit.try_into().unwrap_or(u64::MAX));
        Self { what, value: bytes.display().iec().to_string(), setting }
    }
}

/// The limits that a collection reached and went on. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    program: Program,
    said: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Reached {
    pub(super) fn new(program: &Program) -> Self {
        Self { program: program.clone(), said: Arc::default() }
    }

    /// Says to the operator that a limit was reached, the first time; and in the same words to the
    /// guest.
    pub(super) fn say(&self, reached: LimitReached) -> LimitReached {
        if self.is_first(&reached) {
            tracing::warn!("{}: {reached}", self.program);
        }
        reached
    }

    /// Says so in passing: the guest goes on as if there was no limit.
    pub(super) fn note(&self, reached: &LimitReached) {
        if self.is_first(reached) {
            tracing::debug!("{}: {reached}; what is beyond it waits", self.program);
        }
    }

    fn is_first(&self, reached: &LimitReached) -> bool {
        lock(&self.said).insert(reached.setting)
    }
}
