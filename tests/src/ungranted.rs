//! What a collector is to the library, for tests that load and collect without the command.

use std::sync::Arc;

use pattoo_wasm::{
    capability::{Assignment, Limits, modbus::Devices},
    http::{self, OwnEndpoints},
    pattoo::{Agent, Memory, PollingInterval},
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
        http: http::Client::new(Vec::new(), http::Limits::default(), OwnEndpoints::default())
            .expect("nothing to refuse"),
        state: StateStore::forgetful(),
        memory: Memory::default(),
        recorder: None,
        limits: Limits::default(),
    }
}
