//! Mistakes in the URL of a device.

use thiserror::Error;

use super::serial_line::{MAX_BAUD, MIN_BAUD};
use crate::model::UnitError;

/// Why a text is not the URL of a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceUrlError {
    /// There is no `scheme://`.
    #[error(
        "invalid device URL `{0}`: expected a transport at its start, as in `tcp://{0}`, `rtu+tcp://{0}` or `rtu:///dev/ttyUSB0`"
    )]
    NoScheme(String),
    /// The scheme is not a Modbus transport.
    #[error(
        "`{0}` is not a Modbus transport (`tcp`, `tls`, `udp`, `rtu+tcp`, `ascii+tcp`, `rtu` or `ascii`): expected a URL such as \
         `tcp://192.0.2.10:502?unit=1`, `rtu+tcp://192.0.2.10:4001` or \
         `rtu:///dev/ttyUSB0?baud=19200&parity=even&stop=1`"
    )]
    UnknownScheme(String),
    /// `tcp://` without a host, or `tcp://:502`.
    #[error("the device URL has no host: write one, as in `tcp://192.0.2.10:502`")]
    NoHost,
    /// `rtu+tcp://` or `ascii+tcp://` without a port: there is no default.
    #[error("a serial server has no default port: write its port, as in `rtu+tcp://{0}:4001`")]
    NoPort(String),
    /// `rtu://` or `ascii://` with something that is not the path of a device file.
    #[error("`{0}` is not the absolute path of a serial line: write it as in `rtu:///dev/ttyUSB0`")]
    LinePath(String),
    /// `baud` is not a speed.
    #[error("`{0}` is not a speed in baud: write a number from {MIN_BAUD} to {MAX_BAUD}, such as 9600 or 19200")]
    Baud(String),
    /// `parity` is not one of the three.
    #[error("`{0}` is not a parity: write `none`, `even` or `odd`")]
    Parity(String),
    /// `stop` is neither 1 nor 2.
    #[error("`{0}` is not a number of stop bits: write 1 or 2")]
    StopBits(String),
    /// `data` is not 8, and not 7 in ASCII mode.
    #[error("`{0}` data bits are not supported: RTU frames have 8, ASCII frames (`ascii://`) 7 or 8")]
    DataBits(String),
    /// `baud`, `parity`, `stop` or `data` in a URL that opens no serial line.
    #[error("`{0}` is allowed only for a serial line of this machine (`rtu:///dev/…`): remove it")]
    NotHere(&'static str),
    /// The host is neither a name, nor an IPv4 address in four decimal parts, nor an IPv6 address
    /// in brackets.
    #[error("`{0}` is neither a host name, nor an IPv4 address, nor an IPv6 address in brackets")]
    Host(String),
    /// A zone behind an address that is valid on more than one link.
    #[error("`%{0}` belongs behind a link-local address, which begins with fe80: leave it out")]
    Zone(String),
    /// The port is not a number from 1 to 65535.
    #[error("`{0}` is not a port: write a number from 1 to 65535")]
    Port(String),
    /// A path, a fragment or a user name: only `?unit=…` may follow the port.
    #[error("unexpected `{0}` in a device URL: after the port only `?unit=` is allowed")]
    Surplus(String),
    /// An unknown key in the query.
    #[error(
        "a device URL has no parameter `{0}`: write `unit`, and for `rtu:///dev/…` also `baud`, `parity`, `stop` and `data`"
    )]
    UnknownKey(String),
    /// A key is given twice.
    #[error("the device URL has the parameter `{0}` twice: keep one")]
    Twice(&'static str),
    /// `unit` is not a unit that can be read there.
    #[error(transparent)]
    Unit(#[from] UnitError),
}
