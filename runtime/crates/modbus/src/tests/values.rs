//! Reads return the values of the device, for any combination of spans.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::join;

use super::raw::{RawDevice, RawRequest, holding, read, registers, settings};
use crate::{EndpointSettings, Endpoints, ExceptionCode, Ranges, ReadError, Readable, Table};

#[tokio::test]
async fn bad_register_fails_only_the_spans_that_contain_it() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let spans: Vec<_> = (0..8).map(|address| holding(1, address, 1)).collect();
    let (result, requests) = join!(read(&endpoint, spans), serve(&device, BTreeSet::from([5]), 7));
    for (address, result) in (0..8).zip(result) {
        let expected = if address == 5 {
            Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS))
        } else {
            registers(&[address])
        };
        assert_eq!(result, expected, "address {address}");
    }
    // A request for 8 registers, then both halves of 8, of 4 and of 2.
    let requested: Vec<_> = requests.iter().map(|request| (request.address, request.count)).collect();
    assert_eq!(requested, [(0, 8), (0, 4), (4, 4), (4, 2), (6, 2), (4, 1), (5, 1)]);
}

#[tokio::test]
async fn span_that_is_too_long_for_one_request_is_read_in_pieces() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let spans = [holding(1, 100, 300), holding(1, 225, 2)];
    let (result, requests) = join!(read(&endpoint, spans), serve(&device, BTreeSet::new(), 3));
    assert_eq!(result, [registers(&(100..400).collect::<Vec<_>>()), registers(&[225, 226])]);
    let requested: Vec<_> = requests.iter().map(|request| (request.address, request.count)).collect();
    assert_eq!(requested, [(100, 125), (225, 125), (350, 50)]);
}

/// Replies to `requests` requests: the value of each register is its address; bad registers are an
/// exception.
async fn serve(device: &RawDevice, bad: BTreeSet<u16>, requests: usize) -> Vec<RawRequest> {
    let mut connection = device.accept().await;
    let mut seen = Vec::new();
    for _ in 0..requests {
        let request = connection.request().await;
        connection.send(&own_addresses(request, &bad)).await;
        seen.push(request);
    }
    seen
}

fn own_addresses(request: RawRequest, bad: &BTreeSet<u16>) -> Vec<u8> {
    let addresses: Vec<_> = (request.address..request.address + request.count).collect();
    if addresses.iter().any(|address| bad.contains(address)) {
        request.exception(2)
    } else {
        request.registers(&addresses)
    }
}

#[test]
fn spans_of_one_read_have_the_same_results_as_each_alone() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bad = Arc::new(Mutex::new(BTreeSet::new()));
    let requested = Arc::new(Mutex::new(BTreeSet::new()));
    let device = runtime.block_on(RawDevice::listen());
    let address = device.address.clone();
    let (device_bad, device_requested) = (Arc::clone(&bad), Arc::clone(&requested));
    runtime.spawn(async move {
        let mut connection = device.accept().await;
        loop {
            let request = connection.request().await;
            let run = request.address..request.address + request.count;
            device_requested.lock().unwrap().extend(run);
            let reply = own_addresses(request, &device_bad.lock().unwrap());
            connection.send(&reply).await;
        }
    });
    let endpoints = Endpoints::new();
    let cases = (
        prop::collection::vec((0..60_u16, 1..12_u16), 1..12),
        prop::collection::btree_set(0..72_u16, 0..10),
        prop::collection::btree_set(0..72_u16, 0..10),
        1..10_u16,
        0..4_u16,
    );
    let config = Config { cases: 500, ..Config::default() };
    TestRunner::new(config)
        .run(&cases, |(spans, bad_now, denied, max_registers, gap)| {
            bad.lock().unwrap().clone_from(&bad_now);
            requested.lock().unwrap().clear();
            let spans: Vec<_> = spans.iter().map(|&(address, count)| holding(1, address, count)).collect();
            let granted: Ranges = (0..72_u16)
                .filter(|address| !denied.contains(address))
                .map(|address| address.to_string().parse::<Ranges>().unwrap())
                .collect();
            let readable = Readable::of([(Table::HoldingRegisters, granted)]);
            let settings = EndpointSettings { max_registers, gap, ..settings() };
            let endpoint = endpoints.endpoint(&address, &settings);
            let results = runtime.block_on(endpoint.read(&spans, &readable));
            prop_assert_eq!(results.len(), spans.len());
            for (span, result) in spans.iter().zip(results) {
                let addresses: Vec<_> = (span.address()..=span.last()).collect();
                let expected = if addresses.iter().any(|address| denied.contains(address)) {
                    Err(ReadError::Denied(*span))
                } else if addresses.iter().any(|address| bad_now.contains(address)) {
                    Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS))
                } else {
                    registers(&addresses)
                };
                prop_assert_eq!(result, expected);
            }
            prop_assert!(requested.lock().unwrap().is_disjoint(&denied));
            Ok(())
        })
        .unwrap();
}
