//! The field side: Modbus devices, and how their tables are read in the fewest requests.
//!
//! Spans come in, values or typed errors come out; nobody here knows of guests or grants beyond a [`Readable`] (what may
//! be read), and nothing here can write to a device: of all functions only the four reads are ever sent.
//!
//! A read's way: [`Endpoint::read`] checks the spans against what may be read, the planner turns them into the fewest
//! requests, and these go out over the one connection of that endpoint, in turn with those of all other
//! callers. A request that fails because of its addresses is halved until only the bad spans fail, and what
//! that brought out is remembered for the next plan.
//!
//! | file | what it holds |
//! |---|---|
//! | `address`, `line` | device URLs and endpoints; serial lines |
//! | `unit`, `table`, `span`, `ranges`, `manual` | the vocabulary: which unit, which table, which addresses, what may be read |
//! | `plan` | the fewest requests for a list of spans, with the proof |
//! | `memory` | what was learned of a device, so that the next plan is better |
//! | `reading` | one read apart from asking: plan, halve, put together |
//! | `endpoint` | the read itself, and the register of all endpoints |
//! | `owner`, `units` | what an endpoint is asked next: turns, retries, backoff; units in trouble |
//! | `task` | who asks it: the caller that is alone, else the endpoint's task |
//! | `connection`, `alarm` | one connection, one request at a time, every reply checked and in time |
//! | `guard`, `tcp`, `rtu` | the bytes under guard; how the frames of each transport look |
//! | `settings`, `error` | how long and how much; what can go wrong with a read |

mod address;
mod alarm;
mod connection;
mod endpoint;
mod error;
mod guard;
mod line;
mod manual;
mod memory;
mod owner;
mod plan;
mod ranges;
mod reading;
mod rtu;
mod settings;
mod span;
mod table;
mod task;
mod tcp;
mod unit;
mod units;

pub use address::{DEFAULT_PORT, DeviceUrl, DeviceUrlError, EndpointAddress, HostPort};
#[cfg(fuzzing)]
pub use connection::asked;
pub use endpoint::{Endpoint, Endpoints};
pub use error::ReadError;
pub use line::{Parity, SerialLine, StopBits};
pub use manual::{ManualError, manual_address};
pub use owner::Caller;
pub use ranges::{Ranges, RangesError, Readable};
pub use settings::{EndpointSettings, MAX_CONNECTIONS};
pub use span::{Span, SpanError, Words};
pub use table::{ExceptionCode, MAX_BITS, MAX_REGISTERS, Table};
pub use unit::{UnitError, check_unit};

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests;
