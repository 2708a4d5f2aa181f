//! Allocations, and how much memory is held.

use std::sync::Arc;

use pattoo_measurement::DEFAULT_FUTURE_BOUND;
use pattoo_output::pattoo::Batch;
use pattoo_sandbox::capability::Assignment;
use pattoo_tests::{
    Collecting, NOW, RawSite, agent, assignment_with_grants, candidates,
    emitter::emitter,
    libmodbus_device_quiet, long_assignment_without_grants, long_timeout,
    request_modules::{SPANS_OF_A_TABLE, fetcher, reader},
};

use super::{
    BOUNDS,
    allocator::{counted, held},
};

/// The allocations of a module's second collection.
fn allocations(collecting: &Collecting, text: &str, assignment: &Arc<Assignment>) -> u64 {
    let collector = collecting.load(text);
    collecting.collect(&collector, assignment);
    counted(|| collecting.collect(&collector, assignment)).1
}

#[test]
fn datapoint_needs_no_allocation_of_its_own() {
    let (agent, candidates) = (agent("modbus_registers"), candidates(0..1000));
    let body = || {
        let mut batch = Batch::new(agent, DEFAULT_FUTURE_BOUND);
        batch.emit("plc1", candidates, NOW).unwrap();
        batch.into_body(NOW).unwrap()
    };
    let allocations = counted(body).1;
    assert!(allocations <= BOUNDS.payload, "{allocations} allocations");
}

#[test]
fn large_payload_is_encoded_in_twice_its_size() {
    let before = held();
    let mut batch = Batch::new(agent("modbus_registers"), DEFAULT_FUTURE_BOUND);
    let mut peak = 0;
    for first in (0..50_000).step_by(10_000) {
        // What a guest hands over counts as well, a call at a time.
        let candidates = candidates(first..first + 10_000);
        let held = held() - before;
        let ((), _, more) = counted(|| assert!(batch.emit("plc1", candidates, NOW).unwrap().is_empty()));
        peak = peak.max(held + more);
    }
    let ours = held() - before;
    let (body, _, more) = counted(|| batch.into_body(NOW).unwrap());
    peak = peak.max(ours + more);
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = peak as f64 / body.json().len() as f64;
    assert!(ratio <= BOUNDS.held, "{ratio:.2} bytes for each of the body's {}", body.json().len());
}

#[test]
fn collection_makes_a_bounded_number_of_allocations() {
    let (collecting, assignment) = (Collecting::new(), long_assignment_without_grants());
    let allocations = |points: usize| allocations(&collecting, &emitter(points, 1, 0), &assignment);
    let (ten, thousand) = (allocations(10), allocations(1010));
    assert!(ten <= BOUNDS.collection, "{ten} allocations for a collection of ten datapoints");
    let each = (thousand - ten) / 1000;
    assert!(each <= BOUNDS.datapoint, "{each} allocations for each datapoint of a call");
}

#[test]
fn span_and_fetch_make_a_bounded_number_of_allocations() {
    let device = libmodbus_device_quiet();
    let site = RawSite::saying("{\"temperature\": 21.5}");
    let collecting = Collecting::new();
    let granted = collecting.tokio.block_on(async {
        assignment_with_grants(agent("boundary"), device.address(), site.address()).limits(long_timeout()).build()
    });
    let granted = Arc::new(granted.unwrap());
    let spans = allocations(&collecting, &reader(1), &granted) / (4 * SPANS_OF_A_TABLE as u64);
    assert!(spans <= BOUNDS.span, "{spans} allocations for each span of a call of 1 000");
    let url = format!("http://{}/weather.json", site.address());
    let fetches = allocations(&collecting, &fetcher(&url, 100, 1), &granted) / 100;
    assert!(fetches <= BOUNDS.fetch, "{fetches} allocations for each fetch of a call of 100");
}

#[test]
fn configuration_takes_bounded_memory_whatever_it_repeats() {
    use pattoo_wasm::config::{ConfigDirectory, Configuration};
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("pattoo.yaml", "main: { daemon_directory: daemon }\n");
    // 1 MB that is repeated 3 000 times, and as many small values as a file can hold.
    let text = "x".repeat(1 << 20);
    let laughs = [
        format!("pattoo_wasm: {{ a: &a {text}, b: [{}] }}\n", "*a, ".repeat(3000)),
        format!("pattoo_wasm: {{ a: &a {{ {text}: 1 }}, b: [{}] }}\n", "{<<: *a}, ".repeat(3000)),
        format!("pattoo_wasm: [{}]\n", "1,".repeat((4 << 20) / 2 - 20)),
        format!("pattoo_wasm:\n{}", " k: 1\n".repeat(600_000)),
    ];
    for laughs in laughs {
        write("pattoo_wasm.yaml", &laughs);
        let (loaded, _, peak) = counted(|| Configuration::load(&ConfigDirectory::at(folder.path())));
        let error = loaded.unwrap_err().to_string();
        assert!(error.contains("pattoo_wasm.yaml:") && error.contains("more than"), "{error}");
        assert!(peak < BOUNDS.configuration, "{peak} bytes for {}", &error);
    }
}
