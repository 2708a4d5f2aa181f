//! One datapoint: as a collector gives it, why it may be refused, and what is left of it once it is normalised.
//!
//! Normalising is what pattoo's `_key_value_valid` and `DataPoint` do, and on top of it the refusal of everything that
//! pattoo would ignore without a word or that its server chokes on (one such datapoint holds up all that is ingested
//! with it).

use std::{collections::HashSet, time::Duration};

use thiserror::Error;

use super::{
    agent::Program,
    text::{json_length, lower, most_json_length, shown, strip_owned},
    value::Value,
};

/// Bytes in the server's columns for keys, values and targets (`MAX_KEYPAIR_LENGTH`, `VARBINARY(512)`).
pub(super) const COLUMN: usize = 512;

/// The most bytes that a name may have as it is given, before white space is stripped and letters are lowered.
/// Whatever the server has a column for is shorter; the bound keeps the work on what is going to be refused small.
pub(super) const GIVEN: usize = 4_096;
/// The most bytes of one text value. Larger ones would hold the thread for too long, and no server stores them.
const TEXT: usize = 256 << 10;
/// The most metadata of one datapoint, and the most bytes of all their keys and values: each costs a link of the checksum's chain.
const METADATA: usize = 256;
const METADATA_BYTES: usize = 64 << 10;

/// The earliest timestamp that counts: the server starts every series at 1 and takes only what is newer.
const EARLIEST: u64 = 2;

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

/// What a datapoint must agree with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) program: &'a Program,
    /// Unix milliseconds.
    pub(super) now: u64,
    /// Unix milliseconds.
    pub(super) latest: u64,
}

/// A datapoint that pattoo takes: key and metadata in their final form, each metadata key once.
#[derive(Debug)]
pub(super) struct Datapoint {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) timestamp: u64,
    pub(super) metadata: Vec<Metadatum>,
}

impl Candidate {
    /// Why it is too large to be looked at, by lengths alone.
    fn oversize(&self) -> Option<Reason> {
        let long = |what: &str, bytes: usize, most: usize| format!("{what} has {bytes} bytes, and may have {most}");
        if self.key.len() > GIVEN {
            return Some(Reason::Key(long("a key", self.key.len(), GIVEN)));
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
        if let Some(key) = self.metadata.iter().map(|metadatum| metadatum.key.len()).find(|bytes| *bytes > GIVEN) {
            return Some(Reason::Metadata(long("a key", key, GIVEN)));
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

impl Datapoint {
    /// Looks at key, value, metadata and timestamp in this order; the first fault is the reason.
    pub(super) fn normalise(candidate: Candidate, rules: Rules<'_>) -> Result<Self, Reason> {
        if let Some(reason) = candidate.oversize() {
            return Err(reason);
        }
        let Candidate { key, value, timestamp, mut metadata } = candidate;
        let key = strip_owned(lower(key));
        if let Some(fault) = key_fault(&key, rules.program) {
            return Err(Reason::Key(fault));
        }
        if let Some(fault) = value.fault() {
            return Err(Reason::Value(fault));
        }
        for metadatum in &mut metadata {
            metadatum.key = strip_owned(lower(std::mem::take(&mut metadatum.key)));
            metadatum.value = strip_owned(std::mem::take(&mut metadatum.value));
            if let Some(fault) = key_fault(&metadatum.key, rules.program) {
                return Err(Reason::Metadata(fault));
            }
        }
        keep_first(&mut metadata);
        if let Some(fault) = metadata.iter().find_map(|m| metadata_value_fault(&m.key, &m.value)) {
            return Err(Reason::Metadata(fault));
        }
        if let Some(fault) = timestamp.and_then(|t| timestamp_fault(t, rules)) {
            return Err(Reason::Timestamp(fault));
        }
        Ok(Self { key, value, timestamp: timestamp.unwrap_or(rules.now), metadata })
    }

    /// At most how many bytes its pairs and its row take in a body: exactly as many for its texts where `exact`, else as many as they can
    /// take.
    pub(super) fn encoded(&self, exact: bool) -> usize {
        /// Everything that is not text: its number, brackets and quotes, the checksum, the type, the timestamp, its row.
        const FRAME: usize = 400;
        const FRAME_OF_METADATUM: usize = 40;
        let of = |text: &str| if exact { json_length(text) } else { most_json_length(text) };
        let value = if let Value::Text(text) = &self.value { of(text) } else { 0 };
        let metadata = self.metadata.iter().map(|metadatum| {
            of(&metadatum.key).saturating_add(of(&metadatum.value)).saturating_add(FRAME_OF_METADATUM)
        });
        metadata.fold(FRAME.saturating_add(of(&self.key)).saturating_add(value), usize::saturating_add)
    }

    /// The metadata that are part of the checksum.
    pub(super) fn identifying(&self) -> impl Iterator<Item = &Metadatum> {
        self.metadata.iter().filter(|metadatum| metadatum.identifying)
    }
}

fn key_fault(key: &str, program: &Program) -> Option<String> {
    if key.is_empty() {
        return Some("a key must have a character other than white space".to_owned());
    }
    if key.contains("pattoo") {
        return Some(format!("{} has `pattoo` in it, which marks pattoo's own keys", shown(key)));
    }
    // The server stores `<program>_<key>` (`make_key` in its `ingest/get.py`).
    let room = COLUMN.saturating_sub(program.as_str().len()).saturating_sub(1);
    (key.len() > room).then(|| {
        let length = key.len();
        format!("{} takes {length} bytes; with {program}_ before it the server has room for {room}", shown(key))
    })
}

/// The server cuts a value to 512 characters and puts it into 512 bytes.
fn metadata_value_fault(key: &str, value: &str) -> Option<String> {
    if value.len() <= COLUMN {
        return None;
    }
    let kept: usize = value.chars().take(COLUMN).map(char::len_utf8).sum();
    (kept > COLUMN).then(|| {
        format!(
            "the value of {} is too long: its first {COLUMN} characters take {kept} bytes, {COLUMN} are the most",
            shown(key)
        )
    })
}

fn timestamp_fault(timestamp: u64, rules: Rules<'_>) -> Option<String> {
    if timestamp < EARLIEST {
        return Some(format!("{timestamp} ms lies before anything that pattoo stores; give none for the current time"));
    }
    (timestamp > rules.latest).then(|| {
        let ahead = timestamp.saturating_sub(rules.now);
        let bound = Duration::from_millis(rules.latest.saturating_sub(rules.now));
        format!(
            "{timestamp} ms lies {ahead} ms ahead, and {} are allowed (limit timestamp_ahead); \
             pattoo would ignore everything measured before that moment comes",
            humantime::format_duration(bound)
        )
    })
}

/// Drops metadata whose key came before, in time linear to their number: a guest decides how many there are.
fn keep_first(metadata: &mut Vec<Metadatum>) {
    const FEW: usize = 8;
    if metadata.len() > FEW {
        let mut seen = HashSet::with_capacity(metadata.len());
        let first: Vec<bool> = metadata.iter().map(|m| seen.insert(m.key.as_str())).collect();
        let mut first = first.into_iter();
        metadata.retain(|_| first.next().unwrap_or(false));
        return;
    }
    let mut index = 0_usize;
    while let Some(metadatum) = metadata.get(index) {
        if metadata.iter().take(index).any(|earlier| earlier.key == metadatum.key) {
            metadata.remove(index);
        } else {
            index = index.saturating_add(1);
        }
    }
}
