//! The program `pattoo-wasm`: a WebAssembly-sandboxed, scriptable collection agent.
//!
//! - [`cli`] parses the command line, [`config`] the configuration;
//! - [`daemon`] runs many collectors on their schedules;
//! - [`receive`] and [`simulate`] replace the pattoo server and devices in tests.
//!
//! They use the crates below `crates/`: [`pattoo_sandbox`] loads a collector and runs its
//! collections, [`pattoo_modbus`] and [`pattoo_fetch`] read devices and web sites for it,
//! [`pattoo_measurement`] holds its datapoints, and [`pattoo_output`] delivers them.

pub mod cli;
pub mod config;
pub mod daemon;
#[cfg(fuzzing)]
pub mod fuzzing;
mod listen;
pub mod receive;
pub mod simulate;
