//! All that a collector can reach: one room per WIT interface.
//!
//! Each room holds the interface's policy (what was granted), its state during one collection, and its host functions.
//! To see all that a collector can do with Modbus, open `modbus/`; nothing else in the crate answers its calls.
//!
//! Two values meet here. An [`Assignment`] is what an operator decided once: who the collector is, what it was granted, how
//! much it may use. A [`Host`] is what one collection sees of it, and what that collection did: it is made for
//! the collection and dropped with it.

mod agent;
mod bindings;
mod clock;
mod datapoints;
pub mod http;
mod limits;
mod log;
pub mod modbus;
mod state;
mod usage;
mod wasi;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) use self::bindings::{COMPONENT_TYPE, CollectorPre};
pub use self::{
    bindings::served_interfaces,
    datapoints::Emission,
    http::HttpUse,
    limits::{LimitReached, Limits},
    log::{GUEST_LOG, GuestLog},
    modbus::ModbusUse,
    state::{StateChanges, StateUse},
    usage::{Calls, Usage},
};
use crate::{
    pattoo::{Agent, Memory},
    state::StateStore,
};

/// Who a collector is, what it was granted and how much it may use: everything about it that outlives a collection.
#[derive(Debug)]
pub struct Assignment {
    /// Its identity towards pattoo.
    pub agent: Arc<Agent>,
    /// What the operator set for it: a JSON object, given to the guest as it stands.
    pub settings: String,
    /// The Modbus devices that were granted.
    pub modbus: modbus::Devices,
    /// The client for the web origins that were granted.
    pub http: crate::http::Client,
    /// Where it keeps values from one collection to the next.
    pub state: StateStore,
    /// The series that it emitted, so that their checksums need not be computed each time.
    pub memory: Memory,
    /// How much one collection may use.
    pub limits: Limits,
}

/// What an operator would have to grant for a call that was refused.
///
/// Ordered, so that a report lists each only once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// What was refused, in words.
    pub what: String,
    /// The flag of `pattoo-wasm run` that grants it, where a flag can say it.
    pub flag: Option<String>,
    /// The lines under `grants:` that grant it, where anything can.
    pub line: Option<String>,
}

/// How many different refused calls of one collection are remembered for its report.
const MAX_DENIALS: usize = 20;

/// One collection's side of every capability.
pub struct Host {
    assignment: Arc<Assignment>,
    started: Instant,
    collection_time: u64,
    emission: Emission,
    http: HttpUse,
    modbus: ModbusUse,
    state: StateUse,
    log: GuestLog,
    denials: BTreeSet<Denial>,
    wasi: WasiCtx,
    resources: ResourceTable,
}

/// What a collection leaves behind.
pub struct Finished {
    /// What it emitted.
    pub emission: Emission,
    /// Which of its calls were refused, each once.
    pub denials: BTreeSet<Denial>,
    /// What it wants to be kept.
    pub state: Option<StateChanges>,
    /// What it used of devices and web sites.
    pub usage: Usage,
}

impl Host {
    /// The host of a collection that begins now.
    pub fn new(assignment: Arc<Assignment>) -> Self {
        let log = GuestLog::new(&assignment.agent.program, &assignment.limits);
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(assignment.limits.resources);
        Self {
            started: Instant::now(),
            collection_time: unix_millis(),
            emission: Emission::new(&assignment),
            http: HttpUse::default(),
            modbus: ModbusUse::default(),
            state: StateUse::default(),
            wasi: wasi::empty(&log, &assignment.limits),
            resources,
            log,
            denials: BTreeSet::new(),
            assignment,
        }
    }

    /// What the collection did and wants, once it has ended.
    pub fn finish(self) -> Finished {
        let Self { emission, denials, log, wasi, resources, state, assignment, http, modbus, .. } = self;
        // The standard streams hold what may be a last, unfinished line.
        drop((wasi, resources));
        log.finish();
        Finished {
            emission,
            denials,
            state: state.into_changes(&assignment),
            usage: Usage { http: http.used(), modbus: modbus.used() },
        }
    }

    fn deny(&mut self, denial: Denial) {
        if self.denials.len() < MAX_DENIALS {
            self.denials.insert(denial);
        }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

/// Adds every capability to `linker`, for stores whose data holds a [`Host`].
///
/// # Errors
///
/// When an interface is already defined there.
pub fn add_to_linker<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> &mut Host,
) -> wasmtime::Result<()> {
    bindings::Collector::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// The wall clock in Unix milliseconds; 0 when it stands before 1970.
pub fn unix_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
