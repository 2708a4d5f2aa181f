//! Reads against devices of which the test decides every byte.

mod care;
mod driving;
mod faults;
mod raw;
mod rtu;
mod sharing;
mod values;
