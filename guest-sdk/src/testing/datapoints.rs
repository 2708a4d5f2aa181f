//! The rules of `datapoints`: what is taken and what is refused.

use std::collections::HashSet;

use super::Emitted;
use crate::datapoints::{Datapoint, EmitErrorKind, Metadatum, Reason, Rejection, Value};

/// The runtime's default for one collection.
const MAX_DATAPOINTS: usize = 10_000;
/// The width of the server's columns for keys, values of metadata, and targets.
const MAX_BYTES: usize = 512;
/// The limit of the server's numeric column.
const MAX_VALUE: f64 = 1e30;
/// The server starts every series at 1 and takes only what is newer, in milliseconds.
const EARLIEST: u64 = 2;
/// The runtime's default for clocks that go wrong, in milliseconds.
const MAX_AHEAD: u64 = 5 * 60 * 1000;

/// What was taken in one collection.
#[derive(Default)]
pub(super) struct Datapoints {
    emitted: Vec<Emitted>,
    seen: HashSet<Identity>,
}

/// What pattoo hashes to tell one series of a collection from another: target, then key with type, then each identifying key
/// with its value. It puts nothing between a key and what follows, so neither does this.
type Identity = (String, String, Vec<String>);

impl Datapoints {
    pub(super) fn into_emitted(self) -> Vec<Emitted> {
        self.emitted
    }

    pub(super) fn emit(
        &mut self,
        program: &str,
        now: u64,
        target: &str,
        datapoints: Vec<Datapoint>,
    ) -> Result<Vec<Rejection>, EmitErrorKind> {
        if !(1..=MAX_BYTES).contains(&target.len()) {
            let text = format!("the name of a target is 1 to {MAX_BYTES} bytes, not {}", target.len());
            return Err(EmitErrorKind::Target(text));
        }
        if target.trim().is_empty() || target.contains(char::is_control) {
            return Err(EmitErrorKind::Target("the name of a target is printable".to_owned()));
        }
        if self.emitted.len().saturating_add(datapoints.len()) > MAX_DATAPOINTS {
            return Err(EmitErrorKind::Quota(format!("a collection emits at most {MAX_DATAPOINTS} datapoints")));
        }
        let mut rejections = Vec::new();
        for (index, datapoint) in datapoints.into_iter().enumerate() {
            let key = datapoint.key.clone();
            match self.take(program, now, target, datapoint) {
                Ok(()) => {}
                Err(reason) => rejections.push(Rejection { index, key, reason }),
            }
        }
        Ok(rejections)
    }

    fn take(&mut self, program: &str, now: u64, target: &str, datapoint: Datapoint) -> Result<(), Reason> {
        let key = normal_key(program, &datapoint.key).map_err(Reason::Key)?;
        let value = normal_value(datapoint.value)?;
        let mut metadata: Vec<Metadatum> = Vec::new();
        for Metadatum { key, value, identifying } in datapoint.metadata {
            let key = normal_key(program, &key).map_err(Reason::Metadata)?;
            // Of two with the same key the first counts.
            if metadata.iter().all(|metadatum| metadatum.key != key) {
                metadata.push(Metadatum { key, value: strip(&value).to_owned(), identifying });
            }
        }
        if let Some(timestamp) = datapoint.timestamp {
            if timestamp.unix_millis() < EARLIEST {
                return Err(Reason::Timestamp("the timestamp lies before anything that pattoo stores".to_owned()));
            }
            if timestamp.unix_millis() > now.saturating_add(MAX_AHEAD) {
                return Err(Reason::Timestamp("the timestamp is more than 5 minutes ahead of now".to_owned()));
            }
        }
        let identifying = metadata.iter().filter(|metadatum| metadatum.identifying);
        let identity = (
            target.to_owned(),
            format!("{key}{}", data_type(&value)),
            identifying.map(|metadatum| format!("{}{}", metadatum.key, metadatum.value)).collect(),
        );
        if !self.seen.insert(identity) {
            return Err(Reason::Duplicate);
        }
        let datapoint = Datapoint { key, value, timestamp: datapoint.timestamp, metadata };
        self.emitted.push(Emitted { target: target.to_owned(), datapoint });
        Ok(())
    }
}

fn normal_key(program: &str, key: &str) -> Result<String, String> {
    let key = strip(&key.to_lowercase()).to_owned();
    if key.is_empty() {
        return Err("a key is not empty".to_owned());
    }
    // The server stores them as one word with a `_` between.
    if program.len().saturating_add(1).saturating_add(key.len()) > MAX_BYTES {
        return Err(format!(
            "program and key together are longer than the {MAX_BYTES} bytes that the server has for them"
        ));
    }
    if key.contains("pattoo") {
        return Err(format!("the key {key:?} contains `pattoo`, which belongs to pattoo itself"));
    }
    Ok(key)
}

fn normal_value(value: Value) -> Result<Value, Reason> {
    match value {
        Value::Scaled(number) | Value::Float(number) if !number.is_finite() || number.abs() >= MAX_VALUE => {
            Err(Reason::Value(format!("the value {number} is not a finite number below 1e30")))
        }
        Value::Text(text) => Ok(Value::Text(strip(&text).to_owned())),
        value => Ok(value),
    }
}

/// What Python's `str.strip` removes: white space, and four separators that Rust does not count as such.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// The number that pattoo has for a type.
fn data_type(value: &Value) -> u8 {
    match value {
        Value::Integer(_) | Value::Scaled(_) => 99,
        Value::Float(_) => 101,
        Value::Counter32(_) => 32,
        Value::Counter64(_) => 64,
        Value::Text(_) => 2,
    }
}
