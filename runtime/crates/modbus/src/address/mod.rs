//! Addresses of devices: `tcp://host[:port]`, `tls://…`, `udp://…`, `rtu+tcp://host:port`,
//! `ascii+tcp://…`, `rtu:///dev/ttyUSB0` or `ascii://…`, each with `?unit=7`.
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
    serial_line::{DataBits, LineMode, Parity, SerialLine, StopBits},
    url::{DEFAULT_PORT, DeviceUrl, SECURE_PORT},
};
use crate::model::{Unit, UnitError};

/// An endpoint: what one connection or one serial line leads to. Devices with the same endpoint
/// share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointAddress {
    /// Modbus TCP.
    Tcp(HostPort),
    /// Modbus TCP over TLS: Modbus/TCP Security.
    Tls(HostPort),
    /// The frames of Modbus TCP over UDP, one in each datagram.
    Udp(HostPort),
    /// The frames of a serial line in RTU mode over a TCP connection, as with transparent serial
    /// servers.
    RtuOverTcp(HostPort),
    /// The same in ASCII mode.
    AsciiOverTcp(HostPort),
    /// A serial line of this machine.
    Serial(SerialLine),
}

impl EndpointAddress {
    /// Whether the frames are those of a serial line: no transaction identifier, but a checksum.
    pub fn is_line(&self) -> bool {
        matches!(self, Self::RtuOverTcp(_) | Self::AsciiOverTcp(_) | Self::Serial(_))
    }

    /// The host and port; a serial line of this machine has none.
    pub fn host(&self) -> Option<&HostPort> {
        match self {
            Self::Tcp(host) | Self::Tls(host) | Self::Udp(host) | Self::RtuOverTcp(host) | Self::AsciiOverTcp(host) => {
                Some(host)
            }
            Self::Serial(_) => None,
        }
    }

    /// The transport, as the URL begins: `tcp`.
    fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Udp(_) => "udp",
            Self::RtuOverTcp(_) => "rtu+tcp",
            Self::AsciiOverTcp(_) => "ascii+tcp",
            Self::Serial(line) => match line.mode() {
                LineMode::Rtu => "rtu",
                LineMode::Ascii => "ascii",
            },
        }
    }

    /// Checks that a unit can be read at this endpoint.
    ///
    /// On a serial line 0 is the broadcast address, which no unit answers, and 248 to 255 are
    /// reserved (Modbus over Serial Line V1.02, sections 2.1 and 2.2).
    ///
    /// # Errors
    /// [`UnitError::NotOnSerial`] for 0 and 248 to 255 on a serial line.
    pub fn check_unit(&self, unit: Unit) -> Result<Unit, UnitError> {
        if self.is_line() && !unit.is_on_serial() { Err(UnitError::NotOnSerial(unit.get())) } else { Ok(unit) }
    }

    /// What identifies the endpoint: everything but the parameters of a serial line.
    pub(crate) fn key(&self) -> EndpointKey {
        match self {
            Self::Serial(line) => EndpointKey::Line(line.path().to_owned()),
            network => EndpointKey::Network(network.clone()),
        }
    }
}

/// An endpoint without the parameters of its serial line: all addresses with the same key share one
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EndpointKey {
    Network(EndpointAddress),
    Line(PathBuf),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Tcp(host) | Self::Tls(host) | Self::Udp(host) | Self::RtuOverTcp(host) | Self::AsciiOverTcp(host) => {
                write!(f, "{scheme}://{host}")
            }
            Self::Serial(line) => write!(f, "{scheme}://{line}"),
        }
    }
}
