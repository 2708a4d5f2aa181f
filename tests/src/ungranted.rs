//! What a collector is to the library, for tests that load and collect without the command.

use std::{fmt::Display, net::SocketAddr, sync::Arc};

use pattoo_fetch::OriginGrant;
use pattoo_measurement::{Agent, PollingInterval};
use pattoo_sandbox::capability::{Assignment, AssignmentBuilder, Grants, modbus::DeviceGrant};

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
    Assignment::builder(agent).build().expect("nothing to refuse")
}

/// The same when it is granted a device, which it knows as `plc1`, and a site. The device is an address, and a query if its unit
/// is not 1. What is built of it needs a runtime around it.
pub fn granted(agent: Arc<Agent>, device: impl Display, site: SocketAddr) -> AssignmentBuilder {
    let url = format!("tcp://{device}").parse().expect("a device");
    let origin = OriginGrant::new(format!("http://{site}").parse().expect("an origin"));
    Assignment::builder(agent).grants(Grants {
        modbus: vec![DeviceGrant::new("plc1".parse().expect("a name"), &url)],
        http: vec![origin],
        ..Grants::default()
    })
}
