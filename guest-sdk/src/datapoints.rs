//! The way of a measurement to pattoo.
//!
//! ```
//! # use pattoo_guest::testing::Host;
//! use pattoo_guest::{Datapoint, Value, target};
//!
//! # fn collect() -> pattoo_guest::Result {
//! # let register = 235;
//! // A single value is a line.
//! target("SITE_A").emit("ABC", Value::float(123.456))?;
//!
//! // More can be said about one …
//! let level = Datapoint::new("input_register_30386", register).with("unit", "007").note("firmware", "1.2");
//! target("plc1").emit_datapoint(level)?;
//!
//! // … and many go together, where one that is refused costs no other.
//! let flow = (0..4).map(|line| Datapoint::new(format!("flow_{line}"), 0.5));
//! target("plc1").emit_all(flow)?.into_result()?;
//! # Ok(())
//! # }
//! # assert_eq!(Host::new().collect(collect).outcome, Ok(()));
//! ```
//!
//! # What is refused
//!
//! The runtime takes a datapoint or says why not, see [`Reason`]. Refused datapoints are logged and counted for the
//! operator in any case, and what was taken is kept even if the collection fails later. A guest decides what else happens:
//!
//! - [`Target::emit`] and [`Target::emit_datapoint`] hand over one, and a refusal is their error. With `?` it ends the collection.
//! - [`Target::emit_all`] hands over many and returns those that were refused as [`Rejections`], which the compiler does not let
//!   anybody overlook: [`into_result`](Rejections::into_result) makes them an error, [`ignore`](Rejections::ignore) says that the
//!   log line is enough, and a loop looks at each.

use core::fmt;

use crate::{clock::Timestamp, host};

/// A measured value. The case chooses pattoo's data type.
///
/// Numbers of Rust become values by `into()`, which [`Datapoint::new`] and [`Target::emit`] do: integers [`Integer`](Value::Integer),
/// `f32` and `f64` [`Float`](Value::Float), strings [`Text`](Value::Text).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number. Example: a register that counts litres.
    Integer(i64),
    /// A number that was whole before a multiplier was applied, which pattoo files under integers. Example: register 235 x 0.1 = 23.5.
    Scaled(f64),
    /// A floating-point number, finite and of an absolute value below 1e30. Example: a price of 123.456.
    Float(f64),
    /// A counter that only grows and wraps at 2^32. Pattoo stores its rate of change.
    Counter32(u32),
    /// A counter that only grows and wraps at 2^64. Pattoo stores its rate of change.
    Counter64(u64),
    /// Text. White space around it is removed. The server accepts text and keeps it out of its time series.
    Text(String),
}

impl Value {
    /// An [`Integer`](Value::Integer), from any type that always fits.
    pub fn integer(value: impl Into<i64>) -> Self {
        Self::Integer(value.into())
    }

    /// A [`Scaled`](Value::Scaled) number.
    pub fn scaled(value: impl Into<f64>) -> Self {
        Self::Scaled(value.into())
    }

    /// A [`Float`](Value::Float).
    pub fn float(value: impl Into<f64>) -> Self {
        Self::Float(value.into())
    }

    /// A [`Counter32`](Value::Counter32).
    pub fn counter32(value: u32) -> Self {
        Self::Counter32(value)
    }

    /// A [`Counter64`](Value::Counter64).
    pub fn counter64(value: impl Into<u64>) -> Self {
        Self::Counter64(value.into())
    }

    /// A [`Text`](Value::Text).
    pub fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }
}

macro_rules! from_numbers {
    ($constructor:ident: $($number:ty),+) => {
        $(impl From<$number> for Value {
            fn from(value: $number) -> Self {
                Self::$constructor(value)
            }
        })+
    };
}

// Not `u64`: whether it is a counter or must be checked to fit, the author knows and we don't.
from_numbers!(integer: i8, i16, i32, i64, u8, u16, u32);
from_numbers!(float: f32, f64);
from_numbers!(text: &str, String);

/// A name and a value that describe a datapoint, such as `unit` = `007`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadatum {
    /// Lower-cased and stripped of white space around it; refused when then empty, when it contains `pattoo`, or is longer than 512 bytes.
    pub key: String,
    /// Stripped of white space around it; may be empty.
    pub value: String,
    /// Whether this is part of what makes the series what it is: see [`Datapoint::with`] and [`Datapoint::note`].
    pub identifying: bool,
}

/// One measurement of one thing at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Datapoint {
    /// What was measured, such as `input_register_30386`. Lower-cased and stripped of white space around it; refused when then
    /// empty, when it contains `pattoo`, or when it is too long (program and key together hold 512 bytes).
    pub key: String,
    /// The measured value.
    pub value: Value,
    /// When it was measured; `None` stands for the moment in which it is emitted.
    pub timestamp: Option<Timestamp>,
    /// In the order in which it enters pattoo's checksum: the same metadata in another order is another series.
    pub metadata: Vec<Metadatum>,
}

