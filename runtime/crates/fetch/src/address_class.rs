//! What kind of place an IP address is.
//!
//! Every address a guest's request could go to is put into a class here, and the class alone decides what grant it takes.
//! An IPv6 address that carries an IPv4 address inside is what it carries: a translator or tunnel on the way unwraps it.
//! Sources: the IANA special-purpose address registries (RFC 6890), RFC 4291, RFC 6052 and RFC 8215 (NAT64), RFC 3056
//! (6to4), RFC 4380 (Teredo), and the cloud providers' documentation for the metadata services.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The class of an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Reachable from anywhere.
    Global,
    /// RFC 1918, unique local (RFC 4193), the former site-local, and local-use NAT64 (RFC 8215).
    Private,
    /// Between a carrier and its customers, 100.64.0.0/10 (RFC 6598); overlay networks use it too.
    Shared,
    /// Network benchmarks (RFC 2544, RFC 5180); also the made-up addresses of some VPN clients.
    Benchmarking,
    /// One network segment (RFC 3927, RFC 4291).
    LinkLocal,
    /// This machine.
    Loopback,
    /// A cloud's metadata service, which gives credentials to every program inside.
    Metadata,
    /// Examples in text (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Groups, not hosts.
    Multicast,
    /// "This host" and "this network", 0.0.0.0/8 and `::`; Linux connects to itself for it.
    Unspecified,
    /// Reserved, deprecated or not assigned for hosts.
    Reserved,
}

/// What it takes to reach an address, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Any grant of an origin that resolves there.
    Granted,
    /// The grant says `private: true`, or its origin is this very address (or `localhost`, for loopback).
    Private,
    /// The grant's origin is this very address.
    Literal,
    /// No grant.
    Never,
}

/// The well-known addresses of metadata services: AWS (instance, containers, pods), Google, Azure, Oracle, Alibaba,
/// Tencent, Scaleway and those that copied them.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

impl AddressClass {
    /// Classifies an address; IPv6 forms that embed IPv4 are unwrapped first.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// What it takes to reach an address of this class.
    pub fn reach(self) -> Reach {
        match self {
            Self::Global => Reach::Granted,
            Self::Private | Self::Shared | Self::Benchmarking | Self::LinkLocal | Self::Loopback => Reach::Private,
            Self::Metadata => Reach::Literal,
            Self::Documentation | Self::Multicast | Self::Unspecified | Self::Reserved => Reach::Never,
        }
    }

    fn strictest(self, other: Self) -> Self {
        if other.reach() > self.reach() { other } else { self }
    }
}

impl fmt::Display for AddressClass {
    /// As an adjective, to stand before "address".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "public",
            Self::Private => "private",
            Self::Shared => "carrier-shared",
            Self::Benchmarking => "benchmarking",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Metadata => "cloud metadata",
            Self::Documentation => "documentation",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
        })
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::Shared,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        // PCP and TURN anycast are the only hosts of the protocol assignments.
        [192, 0, 0, 9 | 10] => AddressClass::Global,
        // Protocol assignments, the withdrawn 6to4 relays, and class E with the broadcast address.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => AddressClass::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18 | 19, ..] => AddressClass::Benchmarking,
        [224..=239, ..] => AddressClass::Multicast,
        _ => AddressClass::Global,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) {
        return AddressClass::Metadata;
    }
    let inside = embedded_v4(address).into_iter().map(of_v4);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // Where the IPv4 address lies in local-use NAT64 depends on the network's prefix length, so that some of the
        // readings are noise; what a reading can do is make it stricter.
        [0x64, 0xff9b, 1, ..] if inside.clone().any(|class| class == AddressClass::Metadata) => AddressClass::Metadata,
        [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0, 0, 0, 0, 0 | 0xffff, 0, ..]
        | [0, 0, 0, 0, 0, 0xffff, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0x2001, 0, ..]
        | [0x2002, ..] => inside.fold(AddressClass::Global, AddressClass::strictest),
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        // Of the IETF protocol assignments 2001::/23: the anycast services, AMT and AS112, and drone identifiers.
        [0x2001, 1, 0, 0, 0, 0, 0, 1..=3] | [0x2001, 3, ..] | [0x2001, 4, 0x112, ..] => AddressClass::Global,
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Global,
        _ => AddressClass::Reserved,
    }
}

/// The IPv4 addresses that an IPv6 address stands for, if a translator or tunnel on the way unwraps it.
fn embedded_v4(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [.., o7, _, o9, o10, o11, o12, o13, o14, o15] = address.octets();
    let last = Ipv4Addr::new(o12, o13, o14, o15);
    match address.segments() {
        // Compatible, translated (RFC 7915), mapped, NAT64.
        [0, 0, 0, 0, 0 | 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // Local-use NAT64: the layouts of RFC 6052 section 2.2 for prefixes of 48, 56, 64 and 96 bits.
        [0x64, 0xff9b, 1, first, ..] => {
            let [o6, _] = first.to_be_bytes();
            vec![
                Ipv4Addr::new(o6, o7, o9, o10),
                Ipv4Addr::new(o7, o9, o10, o11),
                Ipv4Addr::new(o9, o10, o11, o12),
                last,
            ]
        }
        // Teredo: the server, and the client with its bits inverted.
        [0x2001, 0, high, low, ..] => vec![joined(high, low), Ipv4Addr::from_bits(!last.to_bits())],
        // 6to4.
        [0x2002, high, low, ..] => vec![joined(high, low)],
        _ => Vec::new(),
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// The address itself and every address that it may stand for.
pub(super) fn readings(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(address) = address {
        all.extend(embedded_v4(address).into_iter().map(IpAddr::V4));
    }
    all
}
