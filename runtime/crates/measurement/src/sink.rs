//! What receives the datapoints of a collection while it runs.

use std::{any::Any, collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use crate::{
    agent::Agent,
    datapoint::{Candidate, Reason, Rejection},
    target::{TargetError, target_name},
    value::Value,
};

/// How far in the future a timestamp may be by default. It is enough for clocks that differ, and
/// too short to make a server ignore a series for long.
pub const DEFAULT_FUTURE_BOUND: Duration = Duration::from_mins(5);

/// What one collection may emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all its datapoints, as each output encodes them.
    pub bytes: usize,
    /// How far in the future a timestamp may be.
    pub future: Duration,
}

impl Default for Bounds {
    /// No limit in bytes, and [`DEFAULT_FUTURE_BOUND`].
    fn default() -> Self {
        Self { bytes: usize::MAX, future: DEFAULT_FUTURE_BOUND }
    }
}

/// Receives the datapoints of one collection as they are emitted. It outlives the instance of the
/// collector, so that the datapoints of a collection that is stopped are kept. The caller that
/// created it gets it back and can convert it to its own type (see [`Any`]).
pub trait Sink: Any + Debug + Send {
    /// Adds datapoints of one target, and returns those that are rejected with the reason, in their
    /// order.
    ///
    /// `now_ms`, in Unix milliseconds, is the timestamp of datapoints that have none.
    ///
    /// # Errors
    ///
    /// When no datapoint can have this target. No datapoint is added then.
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, now_ms: u64) -> Result<Vec<Rejection>, TargetError>;

    /// How many datapoints were added.
    fn datapoints(&self) -> usize;

    /// How many targets have at least one datapoint.
    fn targets(&self) -> usize;

    /// The size of the datapoints in bytes, which [`Bounds::bytes`] limits.
    fn bytes(&self) -> usize;

    /// The memory that it uses, in bytes.
    fn held(&self) -> usize;
}

/// Makes a [`Sink`] for each collection of a collector.
pub trait SinkFactory: Debug + Send + Sync {
    /// An empty sink for a collection of `agent` that begins now.
    fn sink(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Sink>;
}

/// Keeps datapoints as they were emitted, for tests and for inspection. It is its own factory.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Each with its target, in the order in which they were emitted.
    pub datapoints: Vec<(String, Candidate)>,
    targets: HashSet<String>,
    bytes: usize,
    bound: usize,
}

impl Collected {
    /// The sink as this type, if it is one.
    pub fn of(sink: Box<dyn Sink>) -> Option<Self> {
        let sink: Box<dyn Any> = sink;
        sink.downcast().ok().map(|collected| *collected)
    }
}

impl SinkFactory for Collected {
    fn sink(&self, _: &Arc<Agent>, bounds: Bounds) -> Box<dyn Sink> {
        Box::new(Self { bound: bounds.bytes, ..Self::default() })
    }
}

impl Sink for Collected {
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, _: u64) -> Result<Vec<Rejection>, TargetError> {
        let name = target_name(target)?;
        let mut rejections = Vec::new();
        for (index, candidate) in (0..).zip(candidates) {
            let bytes = self.bytes.saturating_add(bytes_of(&candidate)).saturating_add(name.len());
            let reason = candidate.oversize().or_else(|| (bytes > self.bound).then_some(Reason::Room));
            if let Some(reason) = reason {
                rejections.push(Rejection { index, reason });
                continue;
            }
            self.bytes = bytes;
            self.datapoints.push((name.to_owned(), candidate));
            if !self.targets.contains(name) {
                self.targets.insert(name.to_owned());
            }
        }
        Ok(rejections)
    }

    fn datapoints(&self) -> usize {
        self.datapoints.len()
    }

    fn targets(&self) -> usize {
        self.targets.len()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn held(&self) -> usize {
        self.bytes
    }
}

/// The memory of a datapoint, in bytes.
fn bytes_of(candidate: &Candidate) -> usize {
    let text = if let Value::Text(text) = &candidate.value { text.len() } else { 0 };
    let metadata = candidate.metadata.iter().map(|metadatum| {
        size_of_val(metadatum).saturating_add(metadatum.key.len()).saturating_add(metadatum.value.len())
    });
    let own = size_of::<(String, Candidate)>().saturating_add(candidate.key.len()).saturating_add(text);
    metadata.fold(own, usize::saturating_add)
}
