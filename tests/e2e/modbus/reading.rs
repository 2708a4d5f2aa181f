//! Our reader on devices of pymodbus, and the client of pymodbus on our simulated devices.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may do what tests may do")]

use std::{future::pending, net::SocketAddr, process::Command, time::Duration};

use pattoo_modbus::{
    DeviceUrl, Endpoint, EndpointSettings, Endpoints, ExceptionCode, Ranges, ReadError, Readable, Span, Table, Words,
};
use pattoo_tests::{Running, modbus_device, peer, python};
use pattoo_wasm::simulate::{SAMPLE, Simulation};
use serde_json::{Value, json};

/// Our reader, for the devices of one address.
struct Reader {
    runtime: tokio::runtime::Runtime,
    endpoint: Endpoint,
}

impl Reader {
    /// A reader with long timeouts, so that no device is too slow on a busy machine.
    fn new(address: SocketAddr, settings: &EndpointSettings) -> Self {
        let url: DeviceUrl = format!("tcp://{address}").parse().unwrap();
        let time_limit = Duration::from_secs(20);
        let settings =
            EndpointSettings { connect_timeout: time_limit, request_timeout: time_limit, ..settings.clone() };
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            endpoint: Endpoints::new().endpoint(url.endpoint(), &settings),
        }
    }

    fn read(&self, spans: &[Span], readable: &Readable) -> Vec<Result<Words, ReadError>> {
        self.runtime.block_on(self.endpoint.read(spans, readable))
    }

    /// All requests that the device got so far: it prints them, and a last one marks the end.
    fn requests(&self, device: &Running) -> Vec<Value> {
        let last = span(247, Table::Coils, 65535, 1);
        self.read(&[last], &Readable::everything());
        let lines = std::iter::repeat_with(|| serde_json::from_str::<Value>(&device.next_line()).unwrap());
        lines.take_while(|line| *line != json!([247, 1, 65535, 1])).collect()
    }
}

fn span(unit: u8, table: Table, address: u16, count: u16) -> Span {
    Span::new(unit, table, address, count).unwrap()
}

fn holding(unit: u8, address: u16, count: u16) -> Span {
    span(unit, Table::HoldingRegisters, address, count)
}

/// As `modbus_read.py` prints a result.
fn printed(result: &Result<Words, ReadError>) -> Value {
    match result {
        Ok(Words::Bits(bits)) => json!(bits),
        Ok(Words::Registers(registers)) => json!(registers),
        Err(ReadError::Exception(ExceptionCode(code))) => json!({ "exception": code }),
        Err(error) => panic!("{error}"),
    }
}

