//! Reads against devices of which the test decides every byte.

mod faults;
mod raw;
mod sharing;
mod values;
