//! Assignments of collectors, for tests that use the library without the command.

use std::{fmt::Display, net::SocketAddr, sync::Arc};

use pattoo_fetch::OriginGrant;
use pattoo_measurement::{Agent, PollingInterval};
use pattoo_output::pattoo::PattooJson;
use pattoo_sandbox::capability::{Assignment, AssignmentBuilder, Grants, modbus::DeviceGrant};

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
pub fn assignment_without_grants(agent: Arc<Agent>) -> AssignmentBuilder {
    Assignment::builder(agent).sinks(Arc::new(PattooJson))
}

/// An assignment that grants a device, named `plc1`, and a web site. The device is an address, with
/// a query if its unit is not 1. Must be built in a runtime.
pub fn assignment_with_grants(agent: Arc<Agent>, device: impl Display, site: SocketAddr) -> AssignmentBuilder {
    let url = format!("tcp://{device}").parse().expect("a device");
    let origin = OriginGrant::new(format!("http://{site}").parse().expect("an origin"));
    assignment_without_grants(agent).grants(Grants {
        modbus: vec![DeviceGrant::new("plc1".parse().expect("a name"), &url)],
        http: vec![origin],
        ..Grants::default()
    })
}
