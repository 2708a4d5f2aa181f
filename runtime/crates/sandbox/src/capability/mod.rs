//! All that a collector can reach: a folder for each capability.
//!
//! A capability's folder holds all that there is about its interfaces: the grant and how it is
//! written, the limits, the counters, the texts of denials, the words for `inspect`, the host
//! functions and how they are linked. To see all that a collector can do with Modbus, open `modbus/`; nothing else in the
//! program answers its calls, and nothing else knows how it is granted. Those parts of the program
//! that treat all interfaces alike go through [`CAPABILITIES`].
//!
//! A new capability is a folder here, its WIT (in the `wit/` of the repository if it is of our own
//! contract, else in that of this crate), and a line for it in each of the two lists below.
//!
//! Two values meet here. An [`Assignment`] is what an operator decided once: who the collector is,
//! what it was granted, how much it may use. A [`Host`] is what one collection sees of it, and what
//! that collection did: it is made for the collection and dropped with it.

mod assignment;
mod bindings;
mod collection_limits;
mod definition;
mod host;
mod host_memory;
mod interface_versions;
mod limit_reached;
mod recorded_denials;
mod requested_access;
#[cfg(test)]
mod testing;
mod usage;

pub mod agent;
pub mod clock;
pub mod datapoints;
pub mod http;
pub mod log;
pub mod modbus;
pub mod state;
pub mod wasi;
pub mod wasi_config;
pub mod wasi_keyvalue;
pub mod wasi_logging;

use std::time::Duration;

use pattoo_fetch::OwnEndpoints;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

pub use self::{
    assignment::{Assignment, AssignmentBuilder},
    collection_limits::COLLECTION_LIMITS,
    datapoints::Emission,
    definition::{
        Capability, CapabilityDefinition, Counters, Family, GrantError, GrantFlag, GrantFlagError, Granting, Power,
        Request, Ungranted,
    },
    host::{Context, Finished, Host, HostView},
    host_memory::{Account, Charge},
    interface_versions::{Interface, draft_interfaces, interfaces, our_interfaces},
    limit_reached::LimitReached,
    log::{GUEST_LOG, GuestLog, LineSink, Reporter, is_logged, log_for_guest, log_line},
    recorded_denials::Denial,
    requested_access::{Recorder, RequestedAccess},
    state::{STATE_ENTRY, StateChanges},
    usage::{Calls, PeerCalls, Usage},
};
pub(crate) use self::{
    bindings::{COMPONENT_TYPE, CollectorPre},
    log::Attributed,
    recorded_denials::Denials,
};
use self::{definition::capabilities, limit_reached::Reached};

capabilities! {
    http: http::Http,
    modbus: modbus::Modbus,
    datapoints: datapoints::Emission,
    state: state::State,
    log: log::Log,
    agent: agent::Agent,
    clock: clock::Clock,
    wasi: wasi::Wasi,
    wasi_config: wasi_config::Config,
    wasi_logging: wasi_logging::Logging,
    wasi_keyvalue: wasi_keyvalue::KeyValue,
}

impl Grants {
    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that everything that is granted can be used, with endpoints of our own that no
    /// collector may use.
    ///
    /// # Errors
    ///
    /// The first of each capability that cannot.
    pub fn check(&self, limits: &CollectionLimits, own: &OwnEndpoints) -> Vec<GrantError> {
        let grants = CAPABILITIES.iter().filter_map(|capability| capability.grant);
        grants.filter_map(|grant| (grant.check)(self, limits, own).err()).collect()
    }

    /// The secrets that the grants name.
    pub fn secrets(&self) -> impl Iterator<Item = &pattoo_base::secret::Secret> {
        CAPABILITIES.iter().filter_map(|capability| capability.grant).flat_map(|grant| (grant.secrets)(self))
    }
}
