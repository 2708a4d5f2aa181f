//! The simulator's faults, for our reader and for the client of pymodbus: the result of each, and
//! that the next read is correct.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may do what tests may do"
)]

use std::{future::pending, process::Command, time::Duration};

use pattoo_modbus::{
    DeviceUrl, Endpoint, EndpointSettings, Endpoints, ExceptionCode, ReadError, Readable, Span, Table, Words,
};
use pattoo_tests::{peer, python};
use pattoo_wasm::simulate::{BoundDevice, Simulation};
use serde_json::{Value, json};

/// Longer than delays of a busy machine; a reply that is late by half of it arrives while the line
/// still waits for it.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Simulated devices, served until this is dropped.
struct Simulated {
    runtime: tokio::runtime::Runtime,
    devices: Vec<BoundDevice>,
}

/// One device whose unit 1 has the holding registers 0 to 199, each holding its address.
fn device(place: &str, more: &str) -> Simulated {
    let registers: Vec<u16> = (0..200).collect();
    let text = format!("devices: [{{ {place}, {more}, units: {{ 1: {{ holding: {{ 0: {registers:?} }} }} }} }}]");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = runtime.block_on(Simulation::from_yaml(&text).unwrap().bind()).unwrap();
    let devices = bound.devices();
    runtime.spawn(bound.serve(pending()));
    Simulated { runtime, devices }
}

impl Simulated {
    fn reader(&self) -> Reader<'_> {
        let url: DeviceUrl = self.devices[0].url.parse().unwrap();
        let settings = EndpointSettings { request_timeout: TIMEOUT, ..EndpointSettings::default() };
        Reader { runtime: &self.runtime, endpoint: Endpoints::new().endpoint(url.endpoint(), &settings) }
    }
}

struct Reader<'a> {
    runtime: &'a tokio::runtime::Runtime,
    endpoint: Endpoint,
}

impl Reader<'_> {
    fn read(&self, spans: &[Span]) -> Vec<Result<Words, ReadError>> {
        self.runtime.block_on(self.endpoint.read(spans, &Readable::everything()))
    }

    fn read_one(&self, address: u16, count: u16) -> Result<Words, ReadError> {
        self.read(&[holding(address, count)]).remove(0)
    }
}

fn holding(address: u16, count: u16) -> Span {
    Span::new(1, Table::HoldingRegisters, address, count).unwrap()
}

/// The correct result.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with results")]
fn right(address: u16, count: u16) -> Result<Words, ReadError> {
    Ok(Words::Registers((address..).take(count.into()).collect()))
}

/// The result of a read that meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The read succeeds, because the request was repeated.
    Unnoticed,
    Timeout,
    Exception,
    Protocol,
    Connection,
}

