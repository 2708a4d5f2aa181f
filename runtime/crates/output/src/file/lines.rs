//! Datapoints as JSON lines.

use std::{collections::HashSet, sync::Arc};

use pattoo_measurement::{Agent, Bounds, Candidate, Reason, Rejection, Sink, TargetError, Value, strip, target_name};

use crate::{
    json::{make_room, push_json},
    output_type::{Encoded, Encoder, Encoding},
};

/// The encoding as JSON lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl Encoding for JsonLines {
    fn name(&self) -> &'static str {
        "JSON lines"
    }

    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn encoder(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Encoder> {
        let mut head = Vec::with_capacity(160);
        head.extend_from_slice(b"{\"program\":");
        push_json(&mut head, agent.program.as_str());
        head.extend_from_slice(b",\"agent_id\":");
        push_json(&mut head, agent.id.as_str());
        head.extend_from_slice(b",\"host\":");
        push_json(&mut head, agent.hostname.as_str());
        head.extend_from_slice(b",\"target\":");
        Box::new(Lines { head, text: Vec::new(), count: 0, targets: HashSet::new(), bound: bounds.bytes })
    }

    fn split(&self, bytes: &[u8], _: u32) -> Option<[Encoded; 2]> {
        split(bytes)
    }
}

/// Lines in two.
pub(super) fn split(bytes: &[u8]) -> Option<[Encoded; 2]> {
    let ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place).collect();
    let count = ends.len();
    let first = count.div_ceil(2);
    let end = *ends.get(first.checked_sub(1)?)?;
    let (head, tail) = bytes.split_at_checked(end.saturating_add(1)).filter(|(_, tail)| !tail.is_empty())?;
    let of = |bytes: &[u8], count: usize| Encoded { count: count as u64, bytes: bytes.to_vec() };
    Some([of(head, first), of(tail, count.saturating_sub(first))])
}

/// The lines of one collection.
#[derive(Debug)]
struct Lines {
    /// What each line begins with, up to its target.
    head: Vec<u8>,
    text: Vec<u8>,
    count: usize,
    targets: HashSet<String>,
    /// The most that `text` may become.
    bound: usize,
}

impl Lines {
    fn push(&mut self, target: &str, candidate: &Candidate, now_ms: u64) -> Result<(), Reason> {
        if let Some(reason) = candidate.oversize() {
            return Err(reason);
        }
        if strip(&candidate.key).is_empty() {
            return Err(Reason::Key("a key needs a character that is not white space".to_owned()));
        }
        let start = self.text.len();
        make_room(&mut self.text, 512);
        self.text.extend_from_slice(&self.head);
        push_json(&mut self.text, target);
        self.text.extend_from_slice(b",\"key\":");
        push_json(&mut self.text, &candidate.key);
        self.text.extend_from_slice(b",\"value\":");
        let pushed = push_value(&mut self.text, &candidate.value);
        self.text.extend_from_slice(b",\"timestamp\":");
        let timestamp = candidate.timestamp.unwrap_or(now_ms);
        self.text.extend_from_slice(itoa::Buffer::new().format(timestamp).as_bytes());
        self.text.extend_from_slice(b",\"metadata\":{");
        let mut seen = HashSet::new();
        for metadatum in candidate.metadata.iter().filter(|metadatum| seen.insert(metadatum.key.as_str())) {
            if self.text.last() != Some(&b'{') {
                self.text.push(b',');
            }
            push_json(&mut self.text, &metadatum.key);
            self.text.push(b':');
            push_json(&mut self.text, &metadatum.value);
        }
        self.text.extend_from_slice(b"}}\n");
        let fits = if self.text.len() > self.bound { Err(Reason::Room) } else { Ok(()) };
        let result = pushed.and(fits);
        if result.is_err() {
            self.text.truncate(start);
        }
        result
    }
}

/// Appends a value and its type.
fn push_value(out: &mut Vec<u8>, value: &Value) -> Result<(), Reason> {
    let kind = match value {
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            "integer"
        }
        Value::Scaled(number) | Value::Float(number) if !number.is_finite() => {
            return Err(Reason::Value(format!("JSON cannot represent the number {number}")));
        }
        Value::Scaled(number) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes());
            "scaled"
        }
        Value::Float(number) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*number).as_bytes());
            "float"
        }
        Value::Counter32(count) => {
            out.extend_from_slice(itoa::Buffer::new().format(*count).as_bytes());
            "counter32"
        }
        Value::Counter64(count) => {
            out.extend_from_slice(itoa::Buffer::new().format(*count).as_bytes());
            "counter64"
        }
        Value::Text(text) => {
            push_json(out, text);
            "text"
        }
    };
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    Ok(())
}

impl Sink for Lines {
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, now_ms: u64) -> Result<Vec<Rejection>, TargetError> {
        let name = target_name(target)?;
        let mut rejections = Vec::new();
        let before = self.count;
        for (index, candidate) in (0..).zip(&candidates) {
            match self.push(name, candidate, now_ms) {
                Ok(()) => self.count = self.count.saturating_add(1),
                Err(reason) => rejections.push(Rejection { index, reason }),
            }
        }
        if self.count > before && !self.targets.contains(name) {
            self.targets.insert(name.to_owned());
        }
        Ok(rejections)
    }

    fn datapoints(&self) -> usize {
        self.count
    }

    fn targets(&self) -> usize {
        self.targets.len()
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn held(&self) -> usize {
        /// The longest name, and its place in the set.
        const PER_TARGET: usize = 512 + 64;
        self.text.capacity().saturating_add(self.targets.len().saturating_mul(PER_TARGET))
    }
}

impl Encoder for Lines {
    fn finish(mut self: Box<Self>, _: u64) -> Option<Encoded> {
        self.text.shrink_to_fit();
        (self.count > 0).then_some(Encoded { count: self.count as u64, bytes: self.text })
    }
}
