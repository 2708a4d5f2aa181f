//! Modbus devices out of a YAML file: for trying a collector before the plant is there, for demonstrations, and as a
//! peer in tests. They are found over Modbus TCP, over RTU in TCP, or on a pseudo-terminal, and show faults on demand.
//!
//! A file lists devices; each has a place of its own and units, whose four tables hold constant and moving
//! values. Nothing can be written: a simulated device answers functions 1 to 4, and every other function with exception 1.
//! Nothing here is used by collectors; they meet a simulated device over the network like any other.
//!
//! | file | what it holds |
//! |---|---|
//! | `file` | the YAML format, [`Simulation::from_yaml`] |
//! | `value` | constant and moving values, and what they are at a moment |
//! | `device` | units and tables: from a request's bytes to a reply's bytes |
//! | `fault` | faults, and the requests that they meet |
//! | `wire` | frames, right or wrong |
//! | `pty` | pseudo-terminals |
//! | `server` | listening, connections, [`Bound::serve`] |
//!
//! # The format
//!
//! ```yaml
//! devices:
//!   - listen: 127.0.0.1:1502       # or a port alone, which is on 127.0.0.1; 0 is any free port;
//!                                  # `rtu+tcp://127.0.0.1:1503` for RTU frames; or instead of `listen`
//!                                  # `pty: PATH`, a pseudo-terminal with a link to it (`true`: without)
//!     limits: { registers: 60, bits: 400, exception: 2, connections: 2 }   # default: 125, 2000, 3, 64
//!     faults:
//!       - { fault: silence, units: [1], after: 3, times: 20 }
//!     units:
//!       1:                         # 0 to 247, or 255; a unit that is not here is answered for with exception 11 (RTU: not at all)
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
//! A rule of `faults` has a `fault` and the requests that it meets: of `units`, of `tables`, that touch `addresses`; and of
//! those `after` so many, only `every` so-manieth, only so many `times`. Faults are `silence`, `garbage`, `wrong-transaction`,
//! `wrong-unit`, `wrong-checksum`, `short-reply`, `long-reply`, `cut-reply`, `drop`, `close`, `{ delay: 300ms }` and
//! `{ exception: 4 }`; [`FAULTS_SAMPLE`] shows each.
//!
//! Counters begin when the simulation is bound. The others follow the clock of the day, so that two simulations of one
//! file, started at different times, show different values.

mod device;
mod fault;
mod file;
mod pty;
mod server;
mod value;
mod wire;

pub use file::{Simulation, SimulationError};
pub use server::{BindError, Bound, BoundDevice};

/// A file to start from: a boiler house with a heat meter and a switch cabinet, where everything moves.
pub const SAMPLE: &str = include_str!("sample.yaml");

/// A second one: devices that do not behave, with every fault, over every transport.
pub const FAULTS_SAMPLE: &str = include_str!("sample_faults.yaml");
