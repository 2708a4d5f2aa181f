//! One collection: a fresh instance, a deadline, a call, and its outcome.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::FusedFuture as _};
use pattoo_base::text::one_line;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline, component::ResourceTableError};
use wasmtime_wasi::{I32Exit, WasiCtxView, WasiView};
use wasmtime_wasi_http::FieldMapError;

use super::{
    Collector, Sandbox,
    engine::WASM_STACK,
    process_memory::{Memory, Running},
};
use crate::{
    capability::{
        Account, Assignment, Attributed, Charge, CollectionLimits, Denial, Emission, Finished, Host, HostView,
        LimitReached, StateChanges, Usage,
    },
    state_store::StateError,
};

/// How much of the engine's text for a trap is kept, in bytes.
const MAX_TRAP: usize = 4096;

/// What one element of a table takes: a pointer.
const TABLE_ELEMENT: usize = size_of::<usize>();

/// What the engine says when a call hands the host more than it may; it has no public type for that.
const CALL_TOO_LARGE: &str =
    "too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted";

/// What the engine says when a guest has more handles, or has lent more of them out, than it may.
const TOO_MANY_HANDLES: &str = "store handle limit exceeded";

/// What the engine says, before it says of what, when a component has more instances, memories or tables than it may.
const TOO_MANY: &str = "resource limit exceeded: ";

/// The outcome of a collection.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Termination,
    /// What it emitted: kept whatever the ending.
    pub emission: Emission,
    /// The calls that were refused for want of a grant, each once.
    pub denials: BTreeSet<Denial>,
    /// What it wants to be kept for the next one: only after a good end, and not kept yet. See [`StateChanges`].
    pub state: Option<StateChanges>,
    /// What it used of devices and web sites.
    pub usage: Usage,
    /// From the start to the end, instantiation included.
    pub duration: Duration,
    /// The most linear memory that it had, in bytes.
    pub peak_memory: usize,
    /// The memory of the host that it held.
    pub host_memory: HostMemory,
}

/// How much of the host's memory a collection held, in bytes of its account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// When it ended, before anything was dropped.
    pub held: usize,
    /// At most.
    pub peak: usize,
}

/// How a collection ended.
#[derive(Debug)]
pub enum Termination {
    /// The guest returned.
    Completed,
    /// The guest returned this error, or called `exit` with a status that is not 0. The text is on one line.
    Failed(String),
    /// The guest was stopped.
    Stopped(StopReason),
}

/// Why a guest was stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopReason {
    /// It ran into its own mistake: `unreachable`, a memory access out of bounds, a stack that is too deep.
    #[error("the collector trapped: {what}")]
    Trap {
        /// What happened.
        what: String,
        /// The innermost functions first, as far as the module names them.
        frames: Vec<String>,
    },
    /// It timed out.
    #[error("the collector was stopped at its deadline of {} (limit timeout)", humantime::format_duration(*.0))]
    Deadline(Duration),
    /// It wanted more than it may have.
    #[error("the collector was stopped: {0}")]
    Limit(LimitReached),
    /// The caller asked for that.
    #[error("the collector was stopped before it ended")]
    Interrupted,
    /// It asked for what it kept, and that could not be read.
    #[error("the collector was stopped: {0}")]
    State(StateError),
}

impl Sandbox {
    /// Runs one collection of `collector`, and drops everything of it but the outcome.
    ///
    /// Dropping the future stops the collection at its next yield or host call.
    pub async fn collect(&self, collector: &Collector, assignment: Arc<Assignment>) -> Outcome {
        self.collect_until(collector, assignment, std::future::pending()).await
    }

