//! What one collection has emitted so far.
//!
//! Every datapoint is normalised, summed and written as it arrives; when the collection ends, the pieces are joined.
//! The cost of a datapoint depends neither on how many there are nor on earlier collections.

use std::{any::Any, collections::HashMap, mem, sync::Arc, time::Duration};

use pattoo_measurement::{Agent, Bounds, Candidate, Reason, Rejection, Sink, SinkFactory, TargetError, target_name};

use super::{
    CONTENT_TYPE,
    body::Body,
    checksum::{AT_ONCE, Chains, Checksum},
    datapoint::{Datapoint, Rules},
    pairs::{Announced, Head, Pairs},
    split::split,
    value::{DataType, Scalar},
};
use crate::{
    json::{make_room, most_json_length, push_json},
    room::{Encoded, Encoder, Encoding},
};

const POLLING_INTERVAL: &str = "pattoo_agent_polling_interval";
const HOSTNAME: &str = "pattoo_agent_hostname";
const AGENT_ID: &str = "pattoo_agent_id";
const TARGET: &str = "pattoo_agent_polled_target";
const PROGRAM: &str = "pattoo_agent_program";

/// A moment with as many digits as any until 2286, for a body that is not built yet.
const LIKELY: u64 = 1_000_000_000_000;

/// The approximate size of a piece of rows, in bytes.
const PIECE: usize = 64 << 10;

/// What the longest row takes: a number and a comma for each of its pairs.
const LONGEST_ROW: usize = 4 << 10;

/// The approximate size of a row, in bytes.
const ROW: usize = 128;

/// The datapoints of one collection, grouped by target in the order in which targets first had one taken.
#[derive(Debug)]
pub struct Batch {
    agent: Arc<Agent>,
    /// Milliseconds.
    future_bound: u64,
    pairs: Pairs,
    targets: HashMap<String, Target>,
    datapoints: usize,
    row_bytes: usize,
    /// The most that `bytes` may become.
    max_bytes: usize,
    /// What the targets hold in memory, their names included.
    target_bytes: usize,
    /// Numbers of the pairs listed last; most datapoints share them with the one before.
    last_data_type: Option<(DataType, usize)>,
    last_timestamp: Option<(u64, usize)>,
}

/// What belongs to one target.
#[derive(Debug)]
struct Target {
    /// Its place among the targets.
    order: usize,
    chains: Chains,
    /// `2,3,4,5,6,`: the numbers of the agent's and the target's pairs, which stand in each of its rows.
    common: Vec<u8>,
    /// `[...],[...]`: its share of `datapoint_pairs`, but for what is in `filled`.
    rows: Vec<u8>,
    /// What of it came before, in pieces that need not move as more come.
    filled: Vec<Vec<u8>>,
}

/// A datapoint that stands by itself, until its turn comes.
#[derive(Debug)]
struct Prepared {
    index: u32,
    point: Datapoint,
    key: Announced,
    value: Announced,
    /// The first links of the chain, then all of them.
    checksum: Checksum,
}

impl Batch {
    /// An empty one. `future_bound` is how far ahead of now a datapoint may be dated, as a rule
    /// [`DEFAULT_FUTURE_BOUND`](pattoo_measurement::DEFAULT_FUTURE_BOUND).
    pub fn new(agent: Arc<Agent>, future_bound: Duration) -> Self {
        Self {
            pairs: Pairs::new(head(&agent, LIKELY)),
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

    /// The same, which takes only datapoints with which the body, but for its frame, has at most this many bytes.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Takes the datapoints of one target that stand, and returns the others with the reason.
    ///
    /// `target` is stripped as pattoo strips it, so that ` a` and `a` are one. All calls for a target count together:
    /// of datapoints with the same checksum the first is taken. `now_ms`, in Unix milliseconds, dates the datapoints
    /// that bring no timestamp.
    ///
    /// # Errors
    /// When the target is empty or does not fit the server's column; nothing is taken then.
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
            // What those of this group take, which are not written yet.
            let mut pending = 0_usize;
            for (index, candidate) in candidates.by_ref().take(AT_ONCE) {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let point = Datapoint::normalise(candidate, rules);
                let room = point.as_ref().ok().and_then(|point| self.room_for(point, &target, name, pending));
                match (point, room) {
                    (Ok(point), Some(bytes)) => {
                        pending = pending.saturating_add(bytes);
                        group.push(self.prepare(&mut target.chains, index, point));
                    }
                    (Ok(_), None) => rejections.push(Rejection { index, reason: Reason::Room }),
                    (Err(reason), _) => rejections.push(Rejection { index, reason }),
                }
            }
            target.chains.end(group.iter_mut().map(|prepared: &mut Prepared| &mut prepared.checksum));
            for prepared in group.drain(..) {
                let index = prepared.index;
                if let Err(reason) = self.take(&agent, name, &mut target, prepared) {
                    rejections.push(Rejection { index, reason });
                }
            }
        }
        rejections.sort_unstable_by_key(|rejection| rejection.index);
        // A target exists from its first datapoint on: empty calls leave nothing behind.
        if !target.common.is_empty() {
            self.target_bytes = self.target_bytes.saturating_add(target.bytes(&key));
            self.targets.insert(key, target);
        }
        Ok(rejections)
    }

