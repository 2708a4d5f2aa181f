//! A WebAssembly-sandboxed, scriptable collection agent for pattoo.

pub mod http;
pub mod modbus;
pub mod pattoo;
pub mod simulate;
