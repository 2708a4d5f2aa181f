//! `pattoo:agent/datapoints`: the way of a measurement to pattoo.
//!
//! What is emitted is normalised as it arrives and outlives the guest: a collection that is stopped keeps what it emitted.

use std::{collections::HashSet, sync::Arc};

use super::{Assignment, Host, LimitReached, Limits, bindings::pattoo::agent::datapoints, unix_millis};
use crate::{
    pattoo::{Batch, Candidate, Metadatum, Reason, Value},
    text::one_line,
};

/// How many times a collection's trouble with datapoints is logged; the rest is only counted.
const MAX_LOGGED: u32 = 10;
/// How much of the target's name is shown in such a line, in bytes.
const MAX_LOGGED_TARGET: usize = 128;

/// What one collection has emitted so far.
#[derive(Debug)]
pub struct Emission {
    /// The datapoints that stand.
    pub batch: Batch,
    /// How many were not taken.
    pub rejected: usize,
    /// How many log lines said why.
    logged: u32,
    /// The targets of those that stand.
    targets: HashSet<String>,
}

impl Emission {
    pub(super) fn new(assignment: &Assignment) -> Self {
        let Assignment { agent, memory, limits, .. } = assignment;
        Self {
            batch: Batch::remembering(Arc::clone(agent), limits.timestamp_ahead, memory.clone()),
            rejected: 0,
            logged: 0,
            targets: HashSet::new(),
        }
    }

    /// Counts datapoints that were not taken, and says whether there is a line left to say why.
    fn reject(&mut self, datapoints: usize) -> bool {
        self.rejected = self.rejected.saturating_add(datapoints);
        self.logged = self.logged.saturating_add(1);
        self.logged <= MAX_LOGGED
    }

    /// Whether `more` datapoints of `target` may still be emitted.
    fn admit(&self, target: &str, more: usize, limits: &Limits) -> Result<(), LimitReached> {
        if self.targets.len() >= limits.targets && !self.targets.contains(target) {
            let (what, value) = ("targets of one collection", limits.targets.to_string());
            return Err(LimitReached { what, value, setting: "targets" });
        }
        if self.batch.datapoints().saturating_add(more) > limits.datapoints {
            return Err(LimitReached {
                what: "datapoints of one collection",
                value: limits.datapoints.to_string(),
                setting: "datapoints",
            });
        }
        if self.batch.bytes() > limits.datapoint_bytes {
            let limit = limits.datapoint_bytes;
            return Err(LimitReached::of_bytes("the datapoints of one collection", limit, "datapoint_bytes"));
        }
        Ok(())
    }
}

impl datapoints::Host for Host {
    fn emit(
        &mut self,
        target: String,
        points: Vec<datapoints::Datapoint>,
    ) -> wasmtime::Result<Result<Vec<datapoints::Rejection>, datapoints::Error>> {
        let program = &self.assignment.agent.program;
        let count = points.len();
        if let Err(limit) = self.emission.admit(&target, count, &self.assignment.limits) {
            if self.emission.reject(count) {
                tracing::warn!("{program}: {count} datapoints not taken: {limit}");
            }
            return Ok(Err(datapoints::Error::Quota(limit.to_string())));
        }
        let candidates = points.into_iter().map(Candidate::from).collect();
        let rejections = match self.emission.batch.emit(&target, candidates, unix_millis()) {
            Ok(rejections) => rejections,
            Err(error) => {
                if self.emission.reject(count) {
                    tracing::warn!("{program}: {count} datapoints not taken: {error}");
                }
                return Ok(Err(datapoints::Error::Target(error.to_string())));
            }
        };
        if !self.emission.targets.contains(&target) {
            self.emission.targets.insert(target.clone());
        }
        for rejection in &rejections {
            if self.emission.reject(1) {
                let target = one_line(&target, MAX_LOGGED_TARGET);
                tracing::warn!("{program}: of {count} datapoints of `{target}` not taken: {rejection}");
            }
        }
        Ok(Ok(rejections.into_iter().map(Into::into).collect()))
    }
}

impl From<datapoints::Datapoint> for Candidate {
    fn from(point: datapoints::Datapoint) -> Self {
        Self {
            key: point.key,
            value: point.value.into(),
            timestamp: point.timestamp,
            metadata: point
                .metadata
                .into_iter()
                .map(|datum| Metadatum { key: datum.key, value: datum.value, identifying: datum.identifying })
                .collect(),
        }
    }
}

impl From<super::bindings::pattoo::agent::types::Value> for Value {
    fn from(value: super::bindings::pattoo::agent::types::Value) -> Self {
        use super::bindings::pattoo::agent::types::Value as Wit;
        match value {
            Wit::Integer(number) => Self::Integer(number),
            Wit::Scaled(number) => Self::Scaled(number),
            Wit::Float(number) => Self::Float(number),
            Wit::Counter32(count) => Self::Counter32(count),
            Wit::Counter64(count) => Self::Counter64(count),
            Wit::Text(text) => Self::Text(text),
        }
    }
}

impl From<crate::pattoo::Rejection> for datapoints::Rejection {
    fn from(rejection: crate::pattoo::Rejection) -> Self {
        let reason = match rejection.reason {
            Reason::Key(why) => datapoints::Reason::Key(why),
            Reason::Value(why) => datapoints::Reason::Value(why),
            Reason::Metadata(why) => datapoints::Reason::Metadata(why),
            Reason::Timestamp(why) => datapoints::Reason::Timestamp(why),
            Reason::Duplicate => datapoints::Reason::Duplicate,
        };
        Self { index: rejection.index, reason }
    }
}
