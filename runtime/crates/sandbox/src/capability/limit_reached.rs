//! What is said when a collection reaches a limit.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use pattoo_base::lock::lock;
use tracing::Level;

use super::log::ProgramLines;

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
    lines: ProgramLines,
    said: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Reached {
    pub(super) fn new(lines: ProgramLines) -> Self {
        Self { lines, said: Arc::default() }
    }

    /// Says to the operator that a limit was reached, the first time; and in the same words to the
    /// guest.
    pub(super) fn say(&self, reached: LimitReached) -> LimitReached {
        if self.is_first(&reached) {
            self.lines.runtime(Level::WARN, &reached.to_string());
        }
        reached
    }

    /// Says so in passing: the guest goes on as if there was no limit.
    pub(super) fn note(&self, reached: &LimitReached) {
        if self.is_first(reached) {
            self.lines.runtime(Level::DEBUG, &format!("{reached}; further requests wait"));
        }
    }

    fn is_first(&self, reached: &LimitReached) -> bool {
        lock(&self.said).insert(reached.setting)
    }
}
