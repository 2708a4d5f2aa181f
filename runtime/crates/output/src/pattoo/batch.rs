//! The datapoints of one collection, encoded as they are emitted.
//!
//! [`Batch::emit`] normalises each datapoint, computes its checksum and writes it as JSON.
//! [`Batch::into_body`] joins the parts when the collection ends. The cost of a datapoint depends
//! neither on the number of datapoints nor on earlier collections.

use std::{any::Any, collections::HashMap, mem, sync::Arc, time::Duration};

use pattoo_measurement::{Agent, Bounds, Candidate, Reason, Rejection, Sink, SinkFactory, TargetError, target_name};

use super::{
    CONTENT_TYPE,
    body::Body,
    checksum::{AT_ONCE, Chains, Checksum},
    datapoint::{Datapoint, Rules},
    key_value_pairs::{Head, Pairs},
    split::split,
    value::{DataType, Scalar},
};
use crate::{
    json::{make_room, most_json_length, push_json},
    output_type::{Encoded, Encoder, Encoding},
};

const POLLING_INTERVAL: &str = "pattoo_agent_polling_interval";
const HOSTNAME: &str = "pattoo_agent_hostname";
const AGENT_ID: &str = "pattoo_agent_id";
const TARGET: &str = "pattoo_agent_polled_target";
const PROGRAM: &str = "pattoo_agent_program";

/// A timestamp with as many digits as the real one, which is not known yet. It holds until 2286.
const PLACEHOLDER_TIMESTAMP: u64 = 1_000_000_000_000;

/// The approximate size of one piece of rows, in bytes.
const PIECE: usize = 64 << 10;

/// The size of the longest row, in bytes: a number and a comma for each of its pairs.
const LONGEST_ROW: usize = 4 << 10;

/// The usual size of a row, in bytes.
const ROW: usize = 128;

/// The datapoints of one collection, grouped by target, in the order of each target's first
/// datapoint.
#[derive(Debug)]
pub struct Batch {
    agent: Arc<Agent>,
    /// In milliseconds.
    future_bound: u64,
    pairs: Pairs,
    targets: HashMap<String, Target>,
    datapoints: usize,
    row_bytes: usize,
    /// The upper limit of [`Batch::bytes`].
    max_bytes: usize,
    /// The memory of the targets and their names, in bytes.
    target_bytes: usize,
    /// The number of the pair that was listed last. Most datapoints share it with the previous one.
    last_data_type: Option<(DataType, usize)>,
    last_timestamp: Option<(u64, usize)>,
}

/// The datapoints of one target.
#[derive(Debug)]
struct Target {
    /// Its position among the targets.
    order: usize,
    chains: Chains,
    /// `2,3,4,5,6,`: the numbers of the agent's and the target's pairs, which are in each of its
    /// rows.
    common: Vec<u8>,
    /// `[...],[...]`: the end of its part of `datapoint_pairs`.
    rows: Vec<u8>,
    /// The rows before, in pieces that do not move when rows are added.
    filled: Vec<Vec<u8>>,
}

/// A datapoint of the current group that is normalised and not written yet.
#[derive(Debug)]
struct Prepared {
    index: u32,
    point: Datapoint,
    /// The first links of the chain, then all of them.
    checksum: Checksum,
}

impl Batch {
    /// An empty batch. `future_bound` says how far in the future a timestamp may be, usually
    /// [`DEFAULT_FUTURE_BOUND`](pattoo_measurement::DEFAULT_FUTURE_BOUND).
    pub fn new(agent: Arc<Agent>, future_bound: Duration) -> Self {
        Self {
            pairs: Pairs::new(head(&agent, PLACEHOLDER_TIMESTAMP)),
            agent,
            future_bound: u64::try_from(future_bound.as_millis()).unwrap_or(u64::MAX),
            targets: HashMap::new(),
            datapoints: 0,
            row_bytes: 0,
            max_bytes: usize::MAX,
            target_bytes: 0,
            last_data_type: None,
            last_timestamp: None,
        }
    }

