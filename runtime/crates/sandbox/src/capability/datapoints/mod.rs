//! `pattoo:agent/datapoints`: the way of a measurement to its outputs.
//!
//! What is emitted is normalised as it arrives and outlives the guest: a collection that is stopped
//! keeps what it emitted.

use std::{collections::HashSet, sync::Arc, time::Duration};

use pattoo_base::{clock::unix_millis, text::one_line};
use pattoo_measurement::{Bounds, Candidate, Metadatum, Reason, Sink, Value, target_name};
use pattoo_settings::{
    GIB, HOUR, KIB, Quantity,
    convert::{duration, millis, narrow, widen},
    quantity,
};
use tracing::Level;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use super::{
    Account, Assignment, AssignmentBuilder, Capability, CapabilityDefinition, Charge, Context, GrantError, Host,
    HostView, Interface, LimitReached, Power,
    bindings::pattoo::agent::{datapoints, types},
};

/// What is reached with it.
static POWER: Power = Power { what: "pattoo", does: "emits datapoints, under its own program's name" };

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&POWER),
    limits: LIMITS,
    ..CapabilityDefinition::new(
        "datapoints",
        &[
            Interface::ours(
                "pattoo:agent/types",
                None,
                "defines the types of the other interfaces",
                include_str!("../../../../../../wit/types.wit"),
            ),
            Interface::ours(
                "pattoo:agent/datapoints",
                Some(&POWER),
                "emits datapoints for pattoo",
                include_str!("../../../../../../wit/datapoints.wit"),
            ),
        ],
    )
};

/// How much one collection may emit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatapointLimits {
    /// Datapoints emitted.
    pub count: usize,
    /// Targets for which datapoints are emitted.
    pub targets: usize,
    /// Bytes of normalised datapoints.
    pub bytes: usize,
    /// How far ahead of the host's clock a timestamp may lie.
    pub timestamp_ahead: Duration,
}

impl Default for DatapointLimits {
    fn default() -> Self {
        Self { count: 10_000, targets: 1_000, bytes: 16 << 20, timestamp_ahead: Duration::from_mins(5) }
    }
}

static LIMITS: &[Quantity<super::CollectionLimits>] = &[
    quantity!("datapoints", "datapoints", Count, 0, 1_000_000, datapoints.count, widen, narrow),
    quantity!("targets", "targets of datapoints", Count, 0, 1_000_000, datapoints.targets, widen, narrow),
    quantity!("datapoint_bytes", "bytes of normalised datapoints", Size, KIB, GIB, datapoints.bytes, widen, narrow),
    quantity!(
        "timestamp_ahead",
        "how far a timestamp may lie ahead of the host's clock",
        Time,
        0,
        24 * HOUR,
        datapoints.timestamp_ahead,
        millis,
        duration
    ),
];

/// How many times a collection's trouble with datapoints is logged; the rest is only counted.
const MAX_LOGGED: u32 = 10;
/// How much of the target's name is shown in such a line, in bytes.
const MAX_LOGGED_TARGET: usize = 128;

/// How much work of [`Candidate::weight`] is done before others have their turn: some two
/// milliseconds.
const WORK_PER_TURN: usize = 4_096;

/// What one collection has emitted so far.
#[derive(Debug)]
pub struct Emission {
    /// The datapoints that stand.
    pub sink: Box<dyn Sink>,
    /// How many were rejected.
    pub rejected: usize,
    /// How many log lines said why.
    logged: u32,
    /// The targets for which it was called, by their names as they count: as they are given they
    /// could be of any length.
    targets: HashSet<String>,
    /// Whether a datapoint was refused for want of room.
    lacked_room: bool,
    /// What the sink holds.
    charge: Charge,
}

impl Capability for Emission {
    type Grant = ();
    type Limits = DatapointLimits;
    type Resource = ();
    type Shared = ();
    type Requested = ();

    fn resource(_: &AssignmentBuilder, (): &()) -> Result<(), GrantError> {
        Ok(())
    }

