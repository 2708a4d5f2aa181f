//! Where a device is: `tcp://host[:port]`, `rtu+tcp://host:port` or `rtu:///dev/ttyUSB0`, each with `?unit=7`.
//!
//! An operator writes these in grants; guests never see them. What is parsed here is in one normal form (lower case,
//! canonical IP addresses), so that two spellings of one endpoint share one connection. Nothing is resolved here.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};

use thiserror::Error;

use super::{
    line::{MAX_BAUD, MIN_BAUD, Parity, SerialLine, StopBits},
    unit::{UnitError, check_unit},
};

/// The port of Modbus TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 4.3.2).
pub const DEFAULT_PORT: u16 = 502;

/// A device as an operator names it: an endpoint, and the unit that is meant when a guest names none.
///
/// ```
/// # use pattoo_modbus::DeviceUrl;
/// let device: DeviceUrl = "tcp://192.0.2.10?unit=7".parse().unwrap();
/// assert_eq!(device.endpoint().to_string(), "tcp://192.0.2.10:502");
/// assert_eq!(device.unit(), Some(7));
/// let device: DeviceUrl = "rtu:///dev/ttyUSB0?baud=9600".parse().unwrap();
/// assert_eq!(device.endpoint().to_string(), "rtu:///dev/ttyUSB0?baud=9600&parity=even&stop=1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceUrl {
    endpoint: EndpointAddress,
    unit: Option<u8>,
}

impl DeviceUrl {
    /// The endpoint that the device is reached through.
    pub fn endpoint(&self) -> &EndpointAddress {
        &self.endpoint
    }

    /// The unit that the URL names, if it names one: 0 to 247, or 255; on a serial line 1 to 247.
    pub fn unit(&self) -> Option<u8> {
        self.unit
    }
}

/// One endpoint: what a single connection or line leads to. Devices with the same endpoint share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointAddress {
    /// Modbus TCP.
    Tcp(HostPort),
    /// The frames of a serial line through a TCP connection, as transparent serial servers have it.
    RtuOverTcp(HostPort),
    /// A serial line of this machine.
    Serial(SerialLine),
}

impl EndpointAddress {
    /// Whether the frames are those of a serial line: without a transaction number, with a checksum.
    pub fn is_rtu(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// Checks that a read can be asked of that unit there.
    ///
    /// On a serial line 0 is the broadcast address, which no unit answers, so nothing can be read from it; and 255 is
    /// reserved (Modbus over Serial Line V1.02, sections 2.1 and 2.2).
    ///
    /// # Errors
    /// [`UnitError::Reserved`] for numbers that name no unit anywhere, [`UnitError::NotOnSerial`] for 0 and 255 on a serial
    /// line.
    pub fn check_unit(&self, number: u64) -> Result<u8, UnitError> {
        match check_unit(number)? {
            unit @ (0 | 255) if self.is_rtu() => Err(UnitError::NotOnSerial(unit)),
            unit => Ok(unit),
        }
    }

    /// The URL of a unit there; none for a unit that cannot be there.
    pub fn with_unit(&self, unit: u8) -> Option<DeviceUrl> {
        let unit = self.check_unit(unit.into()).ok()?;
        Some(DeviceUrl { endpoint: self.clone(), unit: Some(unit) })
    }

    /// What makes this endpoint the same as another: all but how the line's bytes are sent.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Tcp(host) => Place::Tcp(host.clone()),
            Self::RtuOverTcp(host) => Place::RtuOverTcp(host.clone()),
            Self::Serial(line) => Place::Serial(line.path.clone()),
        }
    }
}

/// Of what there is only one: an endpoint without the settings of its line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Tcp(HostPort),
    RtuOverTcp(HostPort),
    Serial(PathBuf),
}

/// A host and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// The host as a resolver takes it: a name in lower case, or an IP address without brackets.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::V4(address) => address.to_string(),
            Host::V6(address) => address.to_string(),
        }
    }

    /// The TCP port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Host {
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::V4(address) => write!(f, "{address}:{}", self.port),
            Host::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
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

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        let sign = if matches!(self.endpoint, EndpointAddress::Serial(_)) { '&' } else { '?' };
        self.unit.map_or(Ok(()), |unit| write!(f, "{sign}unit={unit}"))
    }
}

