//! Where untrusted code runs: the engine, the loading of collectors, and one collection of one of them.
//!
//! Every collection has an instance of its own that is dropped afterwards, so nothing leaks from one to the next. Two clocks
//! bound it. An epoch that ticks every 10 ms makes guest code yield, so that a spinning guest never starves others on its thread;
//! and one timeout around the whole collection drops it wherever it is, in guest code or waiting for the host.
//!
//! This module decides how long and how much; what a collector can *reach* is [`capability`](crate::capability)'s.

mod cache;
pub mod capability;
mod collection;
mod compile;
mod confine;
mod contract;
mod control_group;
mod engine;
mod lift;
mod load;
mod memory;
mod module;
mod preview1;
mod refusals;
mod shares;
pub mod state;

pub use self::{
    cache::Cache,
    collection::{Ending, HostMemory, Outcome, Stop},
    compile::{CompileError, CompileLimits, Compiler, serve},
    control_group::memory as available_memory,
    engine::{EngineError, Sandbox, TRIALS},
    load::{Collector, Compilation, LoadError},
    memory::{Memory, return_freed_memory},
    module::{Kind, Module},
};

/// What `fuzz/` reaches of [`lift`](mod@lift).
#[cfg(fuzzing)]
pub fn lifted(module: &[u8]) -> Result<Vec<u8>, String> {
    lift::lift(module).map_err(|error| error.to_string())
}
