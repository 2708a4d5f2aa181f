//! Simulated Modbus devices from a YAML file: for testing a collector without a plant, for
//! demonstrations, and as a peer in tests. They use Modbus TCP, RTU in TCP, or a pseudo-terminal,
//! and have faults on demand.
//!
//! A file lists devices. Each has an address and units, whose four tables have constant and
//! changing values. Nothing can be written: a simulated device supports functions 1 to 4, and
//! replies to every other one with exception 1. Collectors do not use this module; they reach a
//! simulated device over the network like any other.
//!
//! | file | contents |
//! |---|---|
//! | `file` | the YAML format, [`Simulation::from_yaml`] |
//! | `value` | constant and changing values, and their state at a moment |
//! | `device` | units and tables: from a request's bytes to a reply's bytes |
//! | `fault` | faults, and the requests that they apply to |
//! | `wire` | frames, right or wrong |
//! | `pty` | pseudo-terminals |
//! | `server` | listening, connections, [`Bound::serve`] |
//!
//! # The format
//!
//! ```yaml
//! devices:
//!   - listen: 127.0.0.1:1502       # or only a port on 127.0.0.1; 0 means any free port;
//!                                  # `rtu+tcp://127.0.0.1:1503` for RTU frames; or instead of `listen`
//!                                  # `pty: PATH`, a pseudo-terminal with a link to it (`true`: without)
//!     limits: { registers: 60, bits: 400, exception: 2, connections: 2 }   # default: 125, 2000, 3, 64
//!     faults:
//!       - { fault: silence, units: [1], after: 3, times: 20 }
//!     units:
//!       1:                         # 0 to 255 (on a line 1 to 247); the reply for another unit is exception 11 (RTU: no reply)
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
//! Negative values are in two's complement. An address that is not in the table does not exist:
//! the reply to a read that contains it is exception 2.
//!
//! - `ramp` changes from `from` to `to` in `period`, then starts again. `to` may be smaller than
//!   `from`.
//! - `counter` starts at `start` and increases by `per_second`; after 65535 it continues at 0.
//! - `noise` is a random value within `spread` of `mean`, which changes every tenth of a second.
//! - `blink` is on for the first half of each `period` and off for the second.
//!
//! A rule of `faults` has a `fault` and the requests that it applies to: of `units`, of `tables`,
//! that contain one of `addresses`; and of these only those `after` a number of requests, `every`
//! n-th one, and at most `times` of them. Faults are `silence`, `garbage`, `wrong-transaction`,
//! `wrong-unit`, `wrong-checksum`, `short-reply`, `long-reply`, `cut-reply`, `drop`, `close`, `{
//! delay: 300ms }` and `{ exception: 4 }`; [`FAULTS_SAMPLE`] shows each.
//!
//! Counters start when the simulation is bound. Other values follow the wall clock, so that two
//! simulations of one file that are started at different times have different values.

mod device;
mod fault;
mod file;
mod pty;
mod server;
mod value;
mod wire;

pub use file::{Simulation, SimulationError};
pub use server::{BindError, Bound, BoundDevice};

/// An example file: a boiler house with a heat meter and a switch cabinet, with changing values.
pub const SAMPLE: &str = include_str!("sample.yaml");

/// A second example file: devices with every fault, over every transport.
pub const FAULTS_SAMPLE: &str = include_str!("sample_faults.yaml");