/// Why a text is not the URL of a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceUrlError {
    /// There is no `scheme://`.
    #[error("a device URL starts with its transport: write `tcp://{0}`, `rtu+tcp://{0}` or `rtu:///dev/…`")]
    NoScheme(String),
    /// A scheme that is no Modbus transport.
    #[error(
        "`{0}` is not a Modbus transport; a device URL looks like `tcp://192.0.2.10:502?unit=1`, `rtu+tcp://192.0.2.10:4001` or \
         `rtu:///dev/ttyUSB0?baud=19200&parity=even&stop=1`"
    )]
    UnknownScheme(String),
    /// `tcp://` with nothing after it, or `tcp://:502`.
    #[error("the device URL names no host")]
    NoHost,
    /// `rtu+tcp://` without a port: there is no usual one.
    #[error("`rtu+tcp` has no usual port: write the one of the serial server, as in `rtu+tcp://{0}:4001`")]
    NoPort(String),
    /// `rtu://` with something that is not the path of a device file.
    #[error("`{0}` is not the whole path of a serial line: write it as in `rtu:///dev/ttyUSB0`")]
    LinePath(String),
    /// `baud` is not a speed.
    #[error("`{0}` is not a speed in baud: a number from {MIN_BAUD} to {MAX_BAUD} is, such as 9600 or 19200")]
    Baud(String),
    /// `parity` is neither of the three.
    #[error("`{0}` is not a parity: `none`, `even` and `odd` are")]
    Parity(String),
    /// `stop` is neither 1 nor 2.
    #[error("`{0}` is not a number of stop bits: 1 and 2 are")]
    StopBits(String),
    /// `data` is not 8.
    #[error("`{0}` data bits are not possible: RTU frames have 8 (7 would be Modbus ASCII, which is not spoken here)")]
    DataBits(String),
    /// `baud`, `parity`, `stop` or `data` where no serial line is opened by us.
    #[error("`{0}` belongs to a serial line of this machine (`rtu:///dev/…`); here the other side sets it")]
    NotHere(&'static str),
    /// The host is neither a name, nor an IPv4 address in four decimal parts, nor an IPv6 address in brackets.
    #[error("`{0}` is neither a host name, nor an IPv4 address, nor an IPv6 address in brackets")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("`{0}` is not a port: a number from 1 to 65535 is")]
    Port(String),
    /// Something where only `?unit=…` may follow the port: a path, a fragment, a user name.
    #[error("`{0}` has no meaning in a device URL: after the port only `?unit=` may follow")]
    Surplus(String),
    /// A query key that does not exist.
    #[error(
        "a device URL knows no `{0}`: `unit` can be set, and for `rtu:///dev/…` also `baud`, `parity`, `stop` and `data`"
    )]
    UnknownKey(String),
    /// A key is given twice.
    #[error("the device URL names its `{0}` twice")]
    Twice(&'static str),
    /// `unit` is not a number.
    #[error("`{0}` is not a unit: a number from 0 to 247, or 255, is")]
    UnitText(String),
    /// `unit` is a number that names no unit.
    #[error(transparent)]
    Unit(#[from] UnitError),
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
            "tcp" => {
                let (host, port) = parse_authority(place)?;
                EndpointAddress::Tcp(HostPort { host, port: port.unwrap_or(DEFAULT_PORT) })
            }
            "rtu+tcp" => {
                let (host, port) = parse_authority(place)?;
                let port = port.ok_or_else(|| DeviceUrlError::NoPort(place.to_owned()))?;
                EndpointAddress::RtuOverTcp(HostPort { host, port })
            }
            "rtu" => EndpointAddress::Serial(query.line(place)?),
            _ => return Err(DeviceUrlError::UnknownScheme(scheme.to_owned())),
        };
        if !matches!(endpoint, EndpointAddress::Serial(_)) {
            query.names_no_line()?;
        }
        let unit = query.unit.map(|unit| endpoint.check_unit(unit)).transpose()?;
        Ok(Self { endpoint, unit })
    }
}

fn parse_authority(authority: &str) -> Result<(Host, Option<u16>), DeviceUrlError> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if let Some(found) = authority.find(['/', '#', '@']) {
        let surplus = authority.get(found..).unwrap_or(authority);
        return Err(DeviceUrlError::Surplus(surplus.to_owned()));
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((literal, after)) = rest.split_once(']') else {
            return Err(DeviceUrlError::Host(authority.to_owned()));
        };
        let address = literal.parse().map_err(|_| DeviceUrlError::Host(format!("[{literal}]")))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(DeviceUrlError::Surplus(after.to_owned())),
        };
        (Host::V6(address), port)
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        // Two colons: an IPv6 address without its brackets.
        if port.is_some_and(|port| port.contains(':')) {
            return Err(DeviceUrlError::Host(authority.to_owned()));
        }
        (parse_host(host)?, port)
    };
    Ok((host, port.map(parse_port).transpose()?))
}

