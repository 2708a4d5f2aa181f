//! Addresses of devices: `tcp://host[:port]`, `rtu+tcp://host:port` or `rtu:///dev/ttyUSB0`, each
//! with `?unit=7`.
//!
//! Operators write these URLs in grants; collectors never see them. Parsing normalises them (lower
//! case, canonical IP addresses), so that two spellings of one endpoint share one connection.
//! Nothing is resolved here.

mod error;
mod host;
mod serial_line;
mod url;

#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

pub use self::{
    error::DeviceUrlError,
    host::HostPort,
    serial_line::{Parity, SerialLine, StopBits},
    url::{DEFAULT_PORT, DeviceUrl},
};
use crate::model::{Unit, UnitError};

/// An endpoint: what one TCP connection or one serial line leads to. Devices with the same endpoint
/// share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointAddress {
    /// Modbus TCP.
    Tcp(HostPort),
    /// The frames of a serial line over a TCP connection, as with transparent serial servers.
    RtuOverTcp(HostPort),
    /// A serial line of this machine.
    Serial(SerialLine),
}

impl EndpointAddress {
    /// Whether the frames are those of a serial line: no transaction identifier, but a checksum.
    pub fn is_rtu(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// Checks that a unit can be read at this endpoint.
    ///
    /// On a serial line 0 is the broadcast address, which no unit answers, and 248 to 255 are
    /// reserved (Modbus over Serial Line V1.02, sections 2.1 and 2.2).
    ///
    /// # Errors
    /// [`UnitError::NotOnSerial`] for 0 and 248 to 255 on a serial line.
    pub fn check_unit(&self, unit: Unit) -> Result<Unit, UnitError> {
        if self.is_rtu() && !unit.is_on_serial() { Err(UnitError::NotOnSerial(unit.get())) } else { Ok(unit) }
    }

    /// What identifies the endpoint: everything but the parameters of a serial line.
    pub(crate) fn key(&self) -> EndpointKey {
        match self {
            Self::Tcp(host) => EndpointKey::Tcp(host.clone()),
            Self::RtuOverTcp(host) => EndpointKey::RtuOverTcp(host.clone()),
            Self::Serial(line) => EndpointKey::Serial(line.path().to_owned()),
        }
    }
}

/// An endpoint without the parameters of its serial line: all addresses with the same key share one
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EndpointKey {
    Tcp(HostPort),
    RtuOverTcp(HostPort),
    Serial(PathBuf),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::RtuOverTcp(host) => write!(f, "rtu+tcp://{host}"),
            Self::Serial(line) => write!(f, "rtu://{line}"),
        }
    }
}
