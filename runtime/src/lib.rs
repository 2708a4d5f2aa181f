//! The program `pattoo-wasm`: a WebAssembly-sandboxed, scriptable collection agent.
//!
//! - [`cli`] parses what was typed, [`config`] what the operator wrote down;
//! - [`daemon`] runs many collectors on their schedules;
//! - [`receive`] and [`simulate`] replace the pattoo server and devices when something is tried out.
//!
//! What these are built of are the crates below `crates/`: [`pattoo_sandbox`] loads a collector and runs one collection of it,
//! [`pattoo_modbus`] and [`pattoo_fetch`] read devices and web sites for it, [`pattoo_measurement`] holds what it emitted, and
//! [`pattoo_output`] delivers that.

pub mod cli;
pub mod config;
pub mod daemon;
#[cfg(fuzzing)]
pub mod fuzzing;
mod listen;
pub mod receive;
pub mod simulate;
