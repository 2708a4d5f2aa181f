//! Where a device is: `tcp://host[:port][?unit=7]`.
//!
//! An operator writes these in grants; guests never see them. What is parsed here is in one normal form (lower case,
//! canonical IP addresses), so that two spellings of one endpoint share one connection. Nothing is resolved here.
//!
//! `rtu` and `rtu+tcp` are known by name and refused with a sentence of their own, so that nobody hunts for a typing
//! error in an address that is right.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use super::unit::{UnitError, check_unit};

/// The port of Modbus TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 4.3.2).
pub const DEFAULT_PORT: u16 = 502;

/// A device as an operator names it: an endpoint, and the unit that is meant when a guest names none.
///
/// ```
/// # use pattoo_wasm::modbus::DeviceUrl;
/// let device: DeviceUrl = "tcp://192.0.2.10?unit=7".parse().unwrap();
/// assert_eq!(device.endpoint().to_string(), "tcp://192.0.2.10:502");
/// assert_eq!(device.unit(), Some(7));
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

    /// The unit that the URL names, if it names one: 0 to 247, or 255.
    pub fn unit(&self) -> Option<u8> {
        self.unit
    }
}

/// One endpoint: what a single connection leads to. Devices with the same endpoint share that connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointAddress {
    host: Host,
    port: u16,
}

impl EndpointAddress {
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

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "tcp://{name}:{}", self.port),
            Host::V4(address) => write!(f, "tcp://{address}:{}", self.port),
            Host::V6(address) => write!(f, "tcp://[{address}]:{}", self.port),
        }
    }
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        self.unit.map_or(Ok(()), |unit| write!(f, "?unit={unit}"))
    }
}

/// Why a text is not the URL of a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceUrlError {
    /// There is no `scheme://`.
    #[error("a device URL starts with `tcp://`: write `tcp://{0}`")]
    NoScheme(String),
    /// A transport that is Modbus, but that this version does not speak.
    #[error("the transport `{0}` is not supported by this version; `tcp` is")]
    TransportNotSupported(&'static str),
    /// A scheme that is no Modbus transport.
    #[error("`{0}` is not a Modbus transport; a device URL looks like `tcp://192.0.2.10:502?unit=1`")]
    UnknownScheme(String),
    /// `tcp://` with nothing after it, or `tcp://:502`.
    #[error("the device URL names no host")]
    NoHost,
    /// The host is neither a name, nor an IPv4 address in four decimal parts, nor an IPv6 address in brackets.
    #[error("`{0}` is neither a host name, nor an IPv4 address, nor an IPv6 address in brackets")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("`{0}` is not a port: a number from 1 to 65535 is")]
    Port(String),
    /// Something where only `?unit=…` may follow the port: a path, a fragment, a user name.
    #[error("`{0}` has no meaning in a device URL: after the port only `?unit=` may follow")]
    Surplus(String),
    /// A query key other than `unit`.
    #[error("a device URL knows no `{0}`: only `unit` can be set")]
    UnknownKey(String),
    /// `unit` is given twice.
    #[error("the device URL names its unit twice")]
    UnitTwice,
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
        match scheme.to_ascii_lowercase().as_str() {
            "tcp" => {}
            "rtu" => return Err(DeviceUrlError::TransportNotSupported("rtu")),
            "rtu+tcp" => return Err(DeviceUrlError::TransportNotSupported("rtu+tcp")),
            _ => return Err(DeviceUrlError::UnknownScheme(scheme.to_owned())),
        }
        let (authority, query) =
            rest.split_once('?').map_or((rest, None), |(authority, query)| (authority, Some(query)));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if let Some(found) = authority.find(['/', '#', '@']) {
            let surplus = authority.get(found..).unwrap_or(authority);
            return Err(DeviceUrlError::Surplus(surplus.to_owned()));
        }
        Ok(Self { endpoint: parse_authority(authority)?, unit: query.map_or(Ok(None), parse_query)? })
    }
}

fn parse_authority(authority: &str) -> Result<EndpointAddress, DeviceUrlError> {
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
    Ok(EndpointAddress { host, port: port.map_or(Ok(DEFAULT_PORT), parse_port)? })
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

fn parse_query(query: &str) -> Result<Option<u8>, DeviceUrlError> {
    let mut unit = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != "unit" {
            return Err(DeviceUrlError::UnknownKey(key.to_owned()));
        }
        if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DeviceUrlError::UnitText(value.to_owned()));
        }
        let number: u64 = value.parse().map_err(|_| DeviceUrlError::UnitText(value.to_owned()))?;
        if unit.replace(check_unit(number)?).is_some() {
            return Err(DeviceUrlError::UnitTwice);
        }
    }
    Ok(unit)
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
        assert_eq!(device.endpoint().host(), "2001:db8::1");
        assert_eq!(device.to_string(), "tcp://[2001:db8::1]:1502");
        assert_eq!(parse("tcp://2001:db8::1"), Err(DeviceUrlError::Host("2001:db8::1".into())));
    }

    #[test]
    fn each_mistake_is_named_for_what_it_is() {
        use DeviceUrlError as E;
        let cases = [
            ("192.0.2.10", E::NoScheme("192.0.2.10".into())),
            ("rtu:///dev/ttyUSB0?baud=19200", E::TransportNotSupported("rtu")),
            ("rtu+tcp://gateway:4001", E::TransportNotSupported("rtu+tcp")),
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
            ("tcp://plc?unit=1&unit=2", E::UnitTwice),
            ("tcp://plc?unit=248", E::Unit(UnitError(248))),
            ("tcp://plc?unit=256", E::Unit(UnitError(256))),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_parsed_is_parsed_again_from_its_own_text(text in "tcp://[a-z0-9.:\\[\\]-]{0,20}(\\?unit=[0-9]{1,3})?") {
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
