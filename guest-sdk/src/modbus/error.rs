//! Why nothing was read.

use core::fmt;

use super::Span;

/// Nothing was read. Displayed it says what was asked for and why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What was asked for.
    pub span: Span,
    /// Why it failed.
    pub kind: ErrorKind,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The grant does not allow this unit, table or address. The text says what would have to be granted.
    Denied(String),
    /// No device of that name is granted.
    UnknownDevice,
    /// The device itself said no.
    Exception(Exception),
    /// The device did not answer in time.
    Timeout,
    /// The device could not be reached, or broke the connection or the protocol.
    Connection(String),
    /// The request makes no sense: no registers, or beyond address 65 535.
    Invalid(String),
    /// The collection has read all that its operator allows.
    Quota(String),
    /// What a later version of the contract may have to say.
    Other(String),
}

/// The exception code of a device's answer (section 7 of the specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exception(pub u8);

impl Exception {
    /// The device does not know the function.
    pub const ILLEGAL_FUNCTION: Self = Self(1);
    /// Some of the addresses do not exist.
    pub const ILLEGAL_DATA_ADDRESS: Self = Self(2);
    /// Mostly: more registers at once than the device can give.
    pub const ILLEGAL_DATA_VALUE: Self = Self(3);
    /// The device failed in the attempt.
    pub const SERVER_DEVICE_FAILURE: Self = Self(4);
    /// The device needs longer for this than an answer may take.
    pub const ACKNOWLEDGE: Self = Self(5);
    /// The device does something else now; ask again.
    pub const SERVER_DEVICE_BUSY: Self = Self(6);
    /// The device's memory is damaged.
    pub const MEMORY_PARITY_ERROR: Self = Self(8);
    /// The gateway is overloaded or wrongly configured.
    pub const GATEWAY_PATH_UNAVAILABLE: Self = Self(10);
    /// The gateway got no answer from the unit.
    pub const GATEWAY_TARGET_FAILED_TO_RESPOND: Self = Self(11);
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::ILLEGAL_FUNCTION => "illegal function",
            Self::ILLEGAL_DATA_ADDRESS => "illegal data address",
            Self::ILLEGAL_DATA_VALUE => "illegal data value",
            Self::SERVER_DEVICE_FAILURE => "server device failure",
            Self::ACKNOWLEDGE => "acknowledge",
            Self::SERVER_DEVICE_BUSY => "server device busy",
            Self::MEMORY_PARITY_ERROR => "memory parity error",
            Self::GATEWAY_PATH_UNAVAILABLE => "gateway path unavailable",
            Self::GATEWAY_TARGET_FAILED_TO_RESPOND => "gateway target device failed to respond",
            Self(code) => return write!(f, "exception {code}"),
        };
        write!(f, "exception {} ({name})", self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.span)?;
        match &self.kind {
            ErrorKind::Denied(text) => write!(f, "denied: {text}"),
            ErrorKind::UnknownDevice => f.write_str("no device of that name is granted"),
            ErrorKind::Exception(exception) => write!(f, "the device answered {exception}"),
            ErrorKind::Timeout => f.write_str("the device did not answer in time"),
            ErrorKind::Connection(text)
            | ErrorKind::Invalid(text)
            | ErrorKind::Quota(text)
            | ErrorKind::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Error {}
