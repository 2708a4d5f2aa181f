//! Our reader on every transport, on devices of pymodbus and libmodbus, compared with what `mbpoll`
//! reads.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may do what tests may do")]

use std::{process::Command, time::Duration};

use pattoo_modbus::{DeviceUrl, EndpointSettings, Endpoints, ExceptionCode, ReadError, Readable, Span, Table, Words};
use pattoo_tests::{Running, SerialPair, libmodbus_device, modbus_device, modbus_device_on, python};
use serde_json::{Value, json};

fn span(unit: u8, table: Table, address: u16, count: u16) -> Span {
    Span::new(unit, table, address, count).unwrap()
}

fn holding(unit: u8, address: u16, count: u16) -> Span {
    span(unit, Table::HoldingRegisters, address, count)
}

/// Reads with our reader, and closes the connection. Timeouts are long, so that no device is too
/// slow on a busy machine.
fn read(url: &str, spans: &[Span]) -> Vec<Result<Words, ReadError>> {
    read_within(Duration::from_secs(20), url, spans)
}

/// Reads with this timeout for each request.
fn read_within(request_timeout: Duration, url: &str, spans: &[Span]) -> Vec<Result<Words, ReadError>> {
    let url: DeviceUrl = url.parse().unwrap();
    let settings = EndpointSettings { request_timeout, ..EndpointSettings::default() };
    let endpoint = Endpoints::new().endpoint(url.endpoint(), &settings);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(endpoint.read(spans, &Readable::everything()))
}

fn values(result: &Result<Words, ReadError>) -> Vec<u16> {
    match result {
        Ok(Words::Bits(bits)) => bits.iter().map(|bit| u16::from(*bit)).collect(),
        Ok(Words::Registers(registers)) => registers.clone(),
        Err(error) => panic!("{error}"),
    }
}

/// The values that `mbpoll` reads; `target` are the arguments that name the device.
fn mbpoll(target: &[&str], span: Span) -> Vec<u16> {
    let (kind, is_bits) = match span.table() {
        Table::Coils => ("0", true),
        Table::DiscreteInputs => ("1", true),
        Table::HoldingRegisters => ("4:hex", false),
        Table::InputRegisters => ("3:hex", false),
    };
    let number = |number: u16| number.to_string();
    let (unit, address, count) = (number(span.unit().get().into()), number(span.address()), number(span.count()));
    let output = Command::new("mbpoll")
        // Ten seconds are its largest timeout.
        .args(["-0", "-1", "-q", "-o", "10", "-a", &unit, "-r", &address, "-c", &count, "-t", kind])
        .args(target)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // `[16]: <tab>0x02DC`
    let values: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (_, value) = line.strip_prefix('[')?.split_once("]:")?;
            let value = value.trim();
            u16::from_str_radix(value.trim_start_matches("0x"), if is_bits { 10 } else { 16 }).ok()
        })
        .collect();
    assert_eq!(values.len(), usize::from(span.count()), "{output:?}");
    values
}

/// The next `count` requests that the device prints.
fn requests(device: &Running, count: usize) -> Vec<Value> {
    (0..count).map(|_| serde_json::from_str(&device.next_line()).unwrap()).collect()
}

fn as_logged(span: Span) -> Value {
    json!([span.unit().get(), span.table().function(), span.address(), span.count()])
}

/// Two units with registers, one with bits.
fn tables() -> Value {
    let many: Vec<u16> = (0..60_000).step_by(200).collect();
    let bits: Vec<bool> = (0..200).map(|index| index % 3 == 0).collect();
    json!({
        "1": { "holding": { "0": many }, "input": { "5": [1, 2, 65535] }, "coils": { "16": bits }, "discrete": { "0": [true, false, true] } },
        "7": { "holding": { "0": [70, 71] } },
    })
}

fn spans() -> [Span; 5] {
    [
        span(1, Table::Coils, 17, 60),
        span(1, Table::DiscreteInputs, 0, 3),
        holding(1, 100, 125),
        span(1, Table::InputRegisters, 5, 3),
        holding(7, 0, 2),
    ]
}