    /// Limits the body without its frame to this many bytes. A datapoint that does not fit is
    /// rejected.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Adds the valid datapoints of one target, and returns the others with the reason.
    ///
    /// White space around `target` is removed as pattoo removes it, so that ` a` and `a` are the
    /// same target. Of several datapoints with the same checksum in the whole batch, the first is
    /// added. `now_ms`, in Unix milliseconds, is the timestamp of the datapoints that have none.
    ///
    /// # Errors
    ///
    /// When the target is empty or does not fit the server's column. No datapoint is added then.
    pub fn emit(
        &mut self,
        target: &str,
        candidates: Vec<Candidate>,
        now_ms: u64,
    ) -> Result<Vec<Rejection>, TargetError> {
        let name = target_name(target)?;
        let agent = Arc::clone(&self.agent);
        let latest = now_ms.saturating_add(self.future_bound);
        let rules = Rules { program: &agent.program, now: now_ms, latest };
        let mut rejections = Vec::new();
        let (key, mut target) = match self.targets.remove_entry(name) {
            Some((key, target)) => {
                self.target_bytes = self.target_bytes.saturating_sub(target.bytes(&key));
                (key, target)
            }
            None => (name.to_owned(), Target::new(self.targets.len(), &agent, name)),
        };
        self.pairs.expect(candidates.len());
        let mut group = Vec::with_capacity(AT_ONCE);
        let mut candidates = candidates.into_iter().enumerate();
        while candidates.len() > 0 {
            // The size of the datapoints of this group, which are not written yet.
            let mut pending = 0_usize;
            for (index, candidate) in candidates.by_ref().take(AT_ONCE) {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let point = Datapoint::normalise(candidate, rules);
                let room = point.as_ref().ok().and_then(|point| self.room_for(point, &target, name, pending));
                match (point, room) {
                    (Ok(point), Some(bytes)) => {
                        pending = pending.saturating_add(bytes);
                        let checksum = target.chains.begin(&point);
                        group.push(Prepared { index, point, checksum });
                    }
                    (Ok(_), None) => rejections.push(Rejection { index, reason: Reason::Room }),
                    (Err(reason), _) => rejections.push(Rejection { index, reason }),
                }
            }
            target.chains.end(group.iter_mut().map(|prepared: &mut Prepared| &mut prepared.checksum));
            for prepared in group.drain(..) {
                let index = prepared.index;
                if let Err(reason) = self.write(&agent, name, &mut target, prepared) {
                    rejections.push(Rejection { index, reason });
                }
            }
        }
        rejections.sort_unstable_by_key(|rejection| rejection.index);
        // A target without datapoints is not kept.
        if !target.common.is_empty() {
            self.target_bytes = self.target_bytes.saturating_add(target.bytes(&key));
            self.targets.insert(key, target);
        }
        Ok(rejections)
    }

    /// An upper bound of the bytes that a datapoint adds to the body. `None` if it does not fit
    /// beside the datapoints that were added and the `pending` bytes of the current group.
    fn room_for(&self, point: &Datapoint, target: &Target, name: &str, pending: usize) -> Option<usize> {
        /// The size of the pairs that are listed once for each target, without their texts.
        const TARGET: usize = 300;
        if self.max_bytes == usize::MAX {
            return Some(0);
        }
        let common = if target.common.is_empty() {
            let Agent { program, id, hostname, .. } = &*self.agent;
            [program.as_str(), id.as_str(), hostname.as_str()]
                .map(str::len)
                .into_iter()
                .fold(most_json_length(name).saturating_add(TARGET), usize::saturating_add)
        } else {
            0
        };
        let taken = self.bytes().saturating_add(pending);
        // The exact length of texts is computed only where the upper bound does not fit.
        [false, true]
            .into_iter()
            .map(|exact| point.encoded(exact).saturating_add(common))
            .find(|more| taken.saturating_add(*more) <= self.max_bytes)
    }

    /// The sink as a batch, if it is one.
    pub fn of(sink: Box<dyn Sink>) -> Option<Self> {
        let sink: Box<dyn Any> = sink;
        sink.downcast().ok().map(|batch| *batch)
    }

    #[cfg(test)]
    pub(super) fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// How many datapoints were added.
    pub fn datapoints(&self) -> usize {
        self.datapoints
    }

