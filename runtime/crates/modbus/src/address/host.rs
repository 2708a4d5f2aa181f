//! A host and a port of TCP or UDP.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::error::DeviceUrlError;

/// A host and a port of TCP or UDP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// The host in the form that a resolver accepts: a name in lower case, or an IP address without
    /// brackets, with its zone if it has one.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::V4(address) => address.to_string(),
            Host::V6(address, zone) => with_zone(*address, zone.as_deref()),
        }
    }

    /// The name, or the IP address without its zone.
    pub fn name(&self) -> String {
        self.ip().map_or_else(|| self.host(), |address| address.to_string())
    }

    /// The IP address, if the host is not a name; without its zone.
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address, _) => Some(IpAddr::V6(*address)),
        }
    }

    /// The zone of an IPv6 address: the interface on whose link it is valid.
    pub fn zone(&self) -> Option<&str> {
        if let Host::V6(_, zone) = &self.host { zone.as_deref() } else { None }
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Host {
    Name(String),
    V4(Ipv4Addr),
    /// With a zone, if it is valid on one link only.
    V6(Ipv6Addr, Option<String>),
}

fn with_zone(address: Ipv6Addr, zone: Option<&str>) -> String {
    zone.map_or_else(|| address.to_string(), |zone| format!("{address}%{zone}"))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::V4(address) => write!(f, "{address}:{}", self.port),
            Host::V6(address, zone) => write!(f, "[{}]:{}", with_zone(*address, zone.as_deref()), self.port),
        }
    }
}

impl HostPort {
    /// Parses `host[:port]`.
    pub(super) fn parse(authority: &str, default_port: Option<u16>) -> Result<Self, DeviceUrlError> {
        let (host, port) = parse_authority(authority)?;
        let port = port.or(default_port).ok_or_else(|| DeviceUrlError::NoPort(authority.to_owned()))?;
        Ok(Self { host, port })
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
        let host = parse_v6(literal)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(DeviceUrlError::Surplus(after.to_owned())),
        };
        (host, port)
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

/// `fe80::1%eth0`: an IPv6 address, with a zone if it is link-local (RFC 4007, section 11).
fn parse_v6(literal: &str) -> Result<Host, DeviceUrlError> {
    let wrong = || DeviceUrlError::Host(format!("[{literal}]"));
    let (address, zone) = literal.split_once('%').map_or((literal, None), |(address, zone)| (address, Some(zone)));
    let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // As long as the name of an interface can be (IFNAMSIZ of Linux).
    let is_valid = |zone: &str| (1..=15).contains(&zone.len()) && zone.bytes().all(letter);
    match zone {
        Some(zone) if !address.is_unicast_link_local() => Err(DeviceUrlError::Zone(zone.to_owned())),
        Some(zone) if !is_valid(zone) => Err(wrong()),
        zone => Ok(Host::V6(address, zone.map(str::to_owned))),
    }
}

fn parse_host(host: &str) -> Result<Host, DeviceUrlError> {
    if host.is_empty() {
        return Err(DeviceUrlError::NoHost);
    }
    let wrong = || DeviceUrlError::Host(host.to_owned());
    let name = host.to_ascii_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    let last = labels.rsplit('.').next().unwrap_or(labels);
    // Resolvers accept `127.1`, `0x7f.1` and `2130706433` as IPv4 addresses. Here an address has
    // one spelling only.
    let numeric = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    if numeric {
        return name.parse().map(Host::V4).map_err(|_| wrong());
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_valid = labels.len() <= 253
        && labels.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(letter));
    if is_valid { Ok(Host::Name(name)) } else { Err(wrong()) }
}

/// Digits only: `u16::from_str` alone would accept `+502`.
fn parse_port(text: &str) -> Result<u16, DeviceUrlError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if digits => Ok(port),
        _ => Err(DeviceUrlError::Port(text.to_owned())),
    }
}
