//! Addresses and their classes, against a table of networks that was written down apart from the code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use AddressClass::{
    Benchmarking, Documentation, Global, LinkLocal, Loopback, Metadata, Multicast, Private, Reserved, Shared,
    Unspecified,
};
use proptest::prelude::*;

use crate::{AddressClass, Reach};

/// From the IANA special-purpose registries; the longest match counts, 0.0.0.0/0 is the rest.
const V4: [(&str, u32, AddressClass); 32] = [
    ("0.0.0.0", 0, Global),
    ("0.0.0.0", 8, Unspecified),
    ("10.0.0.0", 8, Private),
    ("100.64.0.0", 10, Shared),
    ("127.0.0.0", 8, Loopback),
    ("169.254.0.0", 16, LinkLocal),
    ("172.16.0.0", 12, Private),
    ("192.0.0.0", 24, Reserved),
    ("192.0.0.9", 32, Global),
    ("192.0.0.10", 32, Global),
    ("192.0.2.0", 24, Documentation),
    ("192.31.196.0", 24, Global),
    ("192.52.193.0", 24, Global),
    ("192.88.99.0", 24, Reserved),
    ("192.168.0.0", 16, Private),
    ("192.175.48.0", 24, Global),
    ("198.18.0.0", 15, Benchmarking),
    ("198.51.100.0", 24, Documentation),
    ("203.0.113.0", 24, Documentation),
    ("224.0.0.0", 4, Multicast),
    ("240.0.0.0", 4, Reserved),
    ("255.255.255.255", 32, Reserved),
    ("169.254.169.254", 32, Metadata),
    ("169.254.170.2", 32, Metadata),
    ("169.254.170.23", 32, Metadata),
    ("169.254.0.23", 32, Metadata),
    ("169.254.42.42", 32, Metadata),
    ("168.63.129.16", 32, Metadata),
    ("100.100.100.200", 32, Metadata),
    ("192.0.0.192", 32, Metadata),
    ("8.8.8.8", 32, Global),
    ("1.1.1.1", 32, Global),
];

const V6: [(&str, u32, AddressClass); 30] = [
    ("::", 0, Reserved),
    ("2000::", 3, Global),
    ("::", 128, Unspecified),
    ("::1", 128, Loopback),
    ("100::", 64, Reserved),
    ("2001::", 23, Reserved),
    ("2001:1::1", 128, Global),
    ("2001:1::2", 128, Global),
    ("2001:1::3", 128, Global),
    ("2001:2::", 48, Benchmarking),
    ("2001:3::", 32, Global),
    ("2001:4:112::", 48, Global),
    ("2001:10::", 28, Reserved),
    ("2001:20::", 28, Reserved),
    ("2001:30::", 28, Reserved),
    ("2001:db8::", 32, Documentation),
    ("2620:4f:8000::", 48, Global),
    ("3fff::", 20, Documentation),
    ("5f00::", 16, Reserved),
    ("fc00::", 7, Private),
    ("fe80::", 10, LinkLocal),
    ("fec0::", 10, Private),
    ("ff00::", 8, Multicast),
    ("64:ff9b:1::", 48, Private),
    ("fd00:ec2::254", 128, Metadata),
    ("fd00:ec2::23", 128, Metadata),
    ("fd20:ce::254", 128, Metadata),
    ("fd00:42::42", 128, Metadata),
    ("fd00:c1::a9fe:a9fe", 128, Metadata),
    ("2606:4700::", 32, Global),
];

fn longest<T: Copy>(table: impl Iterator<Item = (bool, u32, T)>) -> T {
    table.filter(|row| row.0).max_by_key(|row| row.1).map(|row| row.2).unwrap()
}

fn expected_v4(address: Ipv4Addr) -> AddressClass {
    longest(V4.iter().map(|(network, length, class)| {
        let differ = network.parse::<Ipv4Addr>().unwrap().to_bits() ^ address.to_bits();
        (differ.leading_zeros() >= *length, *length, *class)
    }))
}

fn expected_v6(address: Ipv6Addr) -> AddressClass {
    longest(V6.iter().map(|(network, length, class)| {
        let differ = network.parse::<Ipv6Addr>().unwrap().to_bits() ^ address.to_bits();
        (differ.leading_zeros() >= *length, *length, *class)
    }))
}

/// IPv6 prefixes of 96 bits before an IPv4 address: compatible, mapped, translated, NAT64.
const PREFIXES: [&str; 4] = ["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"];

fn embedded_anywhere(address: Ipv6Addr) -> bool {
    let differ = |prefix: &str| (prefix.parse::<Ipv6Addr>().unwrap().to_bits() ^ address.to_bits()).leading_zeros();
    PREFIXES.iter().any(|prefix| differ(prefix) >= 96)
        || differ("2002::") >= 16
        || differ("2001::") >= 32
        || differ("64:ff9b:1::") >= 48
}

