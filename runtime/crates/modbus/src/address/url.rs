//! The URL of a device, and how it is parsed.

use std::{fmt, path::PathBuf, str::FromStr};

use super::{
    EndpointAddress,
    error::DeviceUrlError,
    host::HostPort,
    serial_line::{DataBits, LineMode, MAX_BAUD, MIN_BAUD, Parity, SerialLine, StopBits},
};
use crate::model::Unit;

/// The port of Modbus TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 4.3.2).
pub const DEFAULT_PORT: u16 = 502;

/// The port of Modbus/TCP Security (MODBUS/TCP Security Protocol Specification, section 6).
pub const SECURE_PORT: u16 = 802;

/// The URL of a device: its endpoint, and the unit that is read when a caller does not choose one.
///
/// ```
/// # use pattoo_modbus::DeviceUrl;
/// let device: DeviceUrl = "tcp://192.0.2.10?unit=7".parse().unwrap();
/// assert_eq!(device.endpoint().to_string(), "tcp://192.0.2.10:502");
/// assert_eq!(device.unit().map(|unit| unit.get()), Some(7));
/// let device: DeviceUrl = "rtu:///dev/ttyUSB0?baud=9600".parse().unwrap();
/// assert_eq!(device.endpoint().to_string(), "rtu:///dev/ttyUSB0?baud=9600&parity=even&stop=1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceUrl {
    endpoint: EndpointAddress,
    unit: Option<Unit>,
}

impl DeviceUrl {
    /// The endpoint of the device.
    pub fn endpoint(&self) -> &EndpointAddress {
        &self.endpoint
    }

    /// The unit in the URL, if there is one; on a serial line 1 to 247.
    pub fn unit(&self) -> Option<Unit> {
        self.unit
    }
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        let sign = if matches!(self.endpoint, EndpointAddress::Serial(_)) { '&' } else { '?' };
        self.unit.map_or(Ok(()), |unit| write!(f, "{sign}unit={unit}"))
    }
}

impl FromStr for DeviceUrl {
    type Err = DeviceUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(DeviceUrlError::NoScheme(text.to_owned()));
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query::parse(query)?;
        let endpoint = match scheme.to_ascii_lowercase().as_str() {
            "tcp" => EndpointAddress::Tcp(HostPort::parse(place, Some(DEFAULT_PORT))?),
            "tls" => EndpointAddress::Tls(HostPort::parse(place, Some(SECURE_PORT))?),
            "udp" => EndpointAddress::Udp(HostPort::parse(place, Some(DEFAULT_PORT))?),
            "rtu+tcp" => EndpointAddress::RtuOverTcp(HostPort::parse(place, None)?),
            "ascii+tcp" => EndpointAddress::AsciiOverTcp(HostPort::parse(place, None)?),
            "rtu" => EndpointAddress::Serial(query.line(place, LineMode::Rtu)?),
            "ascii" => EndpointAddress::Serial(query.line(place, LineMode::Ascii)?),
            _ => return Err(DeviceUrlError::UnknownScheme(scheme.to_owned())),
        };
        if !matches!(endpoint, EndpointAddress::Serial(_)) {
            query.refuse_line_parameters()?;
        }
        let unit = query.unit.map(|unit| endpoint.check_unit(unit)).transpose()?;
        Ok(Self { endpoint, unit })
    }
}

/// The parameters after the question mark.
#[derive(Debug, Default)]
struct Query<'a> {
    unit: Option<Unit>,
    baud: Option<&'a str>,
    parity: Option<&'a str>,
    stop: Option<&'a str>,
    data: Option<&'a str>,
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, DeviceUrlError> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let once = |slot: &mut Option<&'a str>, key| {
                if slot.replace(value).is_some() { Err(DeviceUrlError::Twice(key)) } else { Ok(()) }
            };
            match key {
                "unit" => {
                    if query.unit.replace(value.parse()?).is_some() {
                        return Err(DeviceUrlError::Twice("unit"));
                    }
                }
                "baud" => once(&mut query.baud, "baud")?,
                "parity" => once(&mut query.parity, "parity")?,
                "stop" => once(&mut query.stop, "stop")?,
                "data" => once(&mut query.data, "data")?,
                _ => return Err(DeviceUrlError::UnknownKey(key.to_owned())),
            }
        }
        Ok(query)
    }

    /// The serial line at this path, with the parameters of the query.
    fn line(&self, path: &str, mode: LineMode) -> Result<SerialLine, DeviceUrlError> {
        let part = |part: &str| !part.is_empty() && part != "." && part != "..";
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'%');
        let Some(parts) = path.strip_prefix('/').filter(|parts| plain && parts.split('/').all(part)) else {
            return Err(DeviceUrlError::LinePath(path.to_owned()));
        };
        let mut line = SerialLine::at(PathBuf::from(format!("/{parts}")), mode);
        if let Some(baud) = self.baud {
            let digits = baud.bytes().all(|byte| byte.is_ascii_digit());
            let number = baud.parse().ok().filter(|number| digits && (MIN_BAUD..=MAX_BAUD).contains(number));
            line.baud = number.ok_or_else(|| DeviceUrlError::Baud(baud.to_owned()))?;
        }
        match self.parity {
            None | Some("even") => {}
            Some("none") => line.parity = Parity::None,
            Some("odd") => line.parity = Parity::Odd,
            Some(other) => return Err(DeviceUrlError::Parity(other.to_owned())),
        }
        match self.stop {
            None | Some("1") => {}
            Some("2") => line.stop = StopBits::Two,
            Some(other) => return Err(DeviceUrlError::StopBits(other.to_owned())),
        }
        match self.data {
            None => {}
            Some("7") if mode == LineMode::Ascii => line.data = DataBits::Seven,
            Some("8") => line.data = DataBits::Eight,
            Some(other) => return Err(DeviceUrlError::DataBits(other.to_owned())),
        }
        Ok(line)
    }

    fn refuse_line_parameters(&self) -> Result<(), DeviceUrlError> {
        let named = [("baud", self.baud), ("parity", self.parity), ("stop", self.stop), ("data", self.data)];
        match named.into_iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) => Err(DeviceUrlError::NotHere(key)),
            None => Ok(()),
        }
    }
}
