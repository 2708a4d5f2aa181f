//! How much one collection may use.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pattoo_measurement::Program;

/// The limits of one collection. Reaching one either ends the collection or is an error value that the guest can handle;
/// either way the message names the limit, its value and the setting that raises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time for the whole collection: guest time, host waiting and instantiation.
    pub timeout: Duration,
    /// Bytes of linear memory, all memories of the instance together.
    pub memory: usize,
    /// Bytes of the host's own memory that are kept for the collection: see [`Account`](super::Account).
    pub host_memory: usize,
    /// Elements of tables, all tables of the instance together. A table element is a pointer of the host's memory.
    pub table_elements: usize,
    /// Core instances, memories and tables of one component, each: language toolchains compose a component out of several
    /// core modules, Python's out of about twenty.
    pub instances: usize,
    /// Bytes that the guest may hand to the host in one call, in all strings and lists together.
    pub call_bytes: usize,
    /// Handles of resources that are open at the same time: those of WASI, and those that a guest defines for itself.
    pub resources: usize,
    /// Random bytes, all calls together.
    pub random_bytes: u64,
    /// Bytes of the text with which the guest fails that are kept.
    pub error_bytes: usize,
    /// Targets for which datapoints are emitted.
    pub targets: usize,
    /// Datapoints emitted.
    pub datapoints: usize,
    /// Bytes of normalised datapoints.
    pub datapoint_bytes: usize,
    /// How far ahead of the host's clock a timestamp may lie.
    pub timestamp_ahead: Duration,
    /// Log lines, standard output and error included.
    pub log_lines: u32,
    /// Bytes of one log line.
    pub log_line_bytes: usize,
    /// Bytes of all log lines.
    pub log_bytes: usize,
    /// HTTP requests, each counted once however often it is redirected.
    pub fetches: u32,
    /// HTTP requests under way at the same time.
    pub concurrent_fetches: usize,
    /// Bytes of all responses of one collection, bodies and header fields.
    pub fetched_bytes: usize,
    /// Modbus spans read.
    pub spans: u32,
    /// Modbus spans in one call, which are read at the same time.
    pub concurrent_spans: u32,
    /// Bytes of all keys and values that the program keeps, and [`STATE_ENTRY`](super::STATE_ENTRY) for each of them.
    pub state_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            timeout: Duration::from_secs(10),
            memory: 64 * MIB,
            host_memory: 128 * MIB,
            table_elements: 100_000,
            instances: 50,
            call_bytes: 16 * MIB,
            resources: 1_000,
            random_bytes: 1 << 20,
            error_bytes: 4_096,
            targets: 1_000,
            datapoints: 10_000,
            datapoint_bytes: 16 * MIB,
            timestamp_ahead: Duration::from_mins(5),
            log_lines: 1_000,
            log_line_bytes: 4_096,
            log_bytes: 256 << 10,
            fetches: 1_000,
            concurrent_fetches: 16,
            fetched_bytes: 64 * MIB,
            spans: 10_000,
            concurrent_spans: 1_000,
            state_bytes: MIB,
        }
    }
}

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

    /// Says to the operator that a limit was reached, the first time; and in the same words to the guest.
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
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(reached.setting)
    }
}
