//! What a collector is to the library, for tests that load and collect without the command.

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

/// An agent of this program that is the same at each run, with an interval of 20 s.
pub fn agent(program: &str) -> Arc<Agent> {
    Arc::new(Agent {
        program: program.parse().expect("a program"),
        id: "ab".repeat(32).parse().expect("an id"),
        hostname: "gateway-7.example.org".parse().expect("a host name"),
        polling_interval: PollingInterval::from_seconds(20).expect("an interval"),
    })
}

/// All that is known of a collector beyond its code, when it is granted nothing and nothing is set.
pub fn ungranted(agent: Arc<Agent>) -> Assignment {
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

/// The same when it is granted a device, which it knows as `plc1`, and a site. The device is an address, and a query if its unit
/// is not 1. Needs a runtime around it.
pub fn granted(agent: Arc<Agent>, device: impl Display, site: SocketAddr) -> Assignment {
    let url = format!("tcp://{device}").parse().expect("a device");
    let grants = vec![DeviceGrant::new("plc1".parse().expect("a name"), &url)];
    let origin = OriginGrant::new(format!("http://{site}").parse().expect("an origin"));
    let client = pattoo_fetch::Client::new(vec![origin], pattoo_fetch::Limits::default(), OwnEndpoints::default());
    Assignment {
        modbus: Devices::new(grants, &Endpoints::new()),
        http: client.expect("nothing to refuse"),
        ..ungranted(agent)
    }
}
