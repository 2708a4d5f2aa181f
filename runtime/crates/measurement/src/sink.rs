//! Where the datapoints of a collection go while it runs.

use std::{any::Any, collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use crate::{
    agent::Agent,
    datapoint::{Candidate, Reason, Rejection},
    target::{TargetError, target_name},
    value::Value,
};

/// How far ahead of now a datapoint may be dated unless its operator says otherwise: enough for clocks that differ,
/// far less than what would silence a series for long.
pub const DEFAULT_FUTURE_BOUND: Duration = Duration::from_mins(5);

/// What one collection may emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all its datapoints, as each output encodes them.
    pub bytes: usize,
    /// How far ahead of now a datapoint may be dated.
    pub future: Duration,
}

impl Default for Bounds {
    /// As many bytes as there are, and [`DEFAULT_FUTURE_BOUND`].
    fn default() -> Self {
        Self { bytes: usize::MAX, future: DEFAULT_FUTURE_BOUND }
    }
}

/// Takes the datapoints of one collection as they are emitted. It outlives the collector's instance, so that a collection
/// that is stopped keeps what it emitted; who made it gets it back and knows its type (see [`Any`]).
pub trait Sink: Any + Debug + Send {
    /// Takes datapoints of one target, and returns those that are not taken with the reason, in their order.
    ///
    /// `now_ms`, in Unix milliseconds, dates the datapoints that bring no timestamp.
    ///
    /// # Errors
    ///
    /// When no datapoint can have this target; nothing is taken then.
    fn emit(&mut self, target: &str, candidates: Vec<Candidate>, now_ms: u64) -> Result<Vec<Rejection>, TargetError>;

    /// How many datapoints were taken.
    fn datapoints(&self) -> usize;

    /// How many targets have at least one.
    fn targets(&self) -> usize;

    /// How much of [`Bounds::bytes`] they take.
    fn bytes(&self) -> usize;

    /// How much memory it holds, in bytes.
    fn held(&self) -> usize;
}

/// Makes a [`Sink`] for each collection of a collector.
pub trait SinkFactory: Debug + Send + Sync {
    /// An empty one for a collection of `agent` that begins now.
    fn sink(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Sink>;
}

/// Keeps datapoints as they were emitted, for tests and for who wants to look at them. It is its own factory.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Each with its target, in the order in which they were emitted.
    pub datapoints: Vec<(String, Candidate)>,
    targets: HashSet<String>,
    bytes: usize,
    bound: usize,
}

impl Collected {
    /// What a sink is, if it is one of these.
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

/// How much memory a datapoint takes.
fn bytes_of(candidate: &Candidate) -> usize {
    let text = if let Value::Text(text) = &candidate.value { text.len() } else { 0 };
    let metadata = candidate.metadata.iter().map(|metadatum| {
        size_of_val(metadatum).saturating_add(metadatum.key.len()).saturating_add(metadatum.value.len())
    });
    let own = size_of::<(String, Candidate)>().saturating_add(candidate.key.len()).saturating_add(text);
    metadata.fold(own, usize::saturating_add)
}
