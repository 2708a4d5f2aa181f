//! Modbus TCP devices out of a YAML file: for trying a collector before the plant is there, for demonstrations, and as a
//! peer in tests.
//!
//! A file lists devices; each listens on an address of its own and has units, whose four tables hold constant and moving
//! values. Nothing can be written: a simulated device answers functions 1 to 4, and every other function with exception 1.
//! Nothing here is used by collectors; they meet a simulated device over the network like any other.
//!
//! | file | what it holds |
//! |---|---|
//! | `file` | the YAML format, [`Simulation::from_yaml`] |
//! | `value` | constant and moving values, and what they are at a moment |
//! | `device` | units and tables: from a request's bytes to a reply's bytes |
//! | `server` | listening, connections, [`Bound::serve`] |
//!
//! # The format
//!
//! ```yaml
//! devices:
//!   - listen: 127.0.0.1:1502       # or a port alone, which is on 127.0.0.1; 0 is any free port
//!     units:
//!       1:                         # 0 to 247, or 255; a unit that is not here is answered for with exception 11
//!         holding:                 # also: input, coils, discrete
//!           0: 732                 # address, counted from 0: value of the register, -32768 to 65535
//!           1: [1, 2, 3]           # addresses 1, 2 and 3
//!           10: { ramp: { from: 0, to: 100, period: 60s } }
//!           20: { counter: { start: 0, per_second: 3 } }
//!           30: { noise: { mean: 500, spread: 20 } }
//!         coils:
//!           0: true
//!           1: [true, false, { blink: { period: 10s } }]
//! ```
//!
//! Negative values are in two's complement, as devices hold them. An address that is in no table's list does not exist:
//! to read it, alone or among others, is answered with exception 2.
//!
//! - `ramp` goes from `from` to `to` in `period`, then starts again. `to` may be the smaller one.
//! - `counter` starts at `start` and counts `per_second` up; from 65535 on it goes on at 0.
//! - `noise` is anywhere within `spread` of `mean`, another value each tenth of a second.
//! - `blink` is on for the first half of each `period` and off for the second.
//!
//! Counters begin when the simulation is bound. The others follow the clock of the day, so that two simulations of one
//! file, started at different times, show different values.

mod device;
mod file;
mod server;
mod value;

pub use file::{Simulation, SimulationError};
pub use server::{BindError, Bound, BoundDevice};

/// A file to start from: a boiler house with a heat meter and a switch cabinet, where everything moves.
pub const SAMPLE: &str = include_str!("sample.yaml");
