//! The whole of pattoo-wasm against real peers: devices of pymodbus and libmodbus, Python's web server, and `pattoo_shared`.

mod bad_input;
mod compile;
mod config;
mod crash;
mod daemon;
mod decode;
mod guest_go;
mod hostile;
mod kits;
mod lift;
mod modbus;
mod modbus_agent;
mod modbus_faults;
mod modbus_field;
mod posting;
mod promises;
mod queue;
mod receive;
mod run;
mod scale;
mod spool;
mod state;
mod station;
mod supervisor;
mod wire;
