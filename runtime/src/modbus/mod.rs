//! The field side: Modbus devices, and how their tables are read in the fewest requests.
//!
//! Spans come in, values or typed errors come out; nobody here knows of guests or grants beyond a [`Readable`] (what may
//! be read), and nothing here can write to a device: of all functions only the four reads are ever sent.
//!
//! A read's way: [`Endpoint::read`] checks the spans against what may be read, the planner turns them into the fewest
//! requests, and the one task that owns the connection of that host and port puts these on the wire, in turn with those
//! of all other callers. A request that fails because of its addresses is halved until only the bad spans fail.
//!
//! | file | what it holds |
//! |---|---|
//! | `address` | device URLs and endpoints |
//! | `unit`, `table`, `span`, `ranges` | the vocabulary: which unit, which table, which addresses, what may be read |
//! | `plan` | the fewest requests for a list of spans, with the proof |
//! | `endpoint` | the read itself: plan, hand over, halve, put together; and the register of all endpoints |
//! | `task` | the owner of a connection: turns, reconnects, backoff |
//! | `connection` | one connection, one request at a time, every reply checked |
//! | `tcp` | the bytes of Modbus TCP under guard; each further transport is a file beside it |
//! | `settings`, `error` | how long and how much; what can go wrong with a read |

mod address;
mod connection;
mod endpoint;
mod error;
mod plan;
mod ranges;
mod settings;
mod span;
mod table;
mod task;
mod tcp;
mod unit;

pub use address::{DEFAULT_PORT, DeviceUrl, DeviceUrlError, EndpointAddress};
pub use endpoint::{Endpoint, Endpoints};
pub use error::ReadError;
pub use ranges::{Ranges, RangesError, Readable};
pub use settings::EndpointSettings;
pub use span::{Span, SpanError, Words};
pub use table::{ExceptionCode, MAX_BITS, MAX_REGISTERS, Table};
pub use unit::{UnitError, check_unit};

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests;
