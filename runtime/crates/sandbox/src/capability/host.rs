//! One collection's side of every capability.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::{
    Account, Assignment, CapabilityStates, Charge, Denial, Denials, Emission, GuestLog, LimitReached, Reached,
    StateChanges, Usage, host_memory::Handles, log::ProgramLines,
};

/// What every capability in a collection knows. Clones are the same.
#[derive(Debug, Clone)]
pub struct Context {
    pub(in crate::capability) assignment: Arc<Assignment>,
    pub(in crate::capability) account: Account,
    pub(in crate::capability) denials: Denials,
    pub(in crate::capability) reached: Reached,
    pub(in crate::capability) log: GuestLog,
    /// When calls that wait for others return with what has arrived.
    pub(in crate::capability) deadline: Instant,
}

/// How long before the end of a collection its calls return, so that it can use what has arrived.
fn time_to_end(timeout: Duration) -> Duration {
    let usual = timeout.mul_f64(0.05).clamp(Duration::from_millis(20), Duration::from_millis(500));
    // Of a very short time, half is left for waiting.
    usual.min(timeout.mul_f64(0.5))
}

/// One collection's side of every capability.
pub struct Host {
    pub(in crate::capability) context: Context,
    pub(in crate::capability) capabilities: CapabilityStates,
    /// What the last call returned. It is held until the engine has copied it into the guest's
    /// memory, which takes as long as the guest takes to make room for it; no other call of the
    /// collection begins before that.
    pub(in crate::capability) handed_over: Charge,
    /// What the handles in `resources` hold.
    pub(in crate::capability) handles: Handles,
    pub(in crate::capability) resources: ResourceTable,
}

/// What a collection leaves behind.
pub struct Finished {
    /// What it emitted.
    pub emission: Emission,
    /// Which of its calls were refused, each once.
    pub denials: BTreeSet<Denial>,
    /// What it wants to be kept.
    pub state: Option<StateChanges>,
    /// What it used of the world outside.
    pub usage: Usage,
}

/// Stores whose data holds a [`Host`].
pub trait HostView: Send {
    /// The host of the collection.
    fn host(&mut self) -> &mut Host;
}

impl HostView for Host {
    fn host(&mut self) -> &mut Host {
        self
    }
}

impl Context {
    /// Whether calls that wait for others return at once.
    pub(in crate::capability) fn is_past_deadline(&self) -> bool {
        self.deadline <= Instant::now()
    }

    fn new(assignment: Arc<Assignment>) -> Self {
        let limits = &assignment.limits;
        let account = Account::new(limits);
        let lines = ProgramLines::of(&assignment);
        let reached = Reached::new(lines.clone());
        let log = GuestLog::new(lines, &limits.log, &reached);
        let now = Instant::now();
        let waiting = limits.timeout.saturating_sub(time_to_end(limits.timeout));
        let deadline = now.checked_add(waiting).unwrap_or(now);
        Self { account, denials: Denials::default(), reached, log, deadline, assignment }
    }
}

impl Host {
    /// The host of a collection that begins now.
    pub fn new(assignment: Arc<Assignment>) -> Self {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(assignment.limits.resources);
        let context = Context::new(assignment);
        let capabilities = CapabilityStates::begin(&context);
        Self { capabilities, handed_over: context.account.nothing(), handles: Handles::default(), resources, context }
    }

    /// Charges what a call is about to return, in place of what the last one returned.
    pub(in crate::capability) fn hand_over(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.handed_over.resize(0)?;
        self.handed_over.resize(bytes)
    }

    /// The collection's account of the host's memory.
    pub(crate) fn account(&self) -> &Account {
        &self.context.account
    }

    /// The log of the collection.
    pub(crate) fn guest_log(&self) -> GuestLog {
        self.context.log.clone()
    }

    /// The text with which the guest fails, on one line and not too long.
    pub(crate) fn last_words(&self, message: &str) -> String {
        let limit = self.context.assignment.limits.error_bytes;
        if message.len() > limit {
            let reached = LimitReached::of_bytes("the error text of a collector", limit, "error_bytes");
            self.context.reached.say(reached);
        }
        pattoo_base::text::one_line(message, limit)
    }

    /// What the collection did and wants, once it has ended.
    pub fn finish(self) -> Finished {
        let Self { context, mut capabilities, resources, .. } = self;
        let usage = capabilities.take_usage();
        let CapabilityStates { datapoints: emission, state, wasi, http, .. } = capabilities;
        // The standard streams hold what may be a last, unfinished line, and the resources requests
        // that are under way.
        drop((wasi, http, resources));
        context.log.finish();
        Finished { emission, denials: context.denials.take(), state: state.into_changes(&context.assignment), usage }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.capabilities.wasi.ctx, table: &mut self.resources }
    }
}