#[test]
fn pymodbus_tcp_device_reads_as_mbpoll_reads_it() {
    let device = modbus_device(&tables());
    let ours = read(&format!("tcp://{}", device.address()), &spans());
    assert_eq!(requests(&device, 5), spans().map(as_logged));
    let port = device.address().port().to_string();
    for (span, result) in spans().into_iter().zip(&ours) {
        assert_eq!(values(result), mbpoll(&["-p", &port, "127.0.0.1"], span), "{span}");
    }
}

#[test]
fn units_on_a_serial_line_read_as_mbpoll_reads_them() {
    let line = SerialPair::new();
    let [theirs, ours] = line.ends();
    let device = modbus_device_on(&tables(), &theirs);
    let polled = spans().map(|span| mbpoll(&["-m", "rtu", "-b", "19200", "-P", "none", &ours], span));
    assert_eq!(requests(&device, 5), spans().map(as_logged));
    let results = read(&format!("rtu://{ours}?baud=19200&parity=none"), &spans());
    assert_eq!(results.iter().map(values).collect::<Vec<_>>(), polled);
    assert_eq!(requests(&device, 5), spans().map(as_logged));
}

#[test]
fn units_in_ascii_mode_on_a_serial_line_are_read() {
    let line = SerialPair::new();
    let [theirs, ours] = line.ends();
    let device = modbus_device_on(&tables(), &format!("ascii:{theirs}"));
    let results = read(&format!("ascii://{ours}?parity=none&data=8"), &spans());
    assert_eq!(requests(&device, 5), spans().map(as_logged));
    let over_tcp = modbus_device(&tables());
    assert_eq!(results, read(&format!("tcp://{}", over_tcp.address()), &spans()));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn units_behind_a_serial_server_read_as_mbpoll_reads_them() {
    let device = modbus_device_on(&tables(), "rtu+tcp");
    let results = read(&format!("rtu+tcp://{}", device.address()), &spans());
    assert_eq!(requests(&device, 5), spans().map(as_logged));
    // mbpoll reads serial lines only, so it gets one that is connected to the server.
    let line = SerialPair::to(device.address());
    let [end, _] = line.ends();
    let polled = spans().map(|span| mbpoll(&["-m", "rtu", "-b", "19200", "-P", "none", &end], span));
    assert_eq!(results.iter().map(values).collect::<Vec<_>>(), polled);
    assert_eq!(requests(&device, 5), spans().map(as_logged));
}

#[test]
fn silent_unit_on_a_line_costs_one_timeout_and_other_units_none() {
    let line = SerialPair::new();
    let [theirs, ours] = line.ends();
    let device = libmodbus_device(Some(&theirs));
    let spans = [holding(3, 0, 1), holding(3, 10, 1), holding(7, 0, 2)];
    let time_limit = Duration::from_secs(2);
    let results = read_within(time_limit, &format!("rtu://{ours}?parity=none"), &spans);
    let silent = Err(ReadError::Timeout(time_limit));
    assert_eq!(results, [silent.clone(), silent, Ok(Words::Registers(vec![0, 257]))]);
    assert_eq!(requests(&device, 1), [json!([7, 3, 0, 2])]);
}

/// Prints the speed of a line, and whether it has two stop bits and a parity (`TCGETS2` of Linux:
/// `stty` cannot show a speed that is set as a number).
const SETTINGS_OF_A_LINE: &str = "
import fcntl, os, struct, sys
line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
flags = struct.unpack('4I20B2I', fcntl.ioctl(line, 0x802C542A, bytes(44)))
print(flags[-1], bool(flags[2] & 0o100), bool(flags[2] & 0o400))
";

#[test]
fn serial_line_uses_the_speed_and_stop_bits_of_its_url() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (settings, expected) in [
        ("parity=none&baud=9600&stop=2", "9600 True False"),
        ("parity=none&baud=115200&stop=1", "115200 False False"),
        ("parity=none", "19200 False False"),
    ] {
        let line = SerialPair::new();
        let [theirs, ours] = line.ends();
        // Pseudo-terminals store their settings and ignore them.
        let _device = libmodbus_device(Some(&theirs));
        let url: DeviceUrl = format!("rtu://{ours}?{settings}").parse().unwrap();
        let settings = EndpointSettings { request_timeout: Duration::from_secs(20), ..EndpointSettings::default() };
        let endpoint = Endpoints::new().endpoint(url.endpoint(), &settings);
        let results = runtime.block_on(endpoint.read(&[holding(7, 1, 1)], &Readable::everything()));
        assert_eq!(results, [Ok(Words::Registers(vec![257]))]);
        // The connection is still open.
        let output = Command::new(python()).args(["-c", SETTINGS_OF_A_LINE, &ours]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{url}: {output:?}");
    }
}

#[test]
fn pseudo_terminal_without_parity_support_is_reported() {
    let line = SerialPair::new();
    let [_theirs, ours] = line.ends();
    let results = read(&format!("rtu://{ours}"), &[holding(1, 0, 1)]);
    let [Err(ReadError::Connection(message))] = results.as_slice() else { panic!("{results:?}") };
    assert!(message.contains("parity even") && message.contains("`parity=none`"), "{message}");
}

#[test]
fn units_behind_a_serial_server_are_read_with_the_fewest_requests() {
    let device = modbus_device_on(&tables(), "rtu+tcp");
    let singles: Vec<_> = (0..300).map(|address| holding(1, address, 1)).collect();
    let results = read(&format!("rtu+tcp://{}", device.address()), &singles);
    let expected: Vec<_> = (0..60_000).step_by(200).map(|value| vec![value]).collect();
    assert_eq!(results.iter().map(values).collect::<Vec<_>>(), expected);
    assert_eq!(requests(&device, 3), [json!([1, 3, 0, 125]), json!([1, 3, 125, 125]), json!([1, 3, 250, 50])]);
}

/// One span in each table of a device of libmodbus.
fn libmodbus_spans(unit: u8) -> [Span; 4] {
    Table::ALL.map(|table| span(unit, table, 10, 120))
}

#[test]
fn libmodbus_tcp_device_reads_as_mbpoll_reads_it() {
    let device = libmodbus_device(None);
    let url = format!("tcp://{}", device.address());
    let results = read(&url, &libmodbus_spans(1));
    assert_eq!(requests(&device, 4), libmodbus_spans(1).map(as_logged));
    let port = device.address().port().to_string();
    for (span, result) in libmodbus_spans(1).into_iter().zip(&results) {
        assert_eq!(values(result), mbpoll(&["-p", &port, "127.0.0.1"], span), "{span}");
        requests(&device, 1);
    }
    // A missing address beside existing ones.
    let results = read(&url, &[holding(1, 298, 2), holding(1, 300, 1)]);
    let lacking = Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS));
    assert_eq!(results, [Ok(Words::Registers(vec![11_050, 11_307])), lacking]);
    assert_eq!(requests(&device, 3), [json!([1, 3, 298, 3]), json!([1, 3, 298, 2]), json!([1, 3, 300, 1])]);
}

#[test]
fn libmodbus_serial_device_reads_as_mbpoll_reads_it() {
    let line = SerialPair::new();
    let [theirs, ours] = line.ends();
    let device = libmodbus_device(Some(&theirs));
    let polled = libmodbus_spans(7).map(|span| mbpoll(&["-m", "rtu", "-P", "none", &ours], span));
    requests(&device, 4);
    let results = read(&format!("rtu://{ours}?parity=none"), &libmodbus_spans(7));
    assert_eq!(results.iter().map(values).collect::<Vec<_>>(), polled);
    assert_eq!(requests(&device, 4), libmodbus_spans(7).map(as_logged));
}
