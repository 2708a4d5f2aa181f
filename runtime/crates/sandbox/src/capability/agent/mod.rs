//! `pattoo:agent/agent`: who the collector is, and what its operator set.

use pattoo_base::clock::unix_millis;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use super::{CapabilityDefinition, Context, Host, HostView, Interface, Ungranted, bindings::pattoo::agent::agent};

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition::new(
    "agent",
    &[Interface::ours(
        "pattoo:agent/agent",
        None,
        "reads its name, its interval and its settings",
        include_str!("../../../../../../wit/agent.wit"),
    )],
);

/// What one collection sees of it.
#[derive(Debug)]
pub struct Agent {
    collection_time: u64,
}

impl Ungranted for Agent {
    fn begin(_: &Context) -> Self {
        Self { collection_time: unix_millis() }
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        agent::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl agent::Host for Host {
    fn program(&mut self) -> wasmtime::Result<String> {
        Ok(self.context.assignment.agent.program.as_str().to_owned())
    }

    fn polling_interval(&mut self) -> wasmtime::Result<u32> {
        Ok(self.context.assignment.agent.polling_interval.seconds())
    }

    fn collection_time(&mut self) -> wasmtime::Result<u64> {
        Ok(self.capabilities.agent.collection_time)
    }

    fn settings(&mut self) -> wasmtime::Result<String> {
        self.hand_over(self.context.assignment.settings.len())?;
        Ok(self.context.assignment.settings.clone())
    }
}
