//! Devices that ignore some requests: what they cost, and that all others are read.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests may do what tests may do"
)]

use std::{
    fmt::Write as _,
    ops::Range,
    time::{Duration, Instant},
};

use pattoo_modbus::{
    DeviceUrl, Endpoint, EndpointSettings, Endpoints, ExceptionCode, NotSent, ReadError, Readable, Span, Table, Words,
};
use pattoo_tests::{Cli, Running, guest, odd_modbus_device};
use serde_json::json;

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

/// Runs the collector `modbus-tcp` for 199 registers of each device.
fn run_modbus_tcp(devices: &[(String, String)], more: &[&str]) -> pattoo_tests::Finished {
    let cli = Cli::new();
    let targets: Vec<_> = devices.iter().map(|(name, _)| name).collect();
    let registers: Vec<_> = (40_001..40_200).map(|number| json!({ "address": number })).collect();
    let group = json!({ "group_name": "all", "ip_targets": targets, "unit": 1, "holding_registers": registers });
    cli.file("settings.yaml", json!({ "pattoo_agent_modbustcpd": { "polling_groups": [group] } }).to_string());
    let mut grants = "modbus:\n".to_owned();
    for (name, grant) in devices {
        writeln!(grants, "  {name}: {{ {grant} }}").unwrap();
    }
    cli.file("grants.yaml", grants);
    let module = guest("modbus_tcp").display().to_string();
    cli.run(&[&["run", &module, "--settings", "settings.yaml", "--grants", "grants.yaml"], more].concat())
}

fn datapoints(run: &pattoo_tests::Finished) -> usize {
    run.body()["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap().len()
}

#[test]
fn collector_gets_all_registers_but_the_one_that_the_device_ignores() {
    let device = odd_modbus_device(&["silent-hole"]);
    let grant = format!("url: \"tcp://{}\", request_timeout: 500ms", device.address());
    let run = run_modbus_tcp(&[("plc".to_owned(), grant)], &[]);
    assert_eq!((run.code, datapoints(&run)), (Some(0), 198), "{run:#?}");
    assert_eq!(run.stderr.matches("holding register").count(), 1, "{}", run.stderr);
}
