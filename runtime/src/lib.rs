//! A WebAssembly-sandboxed, scriptable collection agent for pattoo.

pub mod http;
pub mod pattoo;
