//! Modbus devices: what is read, with which requests, and what each fault costs.

mod faults;
mod mbpoll;
mod pattoo_agent;
mod reading;
mod silence;
mod transports;
