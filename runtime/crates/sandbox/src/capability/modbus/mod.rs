//! `pattoo:agent/modbus`: reading the devices that were granted.
//!
//! A guest names a device; the grant says where that is, which units it has and what may be read
//! there. What lies outside is refused before anything is sent.

mod denied;
mod device_grant;
mod grant_flag;
mod grant_keys;
mod granted_devices;
mod host_functions;
mod in_flight;
mod modbus_limits;
mod requested_devices;

use pattoo_fetch::OwnEndpoints;
use pattoo_modbus::{Endpoints, Table};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

pub use self::{
    device_grant::{DEFAULT_UNIT, DeviceGrant, DeviceName, DeviceNameError},
    granted_devices::{Devices, OwnDevice},
    modbus_limits::ModbusLimits,
    requested_devices::{DeviceRequested, DevicesRequested},
};
use super::{
    AssignmentBuilder, Calls, Capability, CapabilityDefinition, Context, Counters, Family, GrantError, Granting, Host,
    HostView, Interface, Power, bindings::pattoo::agent::modbus as wit,
};

/// What is reached with it.
static POWER: Power = Power { what: "modbus", does: "reads the Modbus devices that are granted" };

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&POWER),
    limits: modbus_limits::RANGES,
    grant: Some(&GRANTING),
    counters: Some(&COUNTERS),
    ..CapabilityDefinition::new(
        "modbus",
        &[Interface::ours(
            "pattoo:agent/modbus",
            Some(&POWER),
            "reads the Modbus devices that are granted",
            include_str!("../../../../../../wit/modbus.wit"),
        )],
    )
};

static GRANTING: Granting = Granting {
    key: grant_keys::key,
    read: |fields, folder, grants| {
        grants.modbus = grant_keys::read(fields, folder)?;
        Ok(())
    },
    is_empty: |grants| grants.modbus.is_empty(),
    check: |grants, _, own| Devices::check(&grants.modbus, own).map_err(own_device),
    peers: |grants| grants.modbus.iter().map(|device| device.name.to_string()).collect(),
    secrets: |_| Vec::new(),
    example: "modbus: { plc1: { url: \"tcp://192.0.2.10:502\" } }",
    flag: &grant_flag::FLAG,
    requests: requested_devices::requests,
    narrowest: requested_devices::narrowest,
};

fn own_device(error: OwnDevice) -> GrantError {
    GrantError { help: "remove this grant, or add `own: true` to it", ..GrantError::new(&DEFINITION, error) }
}

static COUNTERS: Counters = Counters {
    label: "device",
    requests: Family {
        name: "pattoo_wasm_modbus_reads_total",
        kind: "counter",
        labels: &["program", "device"],
        help: "Spans of registers or bits that were read from a device.",
        previous_name: None,
    },
    failures: Family {
        name: "pattoo_wasm_modbus_read_errors_total",
        kind: "counter",
        labels: &["program", "device"],
        help: "Spans that could not be read: timeouts, broken connections, exceptions, and those that were not sent.",
        previous_name: None,
    },
    up: Family {
        name: "pattoo_wasm_modbus_device_up",
        kind: "gauge",
        labels: &["program", "device"],
        help: "1 if the device replied when it was last read, an exception included, else 0; NaN before the first read.",
        previous_name: None,
    },
    last_request: Family {
        name: "pattoo_wasm_modbus_last_read_timestamp_seconds",
        kind: "gauge",
        labels: &["program", "device"],
        help: "When the device was last read, in Unix seconds; 0 before the first read.",
        previous_name: None,
    },
    last_answer: Family {
        name: "pattoo_wasm_modbus_last_reply_timestamp_seconds",
        kind: "gauge",
        labels: &["program", "device"],
        help: "When the device last replied, in Unix seconds; 0 if it never did.",
        previous_name: None,
    },
    repeated: None,
    responses: None,
};

/// How much of the field one collection has used.
#[derive(Debug, Default)]
pub struct Modbus {
    spans: u32,
    calls: Calls,
}

impl Capability for Modbus {
    type Grant = Vec<DeviceGrant>;
    type Limits = ModbusLimits;
    type Resource = Devices;
    type Shared = Endpoints;
    type Requested = DevicesRequested;

    fn resource(assignment: &AssignmentBuilder, endpoints: &Endpoints) -> Result<Devices, GrantError> {
        let (grants, own) = (assignment.grants.modbus.clone(), &assignment.own);
        Devices::check(&grants, own).map_err(own_device)?;
        Ok(Devices::new(grants, endpoints))
    }

    fn deny_own(endpoints: &Endpoints, own: &OwnEndpoints) {
        let own = own.clone();
        endpoints.deny_addresses(move |address| own.has_address(address.ip(), address.port()));
    }

    fn begin(_: &Context) -> Self {
        Self::default()
    }

    fn take_calls(&mut self) -> Option<Calls> {
        Some(std::mem::take(&mut self.calls))
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

/// The name of a table in a grant.
fn grant_key(table: Table) -> &'static str {
    match table {
        Table::Coils => "coils",
        Table::DiscreteInputs => "discrete",
        Table::HoldingRegisters => "holding",
        Table::InputRegisters => "input",
    }
}
