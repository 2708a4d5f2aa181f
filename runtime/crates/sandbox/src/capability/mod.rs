//! All that a collector can reach: one room per WIT interface.
//!
//! Each room holds the interface's policy (what was granted), its state during one collection, and its host functions.
//! To see all that a collector can do with Modbus, open `modbus/`; nothing else in the crate answers its calls.
//!
//! Two values meet here. An [`Assignment`] is what an operator decided once: who the collector is, what it was granted, how
//! much it may use. A [`Host`] is what one collection sees of it, and what that collection did: it is made for
//! the collection and dropped with it.

mod account;
mod agent;
mod asked;
mod bindings;
mod clock;
mod datapoints;
mod denials;
mod http;
mod interfaces;
mod limits;
mod log;
pub mod modbus;
mod state;
mod usage;
mod wasi;

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use pattoo_base::clock::unix_millis;
use pattoo_measurement::{Agent, SinkFactory};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use self::limits::Reached;
pub use self::{
    account::{Account, Charge},
    asked::{Asked, DeviceAsked, OriginAsked, Recorder},
    datapoints::Emission,
    denials::Denial,
    http::HostView,
    interfaces::{INTERFACES, Interface, Reach, our_interfaces},
    limits::{LimitReached, Limits},
    log::{GUEST_LOG, GuestLog, log_for_guest},
    modbus::ModbusUse,
    state::{STATE_ENTRY, StateChanges, StateUse},
    usage::{Calls, Usage},
};
pub(crate) use self::{
    bindings::{COMPONENT_TYPE, CollectorPre},
    denials::Denials,
    log::Attributed,
};
use crate::state::StateStore;

/// Who a collector is, what it was granted and how much it may use: everything about it that outlives a collection.
#[derive(Debug)]
pub struct Assignment {
    /// Its identity towards its outputs.
    pub agent: Arc<Agent>,
    /// What the operator set for it: a JSON object, given to the guest as it stands.
    pub settings: String,
    /// The Modbus devices that were granted.
    pub modbus: modbus::Devices,
    /// The client for the web origins that were granted.
    pub http: pattoo_fetch::Client,
    /// Where it keeps values from one collection to the next.
    pub state: StateStore,
    /// Makes what takes the datapoints of each of its collections.
    pub sinks: Arc<dyn SinkFactory>,
    /// How much one collection may use.
    pub limits: Limits,
    /// Where it is kept what a collection asks for, if anybody wants to know.
    pub recorder: Option<Recorder>,
}

/// One collection's side of every capability.
pub struct Host {
    assignment: Arc<Assignment>,
    account: Account,
    started: Instant,
    collection_time: u64,
    emission: Emission,
    web: http::Web,
    modbus: ModbusUse,
    state: StateUse,
    log: GuestLog,
    denials: Denials,
    reached: Reached,
    random_bytes: u64,
    /// What the last call returned. It is held until the engine has copied it into the guest's memory, which takes as long as the guest
    /// takes to make room for it; no other call of the collection begins before that.
    handed_over: Charge,
    wasi: WasiCtx,
    wasi_http: WasiHttpCtx,
    web_hooks: http::WebHooks,
    /// What the handles in `resources` hold.
    handles: account::Handles,
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
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(assignment.limits.resources);
        let account = Account::new(&assignment.limits);
        let denials = Denials::default();
        let reached = Reached::new(&assignment.agent.program);
        let log = GuestLog::new(&assignment.agent.program, &assignment.limits, &reached);
        let web = http::Web::new(&assignment, &account, &denials, &reached);
        let mut wasi_http = WasiHttpCtx::new();
        wasi_http.set_field_size_limit(http::field_size_limit(web.limits()));
        Self {
            started: Instant::now(),
            collection_time: unix_millis(),
            emission: Emission::new(&assignment, &account),
            modbus: ModbusUse::default(),
            state: StateUse::new(&account),
            wasi: wasi::empty(&log),
            wasi_http,
            web_hooks: http::WebHooks::new(&web),
            web,
            handles: account::Handles::default(),
            resources,
            log,
            denials,
            reached,
            random_bytes: 0,
            handed_over: account.nothing(),
            account,
            assignment,
        }
    }

    /// Charges what a call is about to return, in place of what the last one returned.
    fn hand_over(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.handed_over.resize(0)?;
        self.handed_over.resize(bytes)
    }

    /// The collection's account of the host's memory.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// What the collection did and wants, once it has ended.
    pub fn finish(self) -> Finished {
        let Self { emission, denials, log, wasi, resources, state, assignment, web, modbus, .. } = self;
        // The standard streams hold what may be a last, unfinished line, and the resources requests that are under way.
        drop((wasi, resources));
        log.finish();
        Finished {
            emission,
            denials: denials.take(),
            state: state.into_changes(&assignment),
            usage: Usage { http: web.take_calls(), modbus: modbus.used() },
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
pub fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let host: fn(&mut T) -> &mut Host = HostView::host;
    bindings::Collector::add_to_linker::<T, HasSelf<Host>>(linker, host)?;
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasi::add_random_to_linker::<T>(linker, host)?;
    http::add_to_linker(linker)
}
