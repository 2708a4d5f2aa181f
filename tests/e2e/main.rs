//! The whole of pattoo-wasm against real peers: pymodbus devices, Python's web server, and `pattoo_shared`.

mod bad_input;
mod compile;
mod lift;
mod modbus;
mod receive;
mod run;
mod spool;
mod state;
mod wire;
