//! Where untrusted code runs: the engine, the loading of collectors, and one collection of one of them.
//!
//! Every collection has an instance of its own that is dropped afterwards, so nothing leaks from one to the next. Two clocks
//! bound it. An epoch that ticks every 10 ms makes guest code yield, so that a spinning guest never starves others on its thread;
//! and one timeout around the whole collection drops it wherever it is, in guest code or waiting for the host.
//!
//! This module decides how long and how much; what a collector can *reach* is [`capability`](crate::capability)'s.

pub mod capability;
mod collection;
mod control_group;
mod engine;
mod load;
mod memory;
mod shares;
pub mod state;

pub use self::{
    collection::{HostMemory, Outcome, StopReason, Termination},
    engine::{EngineError, Sandbox, TRIALS},
    load::{Cache, Collector, Compilation, CompileError, CompileLimits, Compiler, Kind, LoadError, Module, serve},
    memory::{Memory, return_freed_memory},
};

#[cfg(fuzzing)]
pub use self::load::componentized;
