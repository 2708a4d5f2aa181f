//! `pattoo:agent/clock`: the time.

use pattoo_base::clock::unix_millis;

use super::{Host, bindings::pattoo::agent::clock};

impl clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(unix_millis())
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