/// The values that the client of pymodbus reads, with one request for each span.
fn read_with_pymodbus(port: u16, spans: &[Span]) -> Value {
    let table = |table| match table {
        Table::Coils => "coils",
        Table::DiscreteInputs => "discrete",
        Table::HoldingRegisters => "holding",
        Table::InputRegisters => "input",
    };
    let spans: Vec<_> = spans
        .iter()
        .map(|span| json!([span.unit().get(), table(span.table()), span.address(), span.count()]))
        .collect();
    let output = Command::new(python())
        .arg(peer("modbus_read.py"))
        .args([port.to_string(), json!(spans).to_string()])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Two units, all four tables with gaps, and more registers than fit into one request.
fn tables() -> Value {
    let many: Vec<u16> = (0..60_000).step_by(200).collect();
    let bits: Vec<bool> = (0..2500).map(|index| index % 3 == 0).collect();
    json!({
        "1": {
            "holding": { "0": [732, 0, 65535], "4": 4, "6": [6, 7], "1000": many },
            "input": { "0": [11, 12, 13] },
            "coils": { "16": bits },
            "discrete": { "0": [true, false, true] },
        },
        "7": { "holding": { "0": [70, 71] }, "input": { "65535": 9 } },
    })
}

#[test]
fn every_table_of_every_unit_reads_as_pymodbus_reads_it() {
    let device = modbus_device(&tables());
    let spans = [
        holding(1, 0, 3),
        holding(1, 1000, 125),
        span(1, Table::InputRegisters, 0, 3),
        span(1, Table::Coils, 17, 2000),
        span(1, Table::Coils, 16, 1),
        span(1, Table::DiscreteInputs, 1, 2),
        holding(7, 0, 2),
        span(7, Table::InputRegisters, 65535, 1),
        // These addresses do not exist.
        holding(1, 2, 3),
        span(7, Table::Coils, 0, 8),
    ];
    let reader = Reader::new(device.address(), &EndpointSettings::default());
    let ours: Vec<_> = reader.read(&spans, &Readable::everything()).iter().map(printed).collect();
    assert_eq!(json!(ours), read_with_pymodbus(device.address().port(), &spans));
    assert_eq!(ours[0], json!([732, 0, 65535]));
    assert_eq!(ours[8], json!({ "exception": 2 }));
}

#[test]
fn spans_are_merged_into_the_fewest_requests() {
    let device = modbus_device(&tables());
    let reader = Reader::new(device.address(), &EndpointSettings::default());
    let spans: Vec<_> = (1000..1300).map(|address| holding(1, address, 1)).collect();
    let results = reader.read(&spans, &Readable::everything());
    assert!(results.iter().all(Result::is_ok));
    let long = reader.read(&[holding(1, 1000, 300)], &Readable::everything());
    assert!(long[0].is_ok());
    let requests = [json!([1, 3, 1000, 125]), json!([1, 3, 1125, 125]), json!([1, 3, 1250, 50])];
    assert_eq!(reader.requests(&device), [&requests[..], &requests[..]].concat());
}

#[test]
fn missing_register_fails_only_the_spans_that_contain_it() {
    let device = modbus_device(&tables());
    let reader = Reader::new(device.address(), &EndpointSettings::default());
    // The reader does not know that 3 and 5 do not exist.
    let spans: Vec<_> = (0..8).map(|address| holding(1, address, 1)).collect();
    let results: Vec<_> = reader.read(&spans, &Readable::everything()).iter().map(printed).collect();
    let lacking = json!({ "exception": 2 });
    let expected = json!([[732], [0], [65535], lacking, [4], lacking, [6], [7]]);
    assert_eq!(json!(results), expected);
    assert_eq!(json!(results), read_with_pymodbus(device.address().port(), &spans));
}

#[test]
fn gaps_are_read_only_inside_the_granted_ranges() {
    let device = modbus_device(&tables());
    let settings = EndpointSettings { gap: 4, ..EndpointSettings::default() };
    let reader = Reader::new(device.address(), &settings);
    let spans = [holding(1, 1000, 1), holding(1, 1004, 1), holding(1, 1007, 1)];
    let granted: Ranges = "1000-1004,1006-1007".parse().unwrap();
    let results = reader.read(&spans, &Readable::of([(Table::HoldingRegisters, granted)]));
    assert_eq!(results.iter().map(printed).collect::<Vec<_>>(), [json!([0]), json!([800]), json!([1400])]);
    assert_eq!(reader.requests(&device), [json!([1, 3, 1000, 5]), json!([1, 3, 1007, 1])]);
}

/// A simulation that is served as long as this lives.
struct Simulated {
    _runtime: tokio::runtime::Runtime,
    addresses: Vec<SocketAddr>,
}

fn simulated(text: &str) -> Simulated {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = runtime.block_on(Simulation::from_yaml(text).unwrap().on_free_ports().bind()).unwrap();
    let addresses = bound.devices().iter().filter_map(|device| device.address).collect();
    runtime.spawn(bound.serve(pending()));
    Simulated { _runtime: runtime, addresses }
}

#[test]
fn simulated_device_reads_with_pymodbus_as_configured() {
    let simulated = simulated(
        "devices:
           - listen: 0
             units:
               1:
                 holding: { 0: 732, 1: [1, 2, -3], 65535: 5 }
                 coils: { 3: [true, false, true, true, false, false, false, false, true] }
               7:
                 input: { 10: [7, 8] }
                 discrete: { 0: true }",
    );
    let spans = [
        holding(1, 0, 4),
        span(1, Table::Coils, 3, 9),
        span(7, Table::InputRegisters, 10, 2),
        span(7, Table::DiscreteInputs, 0, 1),
        holding(1, 65535, 1),
        // No such address; no such table; no such unit.
        holding(1, 3, 2),
        span(1, Table::InputRegisters, 0, 1),
        holding(2, 0, 1),
    ];
    let address = simulated.addresses[0];
    let theirs = read_with_pymodbus(address.port(), &spans);
    let expected = json!([
        [732, 1, 2, 65533],
        [true, false, true, true, false, false, false, false, true],
        [7, 8],
        [true],
        [5],
        { "exception": 2 },
        { "exception": 2 },
        { "exception": 11 },
    ]);
    assert_eq!(theirs, expected);
    let reader = Reader::new(address, &EndpointSettings::default());
    let ours: Vec<_> = reader.read(&spans, &Readable::everything()).iter().map(printed).collect();
    assert_eq!(json!(ours), expected);
}

#[test]
fn values_of_the_sample_simulation_change() {
    let simulated = simulated(SAMPLE);
    let [_boiler, meters] = simulated.addresses[..] else { panic!("{:?}", simulated.addresses) };
    let reader = Reader::new(meters, &EndpointSettings::default());
    let read = || {
        reader.read(
            &[span(1, Table::InputRegisters, 0, 3), span(2, Table::InputRegisters, 20, 1)],
            &Readable::everything(),
        )
    };
    let first = read();
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    // Noise changes within tenths of a second, the counter counts 7 a second.
    let both_moved = |now: &[Result<Words, ReadError>]| now[0] != first[0] && now[1] != first[1];
    while !both_moved(&read()) {}
}