/// Any IPv4 address, those at the edges of the networks of the table more often.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let edges = V4.iter().flat_map(|(network, length, _)| {
        let first = network.parse::<Ipv4Addr>().unwrap().to_bits();
        let last = first | u32::MAX.checked_shr(*length).unwrap_or(0);
        [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
    });
    let edges: Vec<u32> = edges.collect();
    prop_oneof![any::<u32>(), prop::sample::select(edges)].prop_map(Ipv4Addr::from_bits)
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    let networks: Vec<(u128, u32)> =
        V6.iter().map(|row| (row.0.parse::<Ipv6Addr>().unwrap().to_bits(), row.1)).collect();
    let near = (prop::sample::select(networks), any::<u128>(), 0..6_u8).prop_map(|((first, length), bits, how)| {
        let host = u128::MAX.checked_shr(length).unwrap_or(0);
        match how {
            0 => first,
            1 => first | host,
            2 => first.wrapping_sub(1),
            3 => (first | host).wrapping_add(1),
            _ => first | (bits & host),
        }
    });
    prop_oneof![any::<u128>(), near].prop_map(Ipv6Addr::from_bits)
}

fn of(text: &str) -> AddressClass {
    AddressClass::of(text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_ipv4_address_has_the_class_of_its_network(address in any_v4()) {
        prop_assert_eq!(AddressClass::of(IpAddr::V4(address)), expected_v4(address));
    }

    #[test]
    fn every_plain_ipv6_address_has_the_class_of_its_network(address in any_v6()) {
        if !embedded_anywhere(address) || address.is_unspecified() || address.is_loopback() {
            prop_assert_eq!(AddressClass::of(IpAddr::V6(address)), expected_v6(address));
        }
    }

    #[test]
    fn an_ipv6_address_around_an_ipv4_address_has_the_class_of_what_is_inside(inside in any_v4(), rest in any::<u128>()) {
        let class = expected_v4(inside);
        let bits = u128::from(inside.to_bits());
        for prefix in PREFIXES {
            let around = Ipv6Addr::from_bits(prefix.parse::<Ipv6Addr>().unwrap().to_bits() | bits);
            if !around.is_unspecified() && !around.is_loopback() {
                prop_assert_eq!(AddressClass::of(IpAddr::V6(around)), class, "{}", around);
            }
        }
        let six_to_four = Ipv6Addr::from_bits(0x2002 << 112 | bits << 80 | rest >> 48);
        prop_assert_eq!(AddressClass::of(IpAddr::V6(six_to_four)), class, "{}", six_to_four);
        let server = u128::from(Ipv4Addr::new(65, 54, 227, 120).to_bits());
        let client = 0x2001_0000 << 96 | server << 64 | (rest & 0xffff_ffff) << 32 | u128::from(!inside.to_bits());
        prop_assert_eq!(AddressClass::of(IpAddr::V6(Ipv6Addr::from_bits(client))), class);
        let server = 0x2001_0000 << 96 | bits << 64 | u128::from(!Ipv4Addr::new(8, 8, 8, 8).to_bits());
        prop_assert_eq!(AddressClass::of(IpAddr::V6(Ipv6Addr::from_bits(server))), class);
    }

    #[test]
    fn local_nat64_is_never_public_and_metadata_shows_through_in_every_layout(rest in any::<u128>()) {
        let base = 0x0064_ff9b_0001_u128 << 80;
        let any = Ipv6Addr::from_bits(base | rest >> 48);
        prop_assert!(AddressClass::of(IpAddr::V6(any)).reach() >= Reach::Private);
        let metadata = 0xa9fe_a9fe_u128;
        // RFC 6052 section 2.2: the address around the octet of bits 64 to 71, or at the end.
        let layouts = [
            (metadata >> 16) << 64 | (metadata & 0xffff) << 40,
            (metadata >> 24) << 64 | (metadata & 0x00ff_ffff) << 32,
            metadata << 24,
            metadata,
        ];
        for layout in layouts {
            prop_assert_eq!(AddressClass::of(IpAddr::V6(Ipv6Addr::from_bits(base | layout))), Metadata, "{:x}", layout);
        }
    }
}

#[test]
fn a_tunnel_is_as_strict_as_the_stricter_of_its_ends() {
    assert_eq!(of("2001:0:0808:0808::f5ff:fffe"), Private);
    assert_eq!(of("2001:0:a9fe:a9fe::f7f7:f7f7"), Metadata);
}

#[test]
fn what_leads_nowhere_good_takes_more_than_a_grant() {
    assert_eq!(of("93.184.215.14").reach(), Reach::Granted);
    for text in ["10.1.2.3", "100.64.0.1", "198.18.0.1", "169.254.1.1", "fe80::1", "127.0.0.1", "::1", "fd12::1"] {
        assert_eq!(of(text).reach(), Reach::Private, "{text}");
    }
    for text in ["169.254.169.254", "::ffff:100.100.100.200", "64:ff9b::a83f:8110", "2002:c000:c0::"] {
        assert_eq!(of(text).reach(), Reach::Literal, "{text}");
    }
    for text in ["0.0.0.0", "::", "::ffff:0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "192.0.2.1", "5f00::1"] {
        assert_eq!(of(text).reach(), Reach::Never, "{text}");
    }
}
