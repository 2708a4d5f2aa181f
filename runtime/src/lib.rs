//! A WebAssembly-sandboxed, scriptable collection agent for pattoo.
//!
//! A datapoint's way through this crate:
//!
//! - [`cli`] reads what the operator typed, [`config`] what the operator wrote down;
//! - [`sandbox`] loads a collector and runs one collection of it, with [`capability`] as all that it can reach;
//! - [`modbus`] and [`http`] do the reading, and know nothing of wasm;
//! - [`mod@pattoo`] normalises what was emitted into pattoo's JSON;
//! - [`delivery`] hands it to the pattoo server, and [`state`] keeps what a collector wants to find the next time;
//! - [`daemon`] does all this for many collectors, on their schedule, for months.
//!
//! [`receive`] and [`simulate`] stand in for the server and for devices when something is tried out.
//!
//! Arrows run one way: `cli` → `daemon` → `sandbox`, `delivery` → `capability` → `modbus`, `http`, `state`, `pattoo`.

pub mod capability;
pub mod cli;
pub mod config;
pub mod daemon;
mod database;
pub mod delivery;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod http;
mod listen;
pub mod modbus;
pub mod pattoo;
pub mod receive;
pub mod sandbox;
pub mod simulate;
pub mod state;
mod text;
mod turns;