fn parse_host(host: &str) -> Result<Host, DeviceUrlError> {
    if host.is_empty() {
        return Err(DeviceUrlError::NoHost);
    }
    let wrong = || DeviceUrlError::Host(host.to_owned());
    let name = host.to_ascii_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    let last = labels.rsplit('.').next().unwrap_or(labels);
    // Resolvers read `127.1`, `0x7f.1` and `2130706433` as IPv4 addresses. Here an address has one spelling.
    let numeric = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    if numeric {
        return name.parse().map(Host::V4).map_err(|_| wrong());
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let sound = labels.len() <= 253
        && labels.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(letter));
    if sound { Ok(Host::Name(name)) } else { Err(wrong()) }
}

/// Digits only: `u16::from_str` alone would take `+502`.
fn parse_port(text: &str) -> Result<u16, DeviceUrlError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if digits => Ok(port),
        _ => Err(DeviceUrlError::Port(text.to_owned())),
    }
}

/// What follows the question mark.
#[derive(Debug, Default)]
struct Query<'a> {
    unit: Option<u64>,
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
                    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    let number = value.parse().ok().filter(|_| digits);
                    let number = number.ok_or_else(|| DeviceUrlError::UnitText(value.to_owned()))?;
                    if query.unit.replace(number).is_some() {
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

    /// The serial line at that path with the settings that were named.
    fn line(&self, path: &str) -> Result<SerialLine, DeviceUrlError> {
        let part = |part: &str| !part.is_empty() && part != "." && part != "..";
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'%');
        let Some(parts) = path.strip_prefix('/').filter(|parts| plain && parts.split('/').all(part)) else {
            return Err(DeviceUrlError::LinePath(path.to_owned()));
        };
        let mut line = SerialLine::at(PathBuf::from(format!("/{parts}")));
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
            None | Some("8") => Ok(line),
            Some(other) => Err(DeviceUrlError::DataBits(other.to_owned())),
        }
    }

    fn names_no_line(&self) -> Result<(), DeviceUrlError> {
        let named = [("baud", self.baud), ("parity", self.parity), ("stop", self.stop), ("data", self.data)];
        match named.into_iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) => Err(DeviceUrlError::NotHere(key)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DeviceUrl, DeviceUrlError> {
        text.parse()
    }

    #[test]
    fn the_port_is_502_and_the_unit_is_open_unless_they_are_named() {
        let device = parse("tcp://plc-7.example").unwrap();
        assert_eq!(device.to_string(), "tcp://plc-7.example:502");
        assert_eq!(device.unit(), None);
        assert_eq!(parse("tcp://10.0.0.1:1502/?unit=0").unwrap().unit(), Some(0));
        assert_eq!(parse("tcp://10.0.0.1?unit=255").unwrap().unit(), Some(255));
    }

    #[test]
    fn spellings_of_one_endpoint_are_one_endpoint() {
        let same = |one: &str, other: &str| {
            assert_eq!(parse(one).unwrap().endpoint(), parse(other).unwrap().endpoint());
        };
        same("tcp://PLC.example", "TCP://plc.example:502?unit=3");
        same("tcp://[0:0:0::1]:502", "tcp://[::1]");
    }

    #[test]
    fn an_ipv6_host_has_brackets_in_the_url_and_none_for_the_resolver() {
        let device = parse("tcp://[2001:DB8::1]:1502").unwrap();
        let EndpointAddress::Tcp(address) = device.endpoint() else { panic!("{device}") };
        assert_eq!(address.host(), "2001:db8::1");
        assert_eq!(device.to_string(), "tcp://[2001:db8::1]:1502");
        assert_eq!(parse("tcp://2001:db8::1"), Err(DeviceUrlError::Host("2001:db8::1".into())));
    }

    #[test]
    fn each_mistake_is_named_for_what_it_is() {
        use DeviceUrlError as E;
        let cases = [
            ("192.0.2.10", E::NoScheme("192.0.2.10".into())),
            ("rtu+tcp://gateway", E::NoPort("gateway".into())),
            ("rtu+tcp://gateway:4001?baud=9600", E::NotHere("baud")),
            ("tcp://plc?parity=even", E::NotHere("parity")),
            ("rtu://ttyUSB0", E::LinePath("ttyUSB0".into())),
            ("rtu:///dev/../etc/x", E::LinePath("/dev/../etc/x".into())),
            ("rtu:///", E::LinePath("/".into())),
            ("rtu:///dev/tty USB0", E::LinePath("/dev/tty USB0".into())),
            ("rtu:///dev/ttyUSB0?baud=fast", E::Baud("fast".into())),
            ("rtu:///dev/ttyUSB0?baud=5000000", E::Baud("5000000".into())),
            ("rtu:///dev/ttyUSB0?parity=N", E::Parity("N".into())),
            ("rtu:///dev/ttyUSB0?stop=1.5", E::StopBits("1.5".into())),
            ("rtu:///dev/ttyUSB0?data=7", E::DataBits("7".into())),
            ("rtu:///dev/ttyUSB0?baud=9600&baud=9600", E::Twice("baud")),
            ("rtu:///dev/ttyUSB0?unit=0", E::Unit(UnitError::NotOnSerial(0))),
            ("rtu+tcp://gateway:4001?unit=255", E::Unit(UnitError::NotOnSerial(255))),
            ("http://plc", E::UnknownScheme("http".into())),
            ("tcp://", E::NoHost),
            ("tcp://:502", E::NoHost),
            ("tcp://127.1", E::Host("127.1".into())),
            ("tcp://0x7f000001", E::Host("0x7f000001".into())),
            ("tcp://2130706433", E::Host("2130706433".into())),
            ("tcp://010.0.0.1", E::Host("010.0.0.1".into())),
            ("tcp://a..b", E::Host("a..b".into())),
            ("tcp://pl c", E::Host("pl c".into())),
            ("tcp://[fe80::1%eth0]", E::Host("[fe80::1%eth0]".into())),
            ("tcp://plc:0", E::Port("0".into())),
            ("tcp://plc:+502", E::Port("+502".into())),
            ("tcp://plc:65536", E::Port("65536".into())),
            ("tcp://plc:", E::Port(String::new())),
            ("tcp://plc/units/1", E::Surplus("/units/1".into())),
            ("tcp://me@plc", E::Surplus("@plc".into())),
            ("tcp://plc?units=1", E::UnknownKey("units".into())),
            ("tcp://plc?unit=one", E::UnitText("one".into())),
            ("tcp://plc?unit=", E::UnitText(String::new())),
            ("tcp://plc?unit=1&unit=2", E::Twice("unit")),
            ("tcp://plc?unit=248", E::Unit(UnitError::Reserved(248))),
            ("tcp://plc?unit=256", E::Unit(UnitError::Reserved(256))),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_serial_line_has_the_defaults_of_the_specification() {
        let device = parse("rtu:///dev/serial/by-id/usb-x?unit=9").unwrap();
        assert_eq!(device.to_string(), "rtu:///dev/serial/by-id/usb-x?baud=19200&parity=even&stop=1&unit=9");
        let named = parse("RTU:///dev/ttyS1?stop=2&parity=none&baud=9600&data=8").unwrap();
        assert_eq!(named.endpoint().to_string(), "rtu:///dev/ttyS1?baud=9600&parity=none&stop=2");
        assert_ne!(named.endpoint(), parse("rtu:///dev/ttyS1").unwrap().endpoint());
        assert_eq!(named.endpoint().place(), parse("rtu:///dev/ttyS1").unwrap().endpoint().place());
    }

    proptest::proptest! {
        #[test]
        fn the_url_of_a_line_is_parsed_again_from_its_own_text(
            text in "rtu:///dev/[a-z0-9/.]{0,9}(\\?baud=[0-9]{2,5}(&parity=(none|odd|even))?(&stop=[12])?(&unit=[0-9]{1,2})?)?",
        ) {
            if let Ok(device) = parse(&text) {
                proptest::prop_assert_eq!(parse(&device.to_string()), Ok(device));
            }
        }

        #[test]
        fn what_was_parsed_is_parsed_again_from_its_own_text(text in "(rtu\\+)?tcp://[a-z0-9.:\\[\\]-]{0,20}(\\?unit=[0-9]{1,3})?") {
            if let Ok(device) = parse(&text) {
                proptest::prop_assert_eq!(parse(&device.to_string()), Ok(device));
            }
        }

        #[test]
        fn no_text_at_all_makes_the_parser_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
