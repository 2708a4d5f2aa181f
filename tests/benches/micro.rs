//! Parts of the runtime one by one, for people who tune them (`docs/performance.md` says how to run
//! it).
//!
//! The other benchmarks measure the figures in the project's table, against rivals and targets;
//! here criterion shows whether a change made something faster.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail as a test may")]

use std::{path::Path, sync::Arc};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pattoo_measurement::{Candidate, DEFAULT_FUTURE_BOUND};
use pattoo_modbus::{DeviceUrl, EndpointSettings, Endpoints, Readable, Span, Table};
use pattoo_output::pattoo::Batch;
use pattoo_sandbox::{Compiler, Module, Sandbox};
use pattoo_tests::{NOW, agent, assignment_without_grants, candidates, emitter::emitter, libmodbus_device_quiet};

fn encode(criterion: &mut Criterion) {
    const POINTS: i64 = 1000;
    let candidates = || candidates(0..POINTS);
    let collect = |candidates: Vec<Candidate>| {
        let mut batch = Batch::new(agent("modbus_registers"), DEFAULT_FUTURE_BOUND);
        batch.emit("plc1", candidates, NOW).unwrap();
        batch.into_body(NOW)
    };
    let mut group = criterion.benchmark_group("encode 1000 datapoints");
    group.throughput(Throughput::Elements(POINTS.unsigned_abs()));
    group.bench_function("one payload", |bencher| {
        bencher.iter_batched(candidates, collect, BatchSize::LargeInput);
    });
    group.finish();
}

/// 1 000 spans: planned, requested over loopback, and split into their values.
fn modbus(criterion: &mut Criterion) {
    let device = libmodbus_device_quiet();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url: DeviceUrl = format!("tcp://{}", device.address()).parse().unwrap();
    let endpoint = tokio.block_on(async { Endpoints::new().endpoint(url.endpoint(), &EndpointSettings::default()) });
    let readable = Readable::everything();
    let all =
        Table::ALL.into_iter().flat_map(|table| (0..250).map(move |address| Span::new(1, table, address, 1).unwrap()));
    let all: Vec<Span> = all.collect();
    for (name, count) in [("modbus: read 1000 spans of one address", all.len()), ("modbus: read one", 1)] {
        let spans: Vec<Span> = all.iter().copied().take(count).collect();
        criterion.bench_function(name, |bencher| bencher.iter(|| tokio.block_on(endpoint.read(&spans, &readable))));
    }
}

fn sandbox(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sandbox = Sandbox::new(1, Compiler::unbounded(), None).unwrap();
    let module = Module::from_bytes(Path::new("emitter.wat"), emitter(10, 1, 0).into_bytes()).unwrap();
    criterion.bench_function("sandbox: make a component of a small module and compile it", |bencher| {
        bencher.iter(|| sandbox.load(&module).unwrap());
    });
    let (collector, assignment) = (
        sandbox.load(&module).unwrap(),
        Arc::new(assignment_without_grants(agent("modbus_registers")).build().unwrap()),
    );
    criterion.bench_function("sandbox: a collection of ten datapoints", |bencher| {
        bencher.iter(|| tokio.block_on(sandbox.collect(&collector, Arc::clone(&assignment))));
    });
}

criterion_group!(parts, encode, modbus, sandbox);
criterion_main!(parts);