impl Datapoint {
    /// A datapoint without metadata, measured when it is emitted.
    pub fn new(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: value.into(), timestamp: None, metadata: Vec::new() }
    }

    /// Adds an identifying metadatum: another value is another series on the server. Example: a unit or serial number.
    /// Numbers are written as text, since metadata is always text in pattoo.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`7` and `\"007\"` read better than references to them")]
    pub fn with(self, key: impl Into<String>, value: impl ToString) -> Self {
        self.describe(key.into(), value.to_string(), true)
    }

    /// Adds a metadatum that can change without starting a new series. Example: a firmware version.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "`7` and `\"007\"` read better than references to them")]
    pub fn note(self, key: impl Into<String>, value: impl ToString) -> Self {
        self.describe(key.into(), value.to_string(), false)
    }

    /// Says when it was measured. More than 5 minutes ahead of the host's clock (unless set otherwise) is refused.
    #[must_use]
    pub fn at(self, timestamp: Timestamp) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }

    fn describe(mut self, key: String, value: String, identifying: bool) -> Self {
        self.metadata.push(Metadatum { key, value, identifying });
        self
    }
}

/// The device, site or thing that was measured: `pattoo_agent_polled_target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    name: String,
}

/// The target of that name: 1 to 512 bytes, such as `plc1` or `SITE_A`.
pub fn target(name: impl Into<String>) -> Target {
    Target { name: name.into() }
}

impl Target {
    /// Emits one value.
    ///
    /// # Errors
    /// It was not taken. With `?` that ends the collection, so in a loop over many values [`emit_all`](Target::emit_all) serves better.
    pub fn emit(&self, key: impl Into<String>, value: impl Into<Value>) -> Result<(), EmitError> {
        self.emit_datapoint(Datapoint::new(key, value))
    }

    /// Emits one datapoint.
    ///
    /// # Errors
    /// As for [`emit`](Target::emit).
    pub fn emit_datapoint(&self, datapoint: Datapoint) -> Result<(), EmitError> {
        self.emit_all([datapoint])?.into_result()
    }

    /// Emits many datapoints in one step. One that is refused costs no other and is among those returned.
    ///
    /// # Errors
    /// None of them were taken: the target's name is not valid, or the collection has emitted all that it may.
    pub fn emit_all(&self, datapoints: impl IntoIterator<Item = Datapoint>) -> Result<Rejections, EmitError> {
        match host::emit(&self.name, datapoints.into_iter().collect()) {
            Ok(rejections) => Ok(Rejections { target: self.name.clone(), rejections }),
            Err(kind) => Err(EmitError { target: self.name.clone(), kind }),
        }
    }
}

/// The datapoints of one [`Target::emit_all`] that were refused: none, if all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "some datapoints may have been refused: see `into_result` and `ignore`"]
pub struct Rejections {
    target: String,
    rejections: Vec<Rejection>,
}

impl Rejections {
    /// An error if anything was refused.
    ///
    /// # Errors
    /// [`EmitErrorKind::Rejected`] with all of them.
    pub fn into_result(self) -> Result<(), EmitError> {
        if self.rejections.is_empty() {
            return Ok(());
        }
        Err(EmitError { target: self.target, kind: EmitErrorKind::Rejected(self.rejections) })
    }

    /// Leaves it at the lines that the runtime writes to the log for each.
    pub fn ignore(self) {}

    /// Whether all were taken.
    pub fn is_empty(&self) -> bool {
        self.rejections.is_empty()
    }

    /// Each that was refused, in the order in which they were given.
    pub fn iter(&self) -> core::slice::Iter<'_, Rejection> {
        self.rejections.iter()
    }
}

impl<'a> IntoIterator for &'a Rejections {
    type Item = &'a Rejection;
    type IntoIter = core::slice::Iter<'a, Rejection>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One datapoint that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Its place among those that were emitted together, from 0.
    pub index: usize,
    /// Its key, as it was given.
    pub key: String,
    /// Why.
    pub reason: Reason,
}

/// Why a datapoint was not taken. Texts are for the author of the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The key is empty, too long, or contains `pattoo`.
    Key(String),
    /// The value is not a finite number below 1e30, or a text that is too long.
    Value(String),
    /// A metadatum has an invalid key.
    Metadata(String),
    /// The timestamp lies too far in the future.
    Timestamp(String),
    /// Another datapoint of this target and collection has the same key, type and identifying metadata.
    Duplicate,
    /// What a later version of the contract may have to say.
    Other(String),
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "datapoint {:?} was refused: {}", self.key, self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(text) | Self::Value(text) | Self::Metadata(text) | Self::Timestamp(text) | Self::Other(text) => {
                f.write_str(text)
            }
            Self::Duplicate => {
                f.write_str("another one with the same key, type and identifying metadata was emitted before")
            }
        }
    }
}

/// Datapoints of a target were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmitError {
    /// The name of the target.
    pub target: String,
    /// Why.
    pub kind: EmitErrorKind,
}

/// Why datapoints were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitErrorKind {
    /// These were refused; the others of the same call were taken.
    Rejected(Vec<Rejection>),
    /// The name of the target is empty, too long, or not printable. None were taken.
    Target(String),
    /// The collection has emitted all that its operator allows. None were taken.
    Quota(String),
    /// What a later version of the contract may have to say. None were taken.
    Other(String),
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {:?}: ", self.target)?;
        match &self.kind {
            EmitErrorKind::Rejected(rejections) => {
                for (place, rejection) in rejections.iter().enumerate() {
                    if place > 0 {
                        f.write_str("; ")?;
                    }
                    write!(f, "{rejection}")?;
                }
                Ok(())
            }
            EmitErrorKind::Target(text) | EmitErrorKind::Quota(text) | EmitErrorKind::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for EmitError {}
