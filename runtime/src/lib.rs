//! A WebAssembly-sandboxed, scriptable collection agent for pattoo.

pub mod pattoo;
