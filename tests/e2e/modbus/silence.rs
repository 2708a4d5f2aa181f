//! Devices that ignore some requests: what they cost, and that all others are read.

#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "helpers of tests may do what tests may do")]

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use pattoo_modbus::{
    DeviceUrl, Endpoint, EndpointSettings, Endpoints, ExceptionCode, NotSent, ReadError, Readable, Span, Table, Words,
};
use pattoo_tests::{Running, odd_modbus_device};

use super::many_registers::{datapoints, run_modbus_tcp};

/// Longer than delays of a busy machine.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Our reader on an odd device.
struct Reader {
    runtime: tokio::runtime::Runtime,
    endpoint: Endpoint,
}

impl Reader {
    fn new(scheme: &str, device: &Running) -> Self {
        let url: DeviceUrl = format!("{scheme}://{}", device.address()).parse().unwrap();
        let settings = EndpointSettings { request_timeout: TIMEOUT, ..EndpointSettings::default() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { runtime, endpoint: Endpoints::new().endpoint(url.endpoint(), &settings) }
    }

    /// The results for each register of unit 1, and for how many timeouts the read took.
    fn read(&self, addresses: Range<u16>) -> (Vec<Result<Words, ReadError>>, u128) {
        let spans: Vec<_> =
            addresses.map(|address| Span::new(1, Table::HoldingRegisters, address, 1).unwrap()).collect();
        let started = Instant::now();
        let results = self.runtime.block_on(self.endpoint.read(&spans, &Readable::everything()));
        (results, started.elapsed().as_millis() / TIMEOUT.as_millis())
    }
}

/// Whether each register has its value, but for those with these numbers.
fn all_but(results: &[Result<Words, ReadError>], failed: &[usize]) -> bool {
    results.iter().enumerate().all(|(address, result)| {
        let value = u16::try_from(100 + address).unwrap();
        failed.contains(&address) || *result == Ok(Words::Registers(vec![value]))
    })
}

#[test]
fn register_that_a_device_ignores_costs_only_itself_and_the_next_read_no_timeout() {
    // On a serial line the unit is left alone for a timeout more after each silence.
    for (scheme, mode, limit) in [("tcp", vec!["silent-hole"], 3), ("rtu+tcp", vec!["silent-hole", "rtu+tcp"], 5)] {
        let device = odd_modbus_device(&mode);
        let reader = Reader::new(scheme, &device);
        let (results, timeouts) = reader.read(0..10);
        assert!(all_but(&results, &[5]) && timeouts < limit, "{scheme}: {timeouts} {results:?}");
        assert_eq!(results[5], Err(ReadError::Timeout(TIMEOUT)));
        let (results, timeouts) = reader.read(0..10);
        assert!(all_but(&results, &[5]) && timeouts < 1, "{scheme}: {timeouts} {results:?}");
        assert_eq!(results[5], Err(ReadError::NotSent(NotSent::AddressSilent)));
    }
}

#[test]
fn device_that_ignores_long_requests_is_read_with_shorter_ones() {
    let device = odd_modbus_device(&["silent-length"]);
    let reader = Reader::new("tcp", &device);
    let (results, timeouts) = reader.read(0..199);
    assert!(all_but(&results, &[]) && timeouts < 2, "{timeouts} {results:?}");
    let (results, timeouts) = reader.read(0..199);
    assert!(all_but(&results, &[]) && timeouts < 1, "{timeouts} {results:?}");
}

#[test]
fn exception_1_for_one_register_costs_only_that_register() {
    let device = odd_modbus_device(&["exception-hole"]);
    let (results, _) = Reader::new("tcp", &device).read(0..10);
    assert!(all_but(&results, &[5]), "{results:?}");
    assert_eq!(results[5], Err(ReadError::Exception(ExceptionCode::ILLEGAL_FUNCTION)));
}

#[test]
fn dead_unit_behind_a_gateway_costs_nothing_once_its_breaker_is_open() {
    for code in ["gateway-10", "gateway-11", "gateway-224"] {
        let device = odd_modbus_device(&[code]);
        let reader = Reader::new("tcp", &device);
        let unit = |unit: u8, count| {
            (0..count).map(move |address| Span::new(unit, Table::HoldingRegisters, address, 1).unwrap())
        };
        let spans: Vec<_> = unit(1, 3).chain(unit(2, 199)).collect();
        for _ in 0..4 {
            let results = reader.runtime.block_on(reader.endpoint.read(&spans, &Readable::everything()));
            assert!(all_but(&results, &(3..202).collect::<Vec<_>>()), "{code}: {results:?}");
        }
        // Two requests in the first read, one in the second, and none after that.
        let _ = reader.read(500..501);
        let requests: Vec<String> =
            std::iter::repeat_with(|| device.next_line()).take_while(|request| request != "[1, 3, 500, 1]").collect();
        assert_eq!(requests.iter().filter(|request| request.starts_with("[2,")).count(), 3, "{code}: {requests:?}");
    }
}

#[test]
fn collector_gets_all_registers_but_the_one_that_the_device_ignores() {
    let device = odd_modbus_device(&["silent-hole"]);
    let grant = format!("url: \"tcp://{}\", request_timeout: 500ms", device.address());
    let run = run_modbus_tcp(&[("plc".to_owned(), grant)], &[]);
    assert_eq!((run.code, datapoints(&run)), (Some(0), 198), "{run:#?}");
    assert_eq!(run.stderr.matches("holding register").count(), 1, "{}", run.stderr);
}