    /// How many targets have at least one datapoint.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The size of the body in bytes, without its frame of about 200 bytes.
    pub fn bytes(&self) -> usize {
        self.pairs.bytes().saturating_add(self.row_bytes)
    }

    /// The memory that the batch uses, in bytes: the text of the body and the table of pairs.
    pub fn held(&self) -> usize {
        let slots = self.targets.capacity().saturating_mul(size_of::<(String, Target)>());
        [self.pairs.held(), self.target_bytes, slots].into_iter().fold(0, usize::saturating_add)
    }

    /// Whether there is no datapoint.
    pub fn is_empty(&self) -> bool {
        self.datapoints == 0
    }

    /// The body, or `None` without any datapoint: nothing is sent then.
    pub fn into_body(self, built_at_ms: u64) -> Option<Body> {
        if self.is_empty() {
            return None;
        }
        let mut rows = Vec::new();
        for mut target in self.targets.into_values() {
            target.filled.push(target.rows);
            rows.push((target.order, target.filled));
        }
        rows.sort_unstable_by_key(|(order, _)| *order);
        let middle = b"},\"datapoint_pairs\":[";
        let tail = b"]}}";

        let mut json = self.pairs.into_text();
        let rest = [middle.len(), self.row_bytes, rows.len(), tail.len()];
        json.reserve_exact(rest.into_iter().fold(0, usize::saturating_add));
        // In place, so that there is never a second copy of a large body. Both heads usually have
        // the same length.
        let (placeholder, head) = (head(&self.agent, PLACEHOLDER_TIMESTAMP), head(&self.agent, built_at_ms));
        match json.get_mut(..placeholder.len()) {
            Some(first) if placeholder.len() == head.len() => first.copy_from_slice(&head),
            _ => drop(json.splice(..placeholder.len(), head)),
        }
        json.extend_from_slice(middle);
        for (index, (_, pieces)) in rows.into_iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            // The memory of each piece is freed before the next piece is copied.
            for piece in pieces {
                json.extend_from_slice(&piece);
            }
        }
        json.extend_from_slice(tail);
        json.shrink_to_fit();
        Some(Body { agent_id: self.agent.id.clone(), timestamp: built_at_ms, datapoints: self.datapoints, json })
    }

    /// Writes a datapoint, unless the batch has one with its checksum.
    fn write(&mut self, agent: &Agent, name: &str, target: &mut Target, prepared: Prepared) -> Result<(), Reason> {
        let Prepared { point, checksum, .. } = prepared;
        // The target is part of the checksum, so a checksum is unique in the whole body.
        let (digits, hash) = (checksum.hex(), self.pairs.hash_of_checksum(checksum));
        if self.pairs.lists(Head::CHECKSUM, &digits, hash) {
            return Err(Reason::Duplicate);
        }

        let Target { rows, filled, common, .. } = target;
        if rows.len() > PIECE {
            filled.push(mem::replace(rows, Vec::with_capacity(PIECE.saturating_add(ROW))));
        }
        make_room(rows, ROW);
        let before = rows.len();
        // The order of the calls below is the order in which pairs are numbered.
        rows.extend_from_slice(if common.is_empty() { b"[" } else { b",[" });
        for metadatum in &point.metadata {
            let id = self.pairs.id(&metadatum.key, Scalar::Text(&metadatum.value));
            push_id(rows, id);
        }
        if common.is_empty() {
            self.list_common(agent, name, common);
        }
        rows.extend_from_slice(common);
        push_id(rows, self.pairs.id_of_own(Head::KEY, Scalar::Text(&point.key)));
        push_id(rows, self.data_type_id(DataType::of(&point.value)));
        push_id(rows, self.pairs.id_of_own(Head::VALUE, Scalar::from(&point.value)));
        push_id(rows, self.timestamp_id(point.timestamp));
        let id = self.pairs.add_new(Head::CHECKSUM, Scalar::Digits(&digits), hash);
        rows.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        rows.push(b']');
        self.row_bytes = self.row_bytes.saturating_add(rows.len().saturating_sub(before));
        self.datapoints = self.datapoints.saturating_add(1);
        Ok(())
    }

    /// Lists the pairs of the agent and the target, and writes their numbers to `row`.
    fn list_common(&mut self, agent: &Agent, name: &str, row: &mut Vec<u8>) {
        let interval = agent.polling_interval.millis().to_string();
        for (key, value) in [
            (POLLING_INTERVAL, interval.as_str()),
            (HOSTNAME, agent.hostname.as_str()),
            (AGENT_ID, agent.id.as_str()),
            (TARGET, name),
            (PROGRAM, agent.program.as_str()),
        ] {
            push_id(row, self.pairs.id(key, Scalar::Text(value)));
        }
    }

    fn data_type_id(&mut self, data_type: DataType) -> usize {
        match self.last_data_type {
            Some((last, id)) if last == data_type => id,
            _ => {
                let id = self.pairs.id_of_own(Head::DATA_TYPE, Scalar::Unsigned(u64::from(data_type.number())));
                self.last_data_type = Some((data_type, id));
                id
            }
        }
    }

    fn timestamp_id(&mut self, timestamp: u64) -> usize {
        match self.last_timestamp {
            Some((last, id)) if last == timestamp => id,
            _ => {
                let id = self.pairs.id_of_own(Head::TIMESTAMP, Scalar::Unsigned(timestamp));
                self.last_timestamp = Some((timestamp, id));
                id
            }
        }
    }
}

