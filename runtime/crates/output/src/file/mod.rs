//! A file of JSON lines, one for each datapoint.
//!
//! ```json
//! {"program":"BOILER","agent_id":"…","host":"gateway-7","target":"boiler-1","key":"flow","value":61.5,"type":"float","timestamp":1700000000000,"metadata":{"unit":"°C"}}
//! ```
//!
//! Names and values are as they were emitted. Payloads are appended and synced before the spool lets go of them, so a line can
//! be there twice after a crash, and none is missing. A line that a crash left unfinished is cut off when the file is opened
//! again. At a size the file is rotated: `values.jsonl.1` is the newest of those that are kept.

mod appender;
mod lines;
mod settings;

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::format_collect,
    clippy::naive_bytecount,
    reason = "small numbers and texts in tests"
)]
mod tests;

pub use self::settings::{Settings, form};