    /// The same, and stops the guest when `stop` is ready. What it emitted until then is in the outcome.
    pub async fn collect_until(
        &self,
        collector: &Collector,
        assignment: Arc<Assignment>,
        stop: impl Future<Output = ()>,
    ) -> Outcome {
        // Once it is over it stays so: a collection that is stopped while it waits for room is stopped below, before it does anything.
        let mut stop = pin!(stop.fuse());
        tokio::select! {
            biased;
            () = self.memory.admit(collector.last_peak.load(Ordering::Relaxed)) => {}
            () = &mut stop => {}
        }
        let started = Instant::now();
        let timeout = assignment.limits.timeout;
        let yielded = Arc::new(AtomicBool::new(false));
        let mut store = self.store(&assignment, &yielded);
        let stopped = async {
            if !stop.is_terminated() {
                stop.await;
            }
        };
        let out_of_memory = store.data().limiter.running.stopped();
        let log = store.data().host.guest_log();
        let call = Box::pin(async {
            let instance = collector.pre.instantiate_async(&mut store).await?;
            instance.call_collect(&mut store).await
        });
        let call = self.shares.share(Attributed::new(log, call), yielded);
        let ending = tokio::select! {
            called = tokio::time::timeout(timeout, call) => match called {
                Ok(Ok(Ok(()))) => Termination::Completed,
                Ok(Ok(Err(message))) => Termination::Failed(message),
                Ok(Err(error)) => ending_of(&error, &assignment),
                Err(_) => Termination::Stopped(StopReason::Deadline(timeout)),
            },
            () = stopped => Termination::Stopped(StopReason::Interrupted),
            reached = out_of_memory => Termination::Stopped(StopReason::Limit(reached)),
        };
        let cell = store.into_data();
        let ending = match ending {
            Termination::Failed(message) => Termination::Failed(cell.host.last_words(&message)),
            other => other,
        };
        let peak_memory = cell.limiter.peak_memory;
        let account = cell.host.account();
        let host_memory = HostMemory { held: account.held(), peak: account.peak() };
        collector.last_peak.store(peak_memory.saturating_add(host_memory.peak), Ordering::Relaxed);
        let Finished { emission, denials, state, usage } = cell.host.finish();
        let state = state.filter(|_| matches!(ending, Termination::Completed));
        Outcome { ending, emission, denials, state, usage, duration: started.elapsed(), peak_memory, host_memory }
    }

    /// Instantiates `collector` as a collection would, and does not call it: whether it fits its limits and its start
    /// functions end.
    ///
    /// # Errors
    ///
    /// What a collection would have ended with.
    pub async fn instantiate(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Result<(), Termination> {
        self.instantiate_within(collector, assignment, assignment.limits.timeout).await
    }

    /// The same within another time.
    ///
    /// # Errors
    ///
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_within(
        &self,
        collector: &Collector,
        assignment: &Arc<Assignment>,
        timeout: Duration,
    ) -> Result<(), Termination> {
        let yielded = Arc::new(AtomicBool::new(false));
        let mut store = self.store(assignment, &yielded);
        let instantiated = self.shares.share(Box::pin(collector.pre.instantiate_async(&mut store)), yielded);
        match tokio::time::timeout(timeout, instantiated).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => match ending_of(&error, assignment) {
                Termination::Completed => Ok(()),
                ending => Err(ending),
            },
            Err(_) => Err(Termination::Stopped(StopReason::Deadline(timeout))),
        }
    }

