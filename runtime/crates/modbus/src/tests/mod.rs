//! Reads against devices whose every byte is chosen by the test.

mod care;
mod deadline;
mod driving;
mod faults;
mod raw;
mod rtu;
mod sharing;
mod silence;
mod tolerance;
mod transports;
mod values;
