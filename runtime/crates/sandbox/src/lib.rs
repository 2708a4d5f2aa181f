//! Runs untrusted WebAssembly collectors: loads a module, and runs one collection of it within its grants and limits.
//!
//! ```
//! use std::{path::Path, sync::Arc};
//!
//! use pattoo_measurement::{Agent, AgentId, PollingInterval};
//! use pattoo_sandbox::{
//!     Compiler, Module, Sandbox, Termination,
//!     capability::{Assignment, Grants, modbus::DeviceGrant},
//! };
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // Load: the module is compiled, and all of its imports exist. (Programs compile in a child process.)
//! let text = r#"(module (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))"#;
//! let module = Module::from_bytes(Path::new("idle.wat"), text.into())?;
//! let sandbox = Sandbox::new(4, Compiler::unbounded(), None)?;
//! let collector = sandbox.load(&module)?;
//!
//! // Grant: a collector can reach what its assignment grants, and nothing else.
//! let agent = Agent {
//!     program: "BOILER".parse()?,
//!     id: AgentId::passing()?,
//!     hostname: "gateway-7".parse()?,
//!     polling_interval: PollingInterval::from_seconds(20)?,
//! };
//! let plc = DeviceGrant::new("plc1".parse()?, &"tcp://192.0.2.10:502?unit=1".parse()?);
//! let grants = Grants { modbus: vec![plc], ..Grants::default() };
//! let assignment = Assignment::builder(Arc::new(agent)).grants(grants).build()?;
//!
//! // Collect: whatever the module does, this returns by the deadline, with what was emitted until then.
//! let outcome = sandbox.collect(&collector, Arc::new(assignment)).await;
//! assert!(matches!(outcome.ending, Termination::Completed));
//! assert_eq!(outcome.emission.sink.datapoints(), 0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Every collection has an instance of its own that is dropped afterwards, so nothing leaks from one to the next. Two clocks
//! limit it. An epoch that ticks every 10 ms makes code of the collector yield, so an endless loop does not starve others on its
//! thread. One timeout around the whole collection drops it wherever it is, in the collector's code or waiting for the host.
//!
//! The files of this crate decide how long a collection runs and how much it uses. What it can *reach* is decided in
//! [`capability`], which has a folder for each capability.

mod address_space;
pub mod capability;
mod collection;
mod control_group;
mod engine;
mod load;
mod process_memory;
mod processor_shares;
pub mod state_store;

pub use self::{
    address_space::save_address_space,
    collection::{HostMemory, Outcome, StopReason, Termination},
    engine::{EngineError, MemoryLayout, Sandbox, TRIALS},
    load::{
        Cache, Collector, Compilation, CompileError, CompileLimits, Compiler, DigestError, Kind, LoadError, Module,
        ModuleDigest, serve,
    },
    process_memory::{Memory, return_freed_memory},
};

#[cfg(fuzzing)]
pub use self::load::componentized;
