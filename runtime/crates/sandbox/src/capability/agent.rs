//! `pattoo:agent/agent`: who the collector is, and what its operator set.

use super::{Host, bindings::pattoo::agent::agent};

impl agent::Host for Host {
    fn program(&mut self) -> wasmtime::Result<String> {
        Ok(self.assignment.agent.program.as_str().to_owned())
    }

    fn polling_interval(&mut self) -> wasmtime::Result<u32> {
        Ok(self.assignment.agent.polling_interval.seconds())
    }

    fn collection_time(&mut self) -> wasmtime::Result<u64> {
        Ok(self.collection_time)
    }

    fn settings(&mut self) -> wasmtime::Result<String> {
        self.hand_over(self.assignment.settings.len())?;
        Ok(self.assignment.settings.clone())
    }
}
