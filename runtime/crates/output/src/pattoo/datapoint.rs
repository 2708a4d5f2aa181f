//! One datapoint as pattoo takes it.
//!
//! Normalising is what pattoo's `_key_value_valid` and `DataPoint` do, and on top of it the refusal of everything that
//! pattoo would silently ignore or that its server cannot store (one such datapoint blocks all that is ingested
//! with it).

use std::{collections::HashSet, time::Duration};

use pattoo_base::text::shown;
use pattoo_measurement::{Candidate, Metadatum, Program, Reason, Value};

use super::{
    text::{lower, strip_owned},
    value::value_fault,
};
use crate::json::{json_length, most_json_length};

/// Bytes in the server's columns for keys, values and targets (`MAX_KEYPAIR_LENGTH`, `VARBINARY(512)`).
pub(super) const COLUMN: usize = 512;

/// The earliest timestamp that counts: the server starts every series at 1 and takes only what is newer.
const EARLIEST: u64 = 2;

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
        if let Some(fault) = value_fault(&value) {
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