    /// At most how many bytes a datapoint adds to the body, if it fits beside what was taken and the `pending` bytes of those that are
    /// about to be.
    fn room_for(&self, point: &Datapoint, target: &Target, name: &str, pending: usize) -> Option<usize> {
        /// What is listed once for each target, but for the texts in it.
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
        // Texts are measured only where that decides.
        [false, true]
            .into_iter()
            .map(|exact| point.encoded(exact).saturating_add(common))
            .find(|more| taken.saturating_add(*more) <= self.max_bytes)
    }

    /// What a sink is, if it is one of these.
    pub fn of(sink: Box<dyn Sink>) -> Option<Self> {
        let sink: Box<dyn Any> = sink;
        sink.downcast().ok().map(|batch| *batch)
    }

    #[cfg(test)]
    pub(super) fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// Datapoints taken.
    pub fn datapoints(&self) -> usize {
        self.datapoints
    }

    /// Targets with at least one datapoint.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// What the body would take in bytes, but for its frame of some 200.
    pub fn bytes(&self) -> usize {
        self.pairs.bytes().saturating_add(self.row_bytes)
    }

    /// What it holds in memory, in bytes: the text of the body in pieces, and the table in which pairs are looked up.
    pub fn held(&self) -> usize {
        let slots = self.targets.capacity().saturating_mul(size_of::<(String, Target)>());
        [self.pairs.held(), self.target_bytes, slots].into_iter().fold(0, usize::saturating_add)
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.datapoints == 0
    }

    /// The body, or `None` when nothing was taken: an empty collection posts nothing.
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
        // In place, so that no second copy of a large body is ever held; as a rule both are of the same length.
        let (likely, head) = (head(&self.agent, LIKELY), head(&self.agent, built_at_ms));
        match json.get_mut(..likely.len()) {
            Some(first) if likely.len() == head.len() => first.copy_from_slice(&head),
            _ => drop(json.splice(..likely.len(), head)),
        }
        json.extend_from_slice(middle);
        for (index, (_, pieces)) in rows.into_iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            // Each is given back before the next is copied.
            for piece in pieces {
                json.extend_from_slice(&piece);
            }
        }
        json.extend_from_slice(tail);
        json.shrink_to_fit();
        Some(Body { agent_id: self.agent.id.clone(), timestamp: built_at_ms, datapoints: self.datapoints, json })
    }

    /// Begins with a normalised datapoint: what can be had of it before those in front of it are taken.
    fn prepare(&self, chains: &mut Chains, index: u32, point: Datapoint) -> Prepared {
        let key = self.pairs.announce(Head::KEY, Scalar::Text(&point.key));
        let value = self.pairs.announce(Head::VALUE, Scalar::from(&point.value));
        let checksum = chains.begin(&point);
        Prepared { index, point, key, value, checksum }
    }

    /// Writes a datapoint down, unless the collection has one of its series.
    fn take(&mut self, agent: &Agent, name: &str, target: &mut Target, prepared: Prepared) -> Result<(), Reason> {
        let Prepared { point, key, value, checksum, .. } = prepared;
        // Unique in the payload and not only in its target: the target is part of the checksum.
        let (digits, announced) = (checksum.hex(), self.pairs.announce_checksum(checksum));
        if self.pairs.lists(Head::CHECKSUM, &digits, announced) {
            return Err(Reason::Duplicate);
        }

        let Target { rows, filled, common, .. } = target;
        if rows.len() > PIECE {
            filled.push(mem::replace(rows, Vec::with_capacity(PIECE.saturating_add(ROW))));
        }
        make_room(rows, ROW);
        let before = rows.len();
        // The order of the pairs is also the order in which they are numbered.
        rows.extend_from_slice(if common.is_empty() { b"[" } else { b",[" });
        for metadatum in &point.metadata {
            let id = self.pairs.id(&metadatum.key, Scalar::Text(&metadatum.value));
            push_id(rows, id);
        }
        if common.is_empty() {
            self.list_common(agent, name, common);
        }
        rows.extend_from_slice(common);
        push_id(rows, self.pairs.id_of_announced(Head::KEY, Scalar::Text(&point.key), key));
        push_id(rows, self.data_type_id(DataType::of(&point.value)));
        push_id(rows, self.pairs.id_of_announced(Head::VALUE, Scalar::from(&point.value), value));
        push_id(rows, self.timestamp_id(point.timestamp));
        let id = self.pairs.add_new(Head::CHECKSUM, Scalar::Digits(&digits), announced);
        rows.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        rows.push(b']');
        self.row_bytes = self.row_bytes.saturating_add(rows.len().saturating_sub(before));
        self.datapoints = self.datapoints.saturating_add(1);
        Ok(())
    }

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
        Box::new(Batch::new(Arc::clone(agent), bounds.future).within(bounds.bytes))
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
        // Pattoo looks for duplicates before these are added. They are the same for all of a target, and each follows on digits of
        // a fixed length, so what differs before differs after.
        let chains = Chains::new([
            (HOSTNAME, agent.hostname.as_str()),
            (AGENT_ID, agent.id.as_str()),
            (TARGET, name),
            (PROGRAM, agent.program.as_str()),
        ]);
        Self { order, chains, common: Vec::new(), rows: Vec::new(), filled: Vec::new() }
    }

    /// What it holds in memory outside itself, its name included.
    fn bytes(&self, name: &str) -> usize {
        let pieces = self.filled.len().saturating_mul(PIECE.saturating_add(LONGEST_ROW));
        let own = [self.common.capacity(), self.rows.capacity(), pieces, name.len()];
        own.into_iter().fold(0, usize::saturating_add)
    }
}

/// What a body begins with, up to its pairs.
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
