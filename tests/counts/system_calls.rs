//! System calls, counted by `strace`: this program is started again under it, and does the work
//! there.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use pattoo_measurement::DEFAULT_FUTURE_BOUND;
use pattoo_modbus::{DeviceUrl, EndpointSettings, Endpoints, Readable, Span, Table};
use pattoo_output::ServerUrl;
use pattoo_output::pattoo::Batch;
use pattoo_spool::{Spool, SpoolLimits};
use pattoo_tests::storing::store_body;
use pattoo_tests::{
    Collecting, NOW, agent, candidates, emitter::emitter, has_program, libmodbus_device_quiet,
    long_assignment_without_grants,
};

use super::BOUNDS;

const TIMES: usize = 200;
/// Opening these files marks where in the trace the counting begins and ends.
const BEGIN: &str = "/the counting begins";
const END: &str = "/the counting ends";

/// Calls for each of [`TIMES`] pieces of work, and which they are. Of threads that only tick beside
/// the work nothing is counted, if `alone`.
fn calls_of(work: &str, alone: bool, argument: &str) -> Option<(f64, BTreeMap<String, usize>)> {
    if !has_program("strace") {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "strace is missing");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--quiet=all", "--output"]).arg(&log);
    strace.arg(env::current_exe().unwrap()).args([work, "--exact", "--ignored", "--test-threads=1"]);
    let output = strace.env("PATTOO_COUNTED", argument).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(log).unwrap();
    let marked = |mark: &str| log.lines().position(|line| line.contains(mark)).unwrap();
    let (begin, end) = (marked(BEGIN), marked(END));
    let worker = log.lines().nth(begin).and_then(|line| line.split(' ').next()).unwrap();
    let mut calls = BTreeMap::new();
    // A line is "TID name(…", or "TID <... name resumed>…" for the rest of what began before.
    for line in log.lines().take(end).skip(begin + 1).filter(|line| !alone || line.starts_with(worker)) {
        let name = line.split_once(' ').unwrap().1.trim_start().split('(').next().unwrap();
        // How often threads wake one another depends on which of them is awake.
        if name != "futex" && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            *calls.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "few calls")]
    let each = calls.values().sum::<usize>() as f64 / TIMES as f64;
    Some((each, calls))
}

/// Does the work once, and then so often as it is counted.
fn counted(mut work: impl FnMut()) {
    work();
    let _ = Path::new(BEGIN).exists();
    (0..TIMES).for_each(|_| work());
    let _ = Path::new(END).exists();
}

#[test]
fn read_over_an_open_connection_takes_three_system_calls() {
    let device = libmodbus_device_quiet();
    let Some((each, calls)) = calls_of("system_calls::reads", false, &device.address().to_string()) else { return };
    assert!(each <= BOUNDS.calls_of_a_read, "{each} system calls for each read: {calls:?}");
}

#[test]
#[ignore = "is started where it is counted"]
fn reads() {
    let address: SocketAddr = env::var("PATTOO_COUNTED").unwrap().parse().unwrap();
    let url: DeviceUrl = format!("tcp://{address}").parse().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (span, readable) = ([Span::new(1, Table::HoldingRegisters, 0, 100).unwrap()], Readable::everything());
    let endpoint = tokio.block_on(async { Endpoints::new().endpoint(url.endpoint(), &EndpointSettings::default()) });
    counted(|| assert!(tokio.block_on(endpoint.read(&span, &readable)).iter().all(Result::is_ok)));
}

#[test]
fn payload_is_stored_in_few_system_calls() {
    let Some((each, calls)) = calls_of("system_calls::stores", false, "") else { return };
    assert!(each <= BOUNDS.calls_of_a_store, "{each} system calls for each body: {calls:?}");
}

#[test]
#[ignore = "is started where it is counted"]
fn stores() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(&folder.path().join("spool.sqlite3"), SpoolLimits::default()).unwrap();
    let server: ServerUrl = "http://127.0.0.1:9".parse().unwrap();
    let agent = agent("modbus_registers");
    let mut batch = Batch::new(Arc::clone(&agent), DEFAULT_FUTURE_BOUND);
    batch.emit("plc1", candidates(0..10), NOW).unwrap();
    let body = batch.into_body(NOW).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    counted(|| _ = tokio.block_on(store_body(&spool, &body, &agent.program, &server)));
}

#[test]
fn collection_without_devices_takes_few_system_calls() {
    let Some((each, calls)) = calls_of("system_calls::collections", true, "") else { return };
    assert!(each <= BOUNDS.calls_of_a_collection, "{each} system calls for each collection: {calls:?}");
}

#[test]
#[ignore = "is started where it is counted"]
fn collections() {
    let (collecting, assignment) = (Collecting::new(), long_assignment_without_grants());
    let collector = collecting.load(&emitter(10, 1, 0));
    counted(|| drop(collecting.collect(&collector, &assignment)));
}