    fn begin(context: &Context) -> Self {
        Self::new(&context.assignment, &context.account)
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        types::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        datapoints::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl Emission {
    fn new(assignment: &Assignment, account: &Account) -> Self {
        let Assignment { agent, sinks, .. } = assignment;
        let limits = &assignment.limits.datapoints;
        let bounds = Bounds { bytes: limits.bytes, future: limits.timestamp_ahead };
        Self {
            sink: sinks.sink(agent, bounds),
            rejected: 0,
            logged: 0,
            targets: HashSet::new(),
            lacked_room: false,
            charge: account.nothing(),
        }
    }

    /// What it holds in memory, in bytes.
    fn held(&self) -> usize {
        /// The longest name, and its place in the set.
        const PER_TARGET: usize = 512 + 64;
        self.sink.held().saturating_add(self.targets.len().saturating_mul(PER_TARGET))
    }

    /// Counts datapoints that were rejected, and says whether there is a line left to say why.
    fn reject(&mut self, datapoints: usize) -> bool {
        self.rejected = self.rejected.saturating_add(datapoints);
        self.logged = self.logged.saturating_add(1);
        self.logged <= MAX_LOGGED
    }

    /// Whether `more` datapoints of `target` may still be emitted.
    fn admit(&self, target: &str, more: usize, limits: &DatapointLimits) -> Result<(), LimitReached> {
        let is_known = || target_name(target).ok().is_none_or(|name| self.targets.contains(name));
        if self.targets.len() >= limits.targets && !is_known() {
            let (what, value) = ("targets of one collection", limits.targets.to_string());
            return Err(LimitReached { what, value, setting: "targets" });
        }
        if self.sink.datapoints().saturating_add(more) > limits.count {
            return Err(LimitReached {
                what: "datapoints of one collection",
                value: limits.count.to_string(),
                setting: "datapoints",
            });
        }
        // One datapoint that is too large says nothing about the next; several that fill all but an
        // eighth do.
        let is_full = self.sink.bytes() >= limits.bytes.saturating_sub(limits.bytes / 8);
        if self.lacked_room && is_full { Err(full(limits)) } else { Ok(()) }
    }
}

/// The limit on the bytes of all datapoints.
fn full(limits: &DatapointLimits) -> LimitReached {
    LimitReached::of_bytes("the datapoints of one collection", limits.bytes, "datapoint_bytes")
}

/// The first of `points` whose work is one turn's, at least one of them.
fn turn(points: &mut Vec<datapoints::Datapoint>) -> Vec<Candidate> {
    let mut work = 0_usize;
    let mut fits = |point: &Candidate| {
        let first = work == 0;
        work = work.saturating_add(point.weight());
        first || work <= WORK_PER_TURN
    };
    // They come last first, so that taking some moves no others.
    let mut taken = Vec::with_capacity(points.len().min(WORK_PER_TURN));
    while let Some(point) = points.pop() {
        let point = Candidate::from(point);
        let fits = fits(&point);
        taken.push(point);
        if !fits {
            break;
        }
    }
    taken
}

impl datapoints::Host for Host {
    async fn emit(
        &mut self,
        target: String,
        mut points: Vec<datapoints::Datapoint>,
    ) -> wasmtime::Result<Result<Vec<datapoints::Rejection>, datapoints::Error>> {
        let assignment = Arc::clone(&self.context.assignment);
        let limits = &assignment.limits.datapoints;
        let count = points.len();
        if let Err(limit) = self.capabilities.datapoints.admit(&target, count, limits) {
            if self.capabilities.datapoints.reject(count) {
                self.context.log.runtime(Level::WARN, &format!("{count} datapoints rejected: {limit}"));
            }
            return Ok(Err(datapoints::Error::Quota(limit.to_string())));
        }
        let now = unix_millis();
        points.reverse();
        let mut rejected = Vec::new();
        let mut done = 0_u32;
        loop {
            let candidates = turn(&mut points);
            let taken = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
            let rejections = match self.capabilities.datapoints.sink.emit(&target, candidates, now) {
                Ok(rejections) => rejections,
                Err(error) => {
                    if self.capabilities.datapoints.reject(count) {
                        self.context.log.runtime(Level::WARN, &format!("{count} datapoints rejected: {error}"));
                    }
                    return Ok(Err(datapoints::Error::Target(error.to_string())));
                }
            };
            if let Some(name) =
                target_name(&target).ok().filter(|name| !self.capabilities.datapoints.targets.contains(*name))
            {
                self.capabilities.datapoints.targets.insert(name.to_owned());
            }
            self.capabilities.datapoints.charge.resize(self.capabilities.datapoints.held())?;
            for mut rejection in rejections {
                rejection.index = rejection.index.saturating_add(done);
                let is_logged = self.capabilities.datapoints.reject(1);
                let limit = (rejection.reason == Reason::Room).then(|| full(limits));
                self.capabilities.datapoints.lacked_room |= limit.is_some();
                if is_logged {
                    let target = one_line(&target, MAX_LOGGED_TARGET);
                    let why = limit.as_ref().map_or_else(String::new, |limit| format!(": {limit}"));
                    let text = format!("1 of {count} datapoints of `{target}` rejected: {rejection}{why}");
                    self.context.log.runtime(Level::WARN, &text);
                }
                rejected.push(to_guest(rejection, limit.as_ref()));
            }
            done = done.saturating_add(taken);
            if points.is_empty() {
                return Ok(Ok(rejected));
            }
            tokio::task::yield_now().await;
        }
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

impl types::Host for Host {}

impl From<types::Value> for Value {
    fn from(value: types::Value) -> Self {
        use types::Value as Wit;
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

/// A rejection as the guest gets it, with the limit that was in the way.
fn to_guest(rejection: pattoo_measurement::Rejection, limit: Option<&LimitReached>) -> datapoints::Rejection {
    let reason = match rejection.reason {
        Reason::Key(why) => datapoints::Reason::Key(why),
        Reason::Value(why) => datapoints::Reason::Value(why),
        Reason::Metadata(why) => datapoints::Reason::Metadata(why),
        Reason::Timestamp(why) => datapoints::Reason::Timestamp(why),
        Reason::Duplicate => datapoints::Reason::Duplicate,
        Reason::Room => datapoints::Reason::Other(limit.map_or_else(String::new, ToString::to_string)),
    };
    datapoints::Rejection { index: rejection.index, reason }
}