    /// A store for one collection, which notes in `yielded` when its guest gave way.
    fn store(&self, assignment: &Arc<Assignment>, yielded: &Arc<AtomicBool>) -> Store<Cell> {
        let host = Host::new(Arc::clone(assignment));
        let cell = Cell { limiter: Limiter::new(&assignment.limits, host.account(), &self.memory), host };
        let mut store = Store::new(&self.engine, cell);
        store.limiter(|cell| &mut cell.limiter);
        store.set_hostcall_fuel(assignment.limits.call_bytes);
        // The host's table of resources has this limit too; here it is on those that a guest defines for itself.
        store.set_max_component_handles(assignment.limits.resources);
        store.set_epoch_deadline(1);
        // A plain yield leaves the task ready, and while one is ready the runtime looks at timers and sockets only every
        // some dozen polls: half a second of guests that never end. After this one it looks at them first.
        let yielded = Arc::clone(yielded);
        store.epoch_deadline_callback(move |_| {
            yielded.store(true, Ordering::Relaxed);
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

/// What an error out of guest code means.
fn ending_of(error: &wasmtime::Error, assignment: &Assignment) -> Termination {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return match exit.0 {
            0 => Termination::Completed,
            status => Termination::Failed(format!("the collector exited with status {status}")),
        };
    }
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return Termination::Stopped(StopReason::Limit(limit.clone()));
    }
    if let Some(limit) = limit_of_a_library(error, assignment) {
        return Termination::Stopped(StopReason::Limit(limit));
    }
    if let Some(error) = error.downcast_ref::<StateError>() {
        return Termination::Stopped(StopReason::State(error.clone()));
    }
    let what = error.downcast_ref::<Trap>().map_or_else(
        || one_line(&error.root_cause().to_string(), MAX_TRAP),
        |trap| match trap {
            Trap::StackOverflow => {
                let stack = bytesize::ByteSize(WASM_STACK as u64).display().iec();
                format!("call stack exhausted: it has {stack}, and no setting raises this limit")
            }
            trap => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        },
    );
    let frames = error.downcast_ref::<wasmtime::WasmBacktrace>().map_or_else(Vec::new, |backtrace| {
        backtrace.frames().iter().filter_map(|frame| frame.func_name().map(|name| one_line(name, 200))).collect()
    });
    Termination::Stopped(StopReason::Trap { what, frames })
}

/// A limit of ours that a library keeps, and has words of its own for.
fn limit_of_a_library(error: &wasmtime::Error, assignment: &Assignment) -> Option<LimitReached> {
    let limits = &assignment.limits;
    let said = error.root_cause().to_string();
    if said == CALL_TOO_LARGE {
        return Some(LimitReached::of_bytes("one call", limits.call_bytes, "call_bytes"));
    }
    if said.starts_with(TOO_MANY) {
        let (what, value) = ("core instances, memories and tables of one component", limits.instances.to_string());
        return Some(LimitReached { what, value, setting: "instances" });
    }
    if said.ends_with(TOO_MANY_HANDLES) || matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        let value = limits.resources.to_string();
        return Some(LimitReached { what: "open resources", value, setting: "resources" });
    }
    matches!(error.downcast_ref(), Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields)).then(|| {
        let limit = assignment.limits.http.fetch.request_header_bytes;
        LimitReached::of_bytes("the header fields of a request", limit, "request_header_bytes")
    })
}

/// The data of a collection's store: what it can reach, and what holds it in bounds.
pub(super) struct Cell {
    pub(super) host: Host,
    limiter: Limiter,
}

impl WasiView for Cell {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host.ctx()
    }
}

impl HostView for Cell {
    fn host(&mut self) -> &mut Host {
        &mut self.host
    }
}

/// Counts what the store allocates for the guest. Asking for more than the limit ends the collection there, so that
/// the operator reads the reason and not the guest's guess at it.
struct Limiter {
    max_memory: usize,
    max_table_elements: usize,
    instances: usize,
    memory: usize,
    peak_memory: usize,
    table_elements: usize,
    /// Of the elements of tables, which lie in the host's memory.
    tables: Charge,
    running: Running,
}

impl Limiter {
    fn new(limits: &CollectionLimits, account: &Account, memory: &Memory) -> Self {
        Self {
            max_memory: limits.memory,
            max_table_elements: limits.table_elements,
            instances: limits.instances,
            memory: 0,
            peak_memory: 0,
            table_elements: 0,
            tables: account.nothing(),
            running: memory.enter(account),
        }
    }
}

/// The new total when one of several things grows from `current` to `desired`.
fn grown(total: usize, current: usize, desired: usize) -> usize {
    total.saturating_sub(current).saturating_add(desired)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = grown(self.memory, current, desired);
        if total > self.max_memory {
            return Err(LimitReached::of_bytes("memory", self.max_memory, "memory").into());
        }
        self.memory = total;
        self.running.set_linear(total);
        self.peak_memory = self.peak_memory.max(total);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = grown(self.table_elements, current, desired);
        if total > self.max_table_elements {
            let value = self.max_table_elements.to_string();
            return Err(LimitReached { what: "table elements", value, setting: "table_elements" }.into());
        }
        self.tables.resize(total.saturating_mul(TABLE_ELEMENT))?;
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
