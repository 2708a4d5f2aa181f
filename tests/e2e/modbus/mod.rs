//! Modbus devices: what is read, with which requests, and what each fault costs.

mod faults;
mod many_registers;
mod mbpoll;
mod pattoo_agent;
mod reading;
mod silence;
mod transports;
