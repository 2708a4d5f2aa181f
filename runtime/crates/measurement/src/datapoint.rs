//! One datapoint as a collector emits it, and why an output may refuse it.

use thiserror::Error;

use crate::value::Value;

/// The maximum size of a name as it is emitted, in bytes. Every output allows less. The limit
/// bounds the work on names that are rejected.
pub const MAX_NAME: usize = 4_096;
/// The maximum size of one text value, in bytes. Larger ones would occupy the thread for too long.
const TEXT: usize = 256 << 10;
/// The maximum number of metadata of one datapoint, and of bytes of all their keys and values. Each
/// costs a link in the chain of a checksum.
const METADATA: usize = 256;
const METADATA_BYTES: usize = 64 << 10;

/// A datapoint as a collector emits it, before it is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What was measured. In lower case and without white space around it, it is not empty, does
    /// not contain `pattoo`, and has at most 512 bytes with the program's name and a `_` before it.
    pub key: String,
    /// The measurement.
    pub value: Value,
    /// When it was measured, in Unix milliseconds. `None` means the time of the call.
    pub timestamp: Option<u64>,
    /// What else describes it, in the order in which it enters the checksum. Of several with the
    /// same key, the first is kept, as pattoo does.
    pub metadata: Vec<Metadatum>,
}

/// A key and a value that describe a datapoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadatum {
    /// The same rule as for a datapoint's key.
    pub key: String,
    /// White space around it is removed. May be empty. The server keeps the first 512 characters,
    /// which must have at most 512 bytes.
    pub value: String,
    /// Whether it is part of the checksum. Another value starts another series then.
    pub identifying: bool,
}

/// Why a datapoint was rejected. The text is for the author of the collector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
pub enum Reason {
    /// The key is empty, too long or reserved for pattoo.
    #[error("key: {0}")]
    Key(String),
    /// The value cannot be stored.
    #[error("value: {0}")]
    Value(String),
    /// The key or value of a metadatum is invalid.
    #[error("metadata: {0}")]
    Metadata(String),
    /// The server would ignore this timestamp, or the datapoints after it.
    #[error("timestamp: {0}")]
    Timestamp(String),
    /// The target already has a datapoint with this key, type and identifying metadata, or one with
    /// the same checksum, because its parts are hashed without separators.
    #[error("duplicate: the target already has a datapoint with the same key, type and identifying metadata")]
    Duplicate,
    /// The datapoints of the collection would exceed their limit in bytes.
    #[error("size: the datapoints of the collection would be too large")]
    Room,
}

/// A datapoint of a call that was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
#[error("datapoint {index}: {reason}")]
pub struct Rejection {
    /// Its index in the list of the call, from 0.
    pub index: u32,
    /// Why.
    pub reason: Reason,
}

impl Candidate {
    /// Why it is too large for every output. Reads lengths only.
    pub fn oversize(&self) -> Option<Reason> {
        let long =
            |what: &str, bytes: usize, most: usize| format!("{what} has {bytes} bytes, and at most {most} are allowed");
        if self.key.len() > MAX_NAME {
            return Some(Reason::Key(long("a key", self.key.len(), MAX_NAME)));
        }
        if let Value::Text(text) = &self.value
            && text.len() > TEXT
        {
            return Some(Reason::Value(long("a text", text.len(), TEXT)));
        }
        if self.metadata.len() > METADATA {
            let count = self.metadata.len();
            return Some(Reason::Metadata(format!("there are {count} entries, and at most {METADATA} are allowed")));
        }
        if let Some(key) = self.metadata.iter().map(|metadatum| metadatum.key.len()).find(|bytes| *bytes > MAX_NAME) {
            return Some(Reason::Metadata(long("a key", key, MAX_NAME)));
        }
        let texts = self.metadata.iter().flat_map(|metadatum| [&metadatum.key, &metadatum.value]);
        let bytes = texts.map(String::len).fold(0_usize, usize::saturating_add);
        (bytes > METADATA_BYTES).then(|| Reason::Metadata(long("the metadata", bytes, METADATA_BYTES)))
    }

    /// The approximate work to encode it, in blocks of a hash function.
    pub fn weight(&self) -> usize {
        const BLOCK: usize = 64;
        let text = if let Value::Text(text) = &self.value { text.len() } else { 0 };
        let metadata = self.metadata.iter().map(|metadatum| metadatum.key.len().saturating_add(metadatum.value.len()));
        let bytes = metadata.fold(text.saturating_add(self.key.len()), usize::saturating_add);
        (bytes / BLOCK).saturating_add(self.metadata.len().saturating_mul(2)).saturating_add(10)
    }
}