impl Outcome {
    fn of(result: &Result<Words, ReadError>) -> Self {
        match result {
            Ok(words) => {
                assert_eq!(Ok(words.clone()), right(0, 2));
                Self::Unnoticed
            }
            Err(ReadError::Timeout(TIMEOUT)) => Self::Timeout,
            Err(ReadError::Exception(ExceptionCode(4))) => Self::Exception,
            Err(ReadError::Protocol(_)) => Self::Protocol,
            Err(ReadError::Connection(_)) => Self::Connection,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One read meets the fault, and others follow; all cases run at the same time, each on its own
/// device.
fn each_has_its_outcome_and_the_next_reads_are_right(place: impl Fn(usize) -> String, cases: &[(&str, Outcome)]) {
    std::thread::scope(|scope| {
        for (number, &(fault, expected)) in cases.iter().enumerate() {
            let place = place(number);
            scope.spawn(move || {
                let device = device(&place, &format!("faults: [{{ fault: {fault}, times: 1 }}]"));
                let reader = device.reader();
                let first = reader.read_one(0, 2);
                assert_eq!(Outcome::of(&first), expected, "{fault}: {first:?}");
                // Other registers, but as many: a late reply would fit in length.
                for address in [10, 20, 30] {
                    assert_eq!(reader.read_one(address, 2), right(address, 2), "after {fault}");
                }
            });
        }
    });
}

#[test]
fn each_fault_over_tcp_has_one_outcome_and_later_reads_are_correct() {
    use Outcome::{Connection, Exception, Protocol, Timeout, Unnoticed};
    let cases = [
        ("silence", Timeout),
        ("{ delay: 1500ms }", Timeout),
        ("cut-reply", Timeout),
        ("{ exception: 4 }", Exception),
        ("garbage", Protocol),
        ("wrong-transaction", Protocol),
        ("wrong-unit", Protocol),
        ("short-reply", Protocol),
        ("long-reply", Protocol),
        ("drop", Connection),
        ("close", Unnoticed),
    ];
    each_has_its_outcome_and_the_next_reads_are_right(|_| "listen: 0".to_owned(), &cases);
}

/// The faults on a serial line, on each transport: a frame that begins with another unit is treated
/// as that unit's late reply.
const FAULTS_OF_A_LINE: [(&str, Outcome); 9] = [
    ("silence", Outcome::Timeout),
    ("{ delay: 1500ms }", Outcome::Timeout),
    ("cut-reply", Outcome::Timeout),
    ("{ exception: 4 }", Outcome::Exception),
    ("garbage", Outcome::Unnoticed),
    ("wrong-unit", Outcome::Unnoticed),
    ("wrong-checksum", Outcome::Protocol),
    ("short-reply", Outcome::Protocol),
    ("long-reply", Outcome::Protocol),
];

#[test]
fn each_fault_over_a_serial_server_has_one_outcome_and_later_reads_are_correct() {
    let cases = [&FAULTS_OF_A_LINE[..], &[("drop", Outcome::Connection), ("close", Outcome::Unnoticed)]].concat();
    each_has_its_outcome_and_the_next_reads_are_right(|_| "listen: 'rtu+tcp://127.0.0.1:0'".to_owned(), &cases);
}

#[test]
fn each_fault_on_a_pseudo_terminal_has_one_outcome_and_later_reads_are_correct() {
    let folder = tempfile::tempdir().unwrap();
    let place = |number| format!("pty: '{}'", folder.path().join(format!("line-{number}")).display());
    each_has_its_outcome_and_the_next_reads_are_right(place, &FAULTS_OF_A_LINE);
}

#[test]
fn late_reply_is_never_used_for_a_later_read() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("pty: '{}'", folder.path().join("line").display());
    std::thread::scope(|scope| {
        for place in ["listen: 0", "listen: 'rtu+tcp://127.0.0.1:0'", &line] {
            scope.spawn(move || {
                let device = device(place, "faults: [{ fault: { delay: 1500ms }, every: 2 }]");
                let reader = device.reader();
                for address in [0, 10, 20, 30, 40, 50] {
                    let expected = if address % 20 == 0 { right(address, 2) } else { Err(ReadError::Timeout(TIMEOUT)) };
                    assert_eq!(reader.read_one(address, 2), expected, "{place}, {address}");
                }
            });
        }
    });
}

#[test]
fn dropped_reused_connection_is_retried_without_an_error() {
    for place in ["listen: 0", "listen: 'rtu+tcp://127.0.0.1:0'"] {
        for fault in ["every: 3", "after: 4, times: 1"] {
            let device = device(place, &format!("faults: [{{ fault: drop, {fault} }}]"));
            let reader = device.reader();
            for address in 0..9 {
                assert_eq!(reader.read_one(address, 1), right(address, 1), "{place}, {fault}");
            }
        }
    }
}

#[test]
fn device_with_smaller_limits_than_specified_is_still_read() {
    for exception in [2, 3] {
        let device = device("listen: 0", &format!("limits: {{ registers: 60, exception: {exception} }}"));
        let spans: Vec<_> = (0..200).map(|address| holding(address, 1)).collect();
        let expected: Vec<_> = (0..200).map(|address| right(address, 1)).collect();
        assert_eq!(device.reader().read(&spans), expected, "exception {exception}");
        // A span is never split, so this one cannot be read.
        assert_eq!(device.reader().read_one(0, 61), Err(ReadError::Exception(ExceptionCode(exception))));
        assert_eq!(device.reader().read_one(0, 60), right(0, 60));
    }
}

/// The values that the client of pymodbus reads from unit 1 of a device, two registers from each
/// address, without retries.
fn pymodbus(place: &str, addresses: &[u16]) -> Vec<Value> {
    let spans: Vec<_> = addresses.iter().map(|address| json!([1, "holding", address, 2])).collect();
    let output = Command::new(python())
        .arg(peer("modbus_read.py"))
        .args([place, &json!(spans).to_string(), "2"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Of four reads the second meets the fault, and the others are correct.
fn reads_well_but_for(place: &str, fault: &str) {
    let read = pymodbus(place, &[0, 10, 20, 30]);
    assert_eq!(read[0], json!([0, 1]), "{fault}");
    assert!(read[1].get("error").is_some(), "{fault}: {read:?}");
    assert_eq!(read[2..], [json!([20, 21]), json!([30, 31])], "{fault}");
}

#[test]
fn simulated_rtu_over_tcp_faults_look_right_to_pymodbus() {
    for fault in ["silence", "wrong-checksum"] {
        let device =
            device("listen: 'rtu+tcp://127.0.0.1:0'", &format!("faults: [{{ fault: {fault}, after: 1, times: 1 }}]"));
        reads_well_but_for(&format!("rtu+tcp:{}", device.devices[0].address.unwrap().port()), fault);
    }
}

#[test]
fn simulated_pseudo_terminal_faults_look_right_to_pymodbus() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("line");
    for fault in ["silence", "wrong-checksum", "cut-reply"] {
        let place = format!("pty: '{}'", link.display());
        let device = device(&place, &format!("faults: [{{ fault: {fault}, after: 1, times: 1 }}]"));
        assert_eq!(device.devices[0].url, format!("rtu://{}?parity=none", link.display()));
        reads_well_but_for(&link.display().to_string(), fault);
    }
}

#[test]
fn simulated_exceptions_also_work_over_rtu() {
    let device =
        device("listen: 'rtu+tcp://127.0.0.1:0'", "faults: [{ fault: { exception: 6 }, addresses: ['10-11'] }]");
    let place = format!("rtu+tcp:{}", device.devices[0].address.unwrap().port());
    assert_eq!(pymodbus(&place, &[0, 10, 199]), [json!([0, 1]), json!({ "exception": 6 }), json!({ "exception": 2 })]);
}
