//! One datapoint as a collector emits it, and why an output may refuse it.

use thiserror::Error;

use crate::value::Value;

/// The most bytes that a name may have as it is emitted. Every output has less room; the bound keeps the work on what is
/// going to be refused small.
pub const MAX_NAME: usize = 4_096;
/// The most bytes of one text value. Larger ones would hold the thread for too long.
const TEXT: usize = 256 << 10;
/// The most metadata of one datapoint, and the most bytes of all their keys and values: each costs a link of a checksum's chain.
const METADATA: usize = 256;
const METADATA_BYTES: usize = 64 << 10;

/// A datapoint as a collector gives it, not yet looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What was measured. Lowered and stripped; not empty then, without `pattoo` in it, and with the program's name
    /// and a `_` before it at most 512 bytes.
    pub key: String,
    /// The measurement.
    pub value: Value,
    /// When it was measured: Unix milliseconds; `None` is the moment of the call.
    pub timestamp: Option<u64>,
    /// What else is known about it, in the order in which it counts for the checksum. Of several with one key the
    /// first is kept, as pattoo does.
    pub metadata: Vec<Metadatum>,
}

/// A key and a value that describe a datapoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadatum {
    /// The same rule as for a datapoint's key.
    pub key: String,
    /// Stripped; may be empty. The server keeps the first 512 characters, which must not be more than 512 bytes.
    pub value: String,
    /// Part of the checksum: another value starts another series.
    pub identifying: bool,
}

/// Why a datapoint was not taken. The text is for the collector's author.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
pub enum Reason {
    /// The key is empty, too long or pattoo's own.
    #[error("key: {0}")]
    Key(String),
    /// The value cannot be stored.
    #[error("value: {0}")]
    Value(String),
    /// A metadatum's key or value cannot be.
    #[error("metadata: {0}")]
    Metadata(String),
    /// The timestamp would be ignored, or would make the server ignore what follows.
    #[error("timestamp: {0}")]
    Timestamp(String),
    /// The target has a datapoint with this key, type and identifying metadata already, or one whose checksum is
    /// the same because nothing separates its parts.
    #[error("duplicate: the target has a datapoint of the same checksum already in this collection")]
    Duplicate,
    /// With it the collection's datapoints would take more bytes than they may.
    #[error("size: there is no room for it among what the collection may emit")]
    Room,
}

/// One datapoint of a call that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
#[error("datapoint {index}: {reason}")]
pub struct Rejection {
    /// Its place in the list given, from 0.
    pub index: u32,
    /// Why.
    pub reason: Reason,
}

impl Candidate {
    /// Why it is too large for any output, by lengths alone.
    pub fn oversize(&self) -> Option<Reason> {
        let long = |what: &str, bytes: usize, most: usize| format!("{what} has {bytes} bytes, and may have {most}");
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
            return Some(Reason::Metadata(format!("there are {count} of them, and there may be {METADATA}")));
        }
        if let Some(key) = self.metadata.iter().map(|metadatum| metadatum.key.len()).find(|bytes| *bytes > MAX_NAME) {
            return Some(Reason::Metadata(long("a key", key, MAX_NAME)));
        }
        let texts = self.metadata.iter().flat_map(|metadatum| [&metadatum.key, &metadatum.value]);
        let bytes = texts.map(String::len).fold(0_usize, usize::saturating_add);
        (bytes > METADATA_BYTES).then(|| Reason::Metadata(long("all of it", bytes, METADATA_BYTES)))
    }

    /// How much work it is to take it, in blocks of a hash function, roughly.
    pub fn weight(&self) -> usize {
        const BLOCK: usize = 64;
        let text = if let Value::Text(text) = &self.value { text.len() } else { 0 };
        let metadata = self.metadata.iter().map(|metadatum| metadatum.key.len().saturating_add(metadatum.value.len()));
        let bytes = metadata.fold(text.saturating_add(self.key.len()), usize::saturating_add);
        (bytes / BLOCK).saturating_add(self.metadata.len().saturating_mul(2)).saturating_add(10)
    }
}
