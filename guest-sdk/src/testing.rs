//! A host for unit tests: what the runtime would be, under the control of the test, on the machine that runs `cargo test`.
//!
//! ```
//! use pattoo_guest::{Datapoint, modbus::Device, target, testing::Host};
//! use serde_json::json;
//!
//! fn collect() -> pattoo_guest::Result {
//!     let registers = Device::new("plc1").holding(0, 2)?;
//!     target("plc1").emit_datapoint(Datapoint::new("Level", registers[1]).with("unit", "001"))?;
//!     Ok(())
//! }
//!
//! let collection = Host::new().modbus("plc1", |plc| plc.unit(1).holding(0, &[17, 42])).collect(collect);
//!
//! assert_eq!(collection.outcome, Ok(()));
//! assert_eq!(collection.value("plc1", "level"), Some(&42.into()));
//!
//! // Nothing is granted that the test did not set up, just like in the field.
//! let collection = Host::new().collect(collect);
//! let text = "plc1, 2 holding registers from address 0: no device of that name is granted";
//! assert_eq!(collection.outcome, Err(text.to_owned()));
//! ```
//!
//! It follows the rules of the contract as far as a collector's logic can depend on them: which datapoints are refused, what is
//! denied, what a device answers. It knows none of the limits on time and sizes except the number of datapoints, no redirects,
//! and neither methods nor paths of a grant. Only the runtime knows those, and `pattoo-wasm run` shows them.
//!
//! The functions of this crate find the host of their own thread, so tests run in parallel. Outside of [`Host::collect`]
//! they panic.

mod datapoints;
pub(crate) mod host;
mod http;
mod modbus;
mod state;

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;

pub use self::{http::Answer, modbus::FakeDevice};
use crate::clock::Timestamp;
use crate::datapoints::{Datapoint, Rejection, Value};
use crate::http::Request;
use crate::log::Level;
use crate::modbus::Span;

/// What a test sets up: who the collector is, what it was granted, and what devices and sites answer.
///
/// Without any of it: program `TEST`, every 300 seconds, at 2023-11-14T22:13:20Z, no settings, nothing granted.
#[derive(Clone, Debug)]
pub struct Host {
    program: String,
    polling_interval: u32,
    collection_time: Timestamp,
    settings: String,
    devices: Vec<FakeDevice>,
    sites: Vec<http::Site>,
    state: BTreeMap<String, Vec<u8>>,
}

impl Host {
    /// A host that granted nothing.
    pub fn new() -> Self {
        Self {
            program: "TEST".to_owned(),
            polling_interval: 300,
            collection_time: Timestamp::from_unix_millis(1_700_000_000_000),
            settings: "{}".to_owned(),
            devices: Vec::new(),
            sites: Vec::new(),
            state: BTreeMap::new(),
        }
    }

    /// The name of the program.
    #[must_use]
    pub fn program(self, name: &str) -> Self {
        Self { program: name.to_owned(), ..self }
    }

    /// The time between the starts of two collections; parts of a second are left out.
    #[must_use]
    pub fn polling_interval(self, interval: Duration) -> Self {
        Self { polling_interval: interval.as_secs().try_into().unwrap_or(u32::MAX), ..self }
    }

    /// When the collection begins. Its clocks move by a millisecond whenever one of them is read, so that tests give the
    /// same on each run.
    #[must_use]
    pub fn collection_time(self, time: Timestamp) -> Self {
        Self { collection_time: time, ..self }
    }

    /// What the operator set, such as `json!({"tickers": ["ABC"]})`.
    ///
    /// # Panics
    /// It cannot be written as JSON.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that sets nonsense must fail")]
    pub fn settings(self, settings: impl Serialize) -> Self {
        Self { settings: serde_json::to_string(&settings).expect("settings are JSON"), ..self }
    }

    /// Grants a device: see [`FakeDevice`] for what it can be told to answer.
    #[must_use]
    pub fn modbus(mut self, name: &str, device: impl FnOnce(FakeDevice) -> FakeDevice) -> Self {
        self.devices.push(device(FakeDevice::new(name)));
        self
    }

    /// Grants the origin of a URL, and says what is found under that URL: JSON, a [`Response`](crate::http::Response), or
    /// an [`ErrorKind`](crate::http::ErrorKind). Any other URL of the origin is answered with status 404.
    ///
    /// # Panics
    /// It is not an absolute URL.
    #[must_use]
    pub fn http(mut self, url: &str, answer: impl Into<Answer>) -> Self {
        self.sites.push(http::Site::new(url, answer.into()));
        self
    }

    /// What an earlier collection left behind under a key.
    #[must_use]
    pub fn state(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.state.insert(key.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Makes one collection. The host may be used for another one, which finds the [`state`](crate::state) that this one left.
    ///
    /// # Panics
    /// The collector panics; under wasm that would be a trap.
    pub fn collect(&mut self, collect: impl FnOnce() -> crate::Result) -> Collection {
        let (outcome, run) = host::with(host::Run::new(self), collect);
        if outcome.is_ok() {
            self.state.clone_from(&run.state);
        }
        Collection {
            outcome: outcome.map_err(|error| error.to_string()),
            rejected: run.rejected,
            logs: run.logs,
            requests: run.requests,
            reads: run.reads,
            state: self.state.clone(),
            emitted: run.datapoints.into_emitted(),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of a collection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Collection {
    /// How it ended; an error is the text that the operator would read.
    pub outcome: Result<(), String>,
    /// What was refused, in order.
    pub rejected: Vec<Rejection>,
    /// What was logged, in order.
    pub logs: Vec<LogLine>,
    /// What was fetched, or tried to, in order.
    pub requests: Vec<Request>,
    /// What was read of devices, or tried to, in order.
    pub reads: Vec<Span>,
    /// What the next collection will find.
    pub state: BTreeMap<String, Vec<u8>>,
    emitted: Vec<Emitted>,
}

impl Collection {
    /// What was taken, in order. Keys and metadata are as pattoo has them: keys in lower case, and no white space around anything.
    pub fn datapoints(&self) -> &[Emitted] {
        &self.emitted
    }

    /// Target, key and value of what was taken, in order: the short form for a test that looks at all of it.
    pub fn values(&self) -> Vec<(&str, &str, Value)> {
        self.emitted
            .iter()
            .map(|Emitted { target, datapoint }| (target.as_str(), datapoint.key.as_str(), datapoint.value.clone()))
            .collect()
    }

    /// The value that was taken of a target under a key, which is in lower case; the first one if there are several.
    pub fn value(&self, target: &str, key: &str) -> Option<&Value> {
        let found = self.emitted.iter().find(|emitted| emitted.target == target && emitted.datapoint.key == key);
        found.map(|emitted| &emitted.datapoint.value)
    }
}

/// A datapoint that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The name of its target.
    pub target: String,
    /// The datapoint.
    pub datapoint: Datapoint,
}

/// A line that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
}

#[cfg(test)]
mod tests;
