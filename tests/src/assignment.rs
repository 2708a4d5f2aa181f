//! Assignments of collectors, for tests that use the library without the command.

use std::{fmt::Display, net::SocketAddr, sync::Arc};

use pattoo_fetch::{OriginGrant, OwnEndpoints};
use pattoo_measurement::{Agent, PollingInterval};
use pattoo_modbus::Endpoints;
use pattoo_output::pattoo::Memory;
use pattoo_sandbox::{
    capability::{
        Assignment, Limits,
        modbus::{DeviceGrant, Devices},
    },
    state::StateStore,
};

/// An agent of this program with a constant id and an interval of 20 s.
pub fn agent(program: &str) -> Arc<Agent> {
    Arc::new(Agent {
        program: program.parse().expect("a program"),
        id: "ab".repeat(32).parse().expect("an id"),
        hostname: "gateway-7.example.org".parse().expect("a host name"),
        polling_interval: PollingInterval::from_seconds(20).expect("an interval"),
    })
}

/// An assignment without grants and settings.
pub fn assignment_without_grants(agent: Arc<Agent>) -> Assignment {
    Assignment {
        agent,
        settings: "{}".to_owned(),
        modbus: Devices::default(),
        http: pattoo_fetch::Client::new(Vec::new(), pattoo_fetch::Limits::default(), OwnEndpoints::default())
            .expect("nothing to refuse"),
        state: StateStore::forgetful(),
        sinks: Arc::new(Memory::default()),
        recorder: None,
        limits: Limits::default(),
    }
}

/// An assignment that grants a device, named `plc1`, and a web site. The device is an address, with
/// a query if its unit is not 1. Must be called in a runtime.
pub fn assignment_with_grants(agent: Arc<Agent>, device: impl Display, site: SocketAddr) -> Assignment {
    let url = format!("tcp://{device}").parse().expect("a device");
    let grants = vec![DeviceGrant::new("plc1".parse().expect("a name"), &url)];
    let origin = OriginGrant::new(format!("http://{site}").parse().expect("an origin"));
    let client = pattoo_fetch::Client::new(vec![origin], pattoo_fetch::Limits::default(), OwnEndpoints::default());
    Assignment {
        modbus: Devices::new(grants, &Endpoints::new()),
        http: client.expect("nothing to refuse"),
        ..assignment_without_grants(agent)
    }
}
