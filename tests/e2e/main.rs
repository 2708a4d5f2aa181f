//! The whole of pattoo-wasm against real peers: pymodbus devices, Python's web server, and `pattoo_shared`.

mod bad_input;
mod compile;
mod crash;
mod daemon;
mod lift;
mod modbus;
mod run;
mod scale;
mod spool;
mod state;
mod supervisor;
mod wire;
