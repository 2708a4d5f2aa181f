use super::*;
use crate::model::UnitError;

fn parse(text: &str) -> Result<DeviceUrl, DeviceUrlError> {
    text.parse()
}

#[test]
fn default_port_is_502_and_there_is_no_default_unit() {
    let device = parse("tcp://plc-7.example").unwrap();
    assert_eq!(device.to_string(), "tcp://plc-7.example:502");
    assert_eq!(device.unit(), None);
    assert_eq!(parse("tcp://10.0.0.1:1502/?unit=0").unwrap().unit().map(Unit::get), Some(0));
    assert_eq!(parse("tcp://10.0.0.1?unit=255").unwrap().unit().map(Unit::get), Some(255));
    // Reserved by the specification of serial lines, and used by devices over TCP.
    assert_eq!(parse("tcp://10.0.0.1?unit=248").unwrap().unit().map(Unit::get), Some(248));
}

#[test]
fn each_transport_has_its_scheme_and_default_port() {
    for (url, expected) in [
        ("tls://plc", "tls://plc:802"),
        ("udp://plc", "udp://plc:502"),
        ("ascii+tcp://server:4001?unit=3", "ascii+tcp://server:4001?unit=3"),
        ("ascii:///dev/ttyS1", "ascii:///dev/ttyS1?baud=19200&parity=even&stop=1&data=7"),
        ("ascii:///dev/ttyS1?data=8&parity=none", "ascii:///dev/ttyS1?baud=19200&parity=none&stop=1&data=8"),
    ] {
        assert_eq!(parse(url).unwrap().to_string(), expected);
    }
    let places =
        ["tcp", "tls", "udp", "rtu+tcp", "ascii+tcp"].map(|scheme| parse(&format!("{scheme}://plc:9")).unwrap());
    for (at, place) in places.iter().enumerate() {
        assert_eq!(places.iter().position(|other| other.endpoint().key() == place.endpoint().key()), Some(at));
    }
}

#[test]
fn two_spellings_of_one_endpoint_are_equal() {
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
fn link_local_address_has_the_interface_of_its_link() {
    let device = parse("tcp://[FE80::1%eth0]").unwrap();
    assert_eq!(device.to_string(), "tcp://[fe80::1%eth0]:502");
    let EndpointAddress::Tcp(address) = device.endpoint() else { panic!("{device}") };
    assert_eq!((address.host().as_str(), address.zone()), ("fe80::1%eth0", Some("eth0")));
    assert_eq!(address.ip(), Some("fe80::1".parse().unwrap()));
    assert_ne!(device.endpoint(), parse("tcp://[fe80::1%eth1]").unwrap().endpoint());
}

#[test]
fn each_mistake_has_its_own_error() {
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
        ("ascii+tcp://gateway", E::NoPort("gateway".into())),
        ("ascii:///dev/ttyUSB0?data=9", E::DataBits("9".into())),
        ("ascii:///dev/ttyUSB0?unit=0", E::Unit(UnitError::NotOnSerial(0))),
        ("ascii+tcp://gateway:4001?unit=250", E::Unit(UnitError::NotOnSerial(250))),
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
        ("tcp://[fe80::1%]", E::Host("[fe80::1%]".into())),
        ("tcp://[fe80::1%eth 0]", E::Host("[fe80::1%eth 0]".into())),
        ("tcp://[2001:db8::1%eth0]", E::Zone("eth0".into())),
        ("tcp://plc:0", E::Port("0".into())),
        ("tcp://plc:+502", E::Port("+502".into())),
        ("tcp://plc:65536", E::Port("65536".into())),
        ("tcp://plc:", E::Port(String::new())),
        ("tcp://plc/units/1", E::Surplus("/units/1".into())),
        ("tcp://me@plc", E::Surplus("@plc".into())),
        ("tcp://plc?units=1", E::UnknownKey("units".into())),
        ("tcp://plc?unit=one", E::Unit(UnitError::Text("one".into()))),
        ("tcp://plc?unit=", E::Unit(UnitError::Text(String::new()))),
        ("tcp://plc?unit=1&unit=2", E::Twice("unit")),
        ("tcp://plc?unit=256", E::Unit(UnitError::TooLarge(256))),
        ("rtu:///dev/ttyUSB0?unit=248", E::Unit(UnitError::NotOnSerial(248))),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn serial_line_has_the_defaults_of_the_specification() {
    let device = parse("rtu:///dev/serial/by-id/usb-x?unit=9").unwrap();
    assert_eq!(device.to_string(), "rtu:///dev/serial/by-id/usb-x?baud=19200&parity=even&stop=1&unit=9");
    let named = parse("RTU:///dev/ttyS1?stop=2&parity=none&baud=9600&data=8").unwrap();
    assert_eq!(named.endpoint().to_string(), "rtu:///dev/ttyS1?baud=9600&parity=none&stop=2");
    assert_ne!(named.endpoint(), parse("rtu:///dev/ttyS1").unwrap().endpoint());
    assert_eq!(named.endpoint().key(), parse("rtu:///dev/ttyS1").unwrap().endpoint().key());
    assert_eq!(named.endpoint().key(), parse("ascii:///dev/ttyS1").unwrap().endpoint().key());
}

proptest::proptest! {
    #[test]
    fn displayed_url_of_a_line_parses_to_the_same_url(
        text in "(rtu|ascii):///dev/[a-z0-9/.]{0,9}(\\?baud=[0-9]{2,5}(&parity=(none|odd|even))?(&stop=[12])?(&unit=[0-9]{1,2})?)?",
    ) {
        if let Ok(device) = parse(&text) {
            proptest::prop_assert_eq!(parse(&device.to_string()), Ok(device));
        }
    }

    #[test]
    fn displayed_url_of_a_host_parses_to_the_same_url(text in "((rtu\\+|ascii\\+)?tcp|tls|udp)://[a-z0-9.:%\\[\\]-]{0,20}(\\?unit=[0-9]{1,3})?") {
        if let Ok(device) = parse(&text) {
            proptest::prop_assert_eq!(parse(&device.to_string()), Ok(device));
        }
    }

    #[test]
    fn parser_never_panics(text in ".{0,40}") {
        let _ = parse(&text);
    }
}