/// The JSON of pattoo's agents as an encoding: a [`Batch`] for each collection.
#[derive(Debug, Clone, Copy, Default)]
pub struct PattooJson;

impl Encoding for PattooJson {
    fn name(&self) -> &'static str {
        "pattoo"
    }

    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    fn encoder(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Encoder> {
        Box::new(Batch::new(Arc::clone(agent), bounds.future).within(bounds.bytes))
    }

    fn split(&self, bytes: &[u8], depth: u32) -> Option<[Encoded; 2]> {
        split(bytes, depth)
    }
}

impl Encoder for Batch {
    fn finish(self: Box<Self>, created_ms: u64) -> Option<Encoded> {
        self.into_body(created_ms).map(Encoded::from)
    }
}

impl SinkFactory for PattooJson {
    fn sink(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Sink> {
        self.encoder(agent, bounds)
    }
}

impl Sink for Batch {
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, now_ms: u64) -> Result<Vec<Rejection>, TargetError> {
        Self::emit(self, target, candidates, now_ms)
    }

    fn datapoints(&self) -> usize {
        Self::datapoints(self)
    }

    fn targets(&self) -> usize {
        Self::targets(self)
    }

    fn bytes(&self) -> usize {
        Self::bytes(self)
    }

    fn held(&self) -> usize {
        Self::held(self)
    }
}

impl Target {
    fn new(order: usize, agent: &Agent, name: &str) -> Self {
        // Pattoo looks for duplicates before it adds these links. They are the same for all
        // datapoints of a target, and each follows on digits of a fixed length, so checksums that
        // differ before differ after.
        let chains = Chains::new([
            (HOSTNAME, agent.hostname.as_str()),
            (AGENT_ID, agent.id.as_str()),
            (TARGET, name),
            (PROGRAM, agent.program.as_str()),
        ]);
        Self { order, chains, common: Vec::new(), rows: Vec::new(), filled: Vec::new() }
    }

    /// The memory that it refers to, with its name, in bytes.
    fn bytes(&self, name: &str) -> usize {
        let pieces = self.filled.len().saturating_mul(PIECE.saturating_add(LONGEST_ROW));
        let own = [self.common.capacity(), self.rows.capacity(), pieces, name.len()];
        own.into_iter().fold(0, usize::saturating_add)
    }
}

/// The start of a body, up to its pairs.
fn head(agent: &Agent, built_at_ms: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"{\"pattoo_agent_timestamp\":");
    Scalar::Unsigned(built_at_ms).push_json(&mut head);
    head.extend_from_slice(b",\"pattoo_agent_id\":");
    push_json(&mut head, agent.id.as_str());
    head.extend_from_slice(b",\"pattoo_agent_polling_interval\":");
    Scalar::Unsigned(agent.polling_interval.millis()).push_json(&mut head);
    head.extend_from_slice(b",\"pattoo_datapoints\":{\"key_value_pairs\":{");
    head
}

fn push_id(row: &mut Vec<u8>, id: usize) {
    row.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    row.push(b',');
}
