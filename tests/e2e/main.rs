//! The whole of pattoo-wasm against real peers: devices of pymodbus and libmodbus, Python's web server, and `pattoo_shared`.

mod bad_input;
mod compile;
mod lift;
mod modbus;
mod modbus_field;
mod run;
mod spool;
mod state;
mod wire;
