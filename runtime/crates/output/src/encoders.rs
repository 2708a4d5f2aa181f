//! The encoders of a collection: one for each encoding of its outputs.

use std::{any::Any, borrow::Cow, sync::Arc};

use pattoo_base::invariant::{Invariant as _, broken};
use pattoo_measurement::{Agent, Bounds, Candidate, Rejection, Sink, SinkFactory, TargetError};
use pattoo_spool::{InvalidName, NewPayload, OutputId, QueueId};

use crate::{
    NamedOutput, agent_key,
    output_type::{Encoded, Encoder, Encoding},
};

/// How the datapoints of a collector are encoded for its outputs.
#[derive(Debug, Clone)]
pub struct Encodings(Arc<[Group]>);

/// Outputs that share an encoding.
#[derive(Debug)]
struct Group {
    encoding: Arc<dyn Encoding>,
    outputs: Vec<Destination>,
}

/// Where payloads go, and how large they may be.
#[derive(Debug)]
struct Destination {
    id: OutputId,
    max_payload: usize,
}

impl Encodings {
    /// Those of these outputs.
    pub fn new<'o>(outputs: impl IntoIterator<Item = &'o NamedOutput>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for output in outputs {
            let settings = output.output.settings();
            let destination = Destination { id: output.id(), max_payload: settings.max_payload() };
            let encoding = settings.encoding();
            match groups.iter_mut().find(|group| group.encoding.name() == encoding.name()) {
                Some(group) => group.outputs.push(destination),
                None => groups.push(Group { encoding, outputs: vec![destination] }),
            }
        }
        Self(groups.into())
    }
}

impl SinkFactory for Encodings {
    fn sink(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Sink> {
        let of_groups = self.0.iter().map(|group| group.encoding.encoder(agent, bounds)).collect();
        Box::new(Encoders { encodings: self.clone(), agent: Arc::clone(agent), of_groups, datapoints: 0 })
    }
}

/// The datapoints of one collection, encoded for each of its outputs.
#[derive(Debug)]
pub struct Encoders {
    encodings: Encodings,
    agent: Arc<Agent>,
    /// One for each group.
    of_groups: Vec<Box<dyn Encoder>>,
    /// How many every output accepted.
    datapoints: usize,
}

impl Encoders {
    /// What a sink is, if it is one of these.
    pub fn of(sink: Box<dyn Sink>) -> Option<Self> {
        let sink: Box<dyn Any> = sink;
        sink.downcast().ok().map(|encoders| *encoders)
    }

    /// The payloads for all outputs, made at this time (Unix milliseconds), each no larger than its output allows as far as it
    /// can be divided.
    ///
    /// # Errors
    ///
    /// When the agent has an id that names no queue.
    pub fn into_payloads(self, created_ms: u64) -> Result<Vec<NewPayload>, InvalidName> {
        let agent = agent_key(&self.agent.id)?;
        let mut payloads = Vec::new();
        for (group, encoder) in self.encodings.0.iter().zip(self.of_groups) {
            let Some(encoded) = encoder.finish(created_ms) else { continue };
            let mut encoded = Some(encoded);
            for (index, output) in group.outputs.iter().enumerate() {
                // The last one need not leave a copy behind.
                let is_last = index.saturating_add(1) == group.outputs.len();
                let whole = if is_last { encoded.take() } else { encoded.clone() };
                let Some(whole) = whole else { continue };
                let queue = QueueId { output: output.id.clone(), agent: agent.clone() };
                let pieces = pieces(&*group.encoding, whole, output.max_payload);
                payloads.extend(pieces.into_iter().map(|piece| NewPayload {
                    queue: queue.clone(),
                    program: self.agent.program.to_string(),
                    epoch: 0,
                    content_type: Cow::Borrowed(group.encoding.content_type()),
                    encoding: Cow::Borrowed(""),
                    count: piece.count,
                    created: i64::try_from(created_ms).unwrap_or(i64::MAX),
                    bytes: piece.bytes,
                }));
            }
        }
        Ok(payloads)
    }
}

/// A payload as pieces of at most `max` bytes, as far as it can be divided.
pub(crate) fn pieces(encoding: &dyn Encoding, whole: Encoded, max: usize) -> Vec<Encoded> {
    let mut pieces = Vec::new();
    let mut left = vec![(whole, 0_u32)];
    while let Some((piece, depth)) = left.pop() {
        if piece.bytes.len() > max
            && let Some([first, second]) = encoding.split(&piece.bytes, depth)
        {
            let depth = depth.saturating_add(1);
            left.push((second, depth));
            left.push((first, depth));
        } else {
            pieces.push(piece);
        }
    }
    pieces
}

impl Sink for Encoders {
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, now_ms: u64) -> Result<Vec<Rejection>, TargetError> {
        let count = candidates.len();
        let Some((last, others)) = self.of_groups.split_last_mut() else {
            broken("a collector has an output");
            return Ok(Vec::new());
        };
        let mut rejections = Vec::new();
        for encoder in others {
            rejections.extend(encoder.emit(target, candidates.clone(), now_ms)?);
        }
        let of_last = last.emit(target, candidates, now_ms)?;
        if rejections.is_empty() {
            rejections = of_last;
        } else {
            // Of several reasons against one datapoint the first is reported.
            rejections.extend(of_last);
            rejections.sort_by_key(|rejection| rejection.index);
            rejections.dedup_by_key(|rejection| rejection.index);
        }
        let taken = count.checked_sub(rejections.len()).or_broken("no more are refused than were emitted", 0);
        self.datapoints = self.datapoints.saturating_add(taken);
        Ok(rejections)
    }

    fn datapoints(&self) -> usize {
        self.datapoints
    }

    fn targets(&self) -> usize {
        self.of_groups.iter().map(|encoder| encoder.targets()).max().unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        self.of_groups.iter().map(|encoder| encoder.bytes()).max().unwrap_or_default()
    }

    fn held(&self) -> usize {
        self.of_groups.iter().map(|encoder| encoder.held()).fold(0, usize::saturating_add)
    }
}
