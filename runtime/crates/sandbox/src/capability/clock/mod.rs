//! `pattoo:agent/clock`: the time.

use std::time::Instant;

use pattoo_base::clock::unix_millis;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use super::{CapabilityDefinition, Context, Host, HostView, Interface, Ungranted, bindings::pattoo::agent::clock};

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition::new(
    "clock",
    &[Interface::ours("pattoo:agent/clock", None, "reads the time", include_str!("../../../../../../wit/clock.wit"))],
);

/// The clock of one collection.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
}

impl Ungranted for Clock {
    fn begin(_: &Context) -> Self {
        Self { started: Instant::now() }
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        clock::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_millis())
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.capabilities.clock.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
