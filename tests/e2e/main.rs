//! The whole of pattoo-wasm against real peers: pymodbus devices, Python's web server, and `pattoo_shared`.

mod bad_input;
mod compile;
mod decode;
mod lift;
mod modbus;
mod modbus_agent;
mod modbus_faults;
mod run;
mod spool;
mod state;
mod wire;
