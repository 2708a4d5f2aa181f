//! A datapoint in the form that pattoo accepts.
//!
//! Normalising does what pattoo's `_key_value_valid` and `DataPoint` do. It also rejects what
//! pattoo would ignore silently, and what its server cannot store: one such datapoint delays all
//! that are ingested with it.

use std::{collections::HashSet, time::Duration};

use pattoo_base::{invariant::Invariant as _, text::shown};
use pattoo_measurement::{Candidate, Metadatum, Program, Reason, Value};

use super::{
    python_text::{lower, strip_owned},
    value::value_fault,
};
use crate::json::{json_length, most_json_length};

/// Bytes in the server's columns for keys, values and targets (`MAX_KEYPAIR_LENGTH`,
/// `VARBINARY(512)`).
pub(super) const COLUMN: usize = 512;

/// The earliest timestamp that is stored: the server starts every series at 1 and accepts only
/// later ones.
const EARLIEST: u64 = 2;

/// What the validity of a datapoint depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) program: &'a Program,
    /// The current time, in Unix milliseconds.
    pub(super) now: u64,
    /// The latest timestamp that is accepted, in Unix milliseconds.
    pub(super) latest: u64,
}

/// A valid datapoint: key and metadata in their final form, each key of the metadata once.
#[derive(Debug)]
pub(super) struct Datapoint {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) timestamp: u64,
    pub(super) metadata: Vec<Metadatum>,
}

impl Datapoint {
    /// Checks key, value, metadata and timestamp in this order. The first fault is the reason.
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

    /// An upper bound of the bytes that its pairs and its row take in a body. With `exact`, the
    /// length of its texts is computed, else their maximum is used.
    pub(super) fn encoded(&self, exact: bool) -> usize {
        /// Everything but texts: number, brackets, quotes, checksum, type, timestamp and row.
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
        return Some("a key needs a character that is not white space".to_owned());
    }
    if key.contains("pattoo") {
        return Some(format!("{} contains `pattoo`, which only pattoo's own keys may contain", shown(key)));
    }
    // The server stores `<program>_<key>` (`make_key` in its `ingest/get.py`).
    let room = COLUMN.saturating_sub(program.as_str().len()).saturating_sub(1);
    (key.len() > room).then(|| {
        let length = key.len();
        format!(
            "{} has {length} bytes, and at most {room} are allowed: the server stores it after `{program}_`",
            shown(key)
        )
    })
}

/// The server cuts a value to 512 characters and stores it in a column of 512 bytes.
fn metadata_value_fault(key: &str, value: &str) -> Option<String> {
    if value.len() <= COLUMN {
        return None;
    }
    let kept: usize = value.chars().take(COLUMN).map(char::len_utf8).sum();
    (kept > COLUMN).then(|| {
        format!(
            "the value of {} is too long: its first {COLUMN} characters have {kept} bytes, and at most {COLUMN} are allowed",
            shown(key)
        )
    })
}

fn timestamp_fault(timestamp: u64, rules: Rules<'_>) -> Option<String> {
    if timestamp < EARLIEST {
        return Some(format!("{timestamp} ms is too early for pattoo; omit the timestamp to use the current time"));
    }
    (timestamp > rules.latest).then(|| {
        let ahead = timestamp.saturating_sub(rules.now);
        let bound = Duration::from_millis(rules.latest.saturating_sub(rules.now));
        format!(
            "{timestamp} ms is {ahead} ms in the future, and at most {} are allowed (limit timestamp_ahead): \
             pattoo would ignore all earlier datapoints of the series",
            humantime::format_duration(bound)
        )
    })
}

/// Removes metadata with the key of an earlier one. Takes linear time, since a collector chooses
/// their number.
fn keep_first(metadata: &mut Vec<Metadatum>) {
    const FEW: usize = 8;
    if metadata.len() > FEW {
        let mut seen = HashSet::with_capacity(metadata.len());
        let first: Vec<bool> = metadata.iter().map(|m| seen.insert(m.key.as_str())).collect();
        let mut first = first.into_iter();
        metadata.retain(|_| first.next().or_broken("each metadatum was looked at", true));
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
