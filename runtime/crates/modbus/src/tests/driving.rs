//! An only caller sends its own requests over an open connection; other callers join, or it is
//! dropped.

use std::{pin::pin, time::Duration};

use futures_util::FutureExt as _;
use tokio::{join, runtime::Runtime};

use super::raw::{REQUEST_TIMEOUT, RawConnection, RawDevice, holding, read, registers, settings};
use crate::{Endpoint, EndpointSettings, Endpoints, ReadError, Span};

/// Spans of a unit, each of which needs its own request.
fn apart(unit: u8, count: u16) -> Vec<Span> {
    (0..count).map(|index| holding(unit, index * 10, 1)).collect()
}

/// An open connection over which a value was read.
async fn open_connection(device: &RawDevice, endpoint: &Endpoint) -> RawConnection {
    let (result, connection) = join!(read(endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.answer(1).await;
        connection
    });
    assert_eq!(result, [registers(&[1])]);
    connection
}

#[tokio::test]
async fn request_of_an_only_caller_is_sent_before_any_task_runs() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let connection = open_connection(&device, &endpoint).await;
    let spans = apart(1, 3);
    let mut reading = Box::pin(read(&endpoint, spans));
    // Only this future is polled: no task runs before the first await that is pending.
    assert!(reading.as_mut().now_or_never().is_none());
    let mut first = [0; 12];
    let sent = std::iter::repeat_with(|| connection.0.try_read(&mut first)).take(100_000).find(Result::is_ok);
    assert!(sent.is_some_and(|sent| sent.unwrap() == 12), "the request waits for a task to send it");
    drop(reading);
}

#[tokio::test]
async fn request_of_a_dropped_caller_is_completed_and_the_connection_stays_open() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let mut connection = open_connection(&device, &endpoint).await;
    let spans = apart(1, 5);
    let mut dropped = Box::pin(read(&endpoint, spans));
    assert!(dropped.as_mut().now_or_never().is_none());
    let request = connection.request().await;
    drop(dropped);
    let (result, ()) = join!(read(&endpoint, [holding(2, 0, 1)]), async {
        connection.send(&request.registers(&[1])).await;
        assert_eq!(connection.answer(2).await.unit, 2);
    });
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn timeout_of_a_dropped_caller_closes_the_connection() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let mut connection = open_connection(&device, &endpoint).await;
    let spans = apart(1, 2);
    let mut dropped = Box::pin(read(&endpoint, spans));
    assert!(dropped.as_mut().now_or_never().is_none());
    connection.request().await;
    drop(dropped);
    let (result, ()) = join!(read(&endpoint, [holding(2, 0, 1)]), async {
        connection.closed().await;
        assert_eq!(device.accept().await.answer(2).await.unit, 2);
    });
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn caller_that_joins_during_a_read_gets_every_other_turn() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let mut connection = open_connection(&device, &endpoint).await;
    let (long_spans, short_spans) = (apart(1, 6), apart(2, 2));
    let mut long = pin!(read(&endpoint, long_spans));
    assert!(long.as_mut().now_or_never().is_none());
    let first = connection.request().await;
    let mut short = pin!(read(&endpoint, short_spans));
    assert!(short.as_mut().now_or_never().is_none());
    let (_, _, units) = join!(long, short, async {
        connection.send(&first.registers(&[0])).await;
        let mut units = vec![first.unit];
        for _ in 0..7 {
            units.push(connection.answer(0).await.unit);
        }
        units
    });
    assert_eq!(units, [1, 1, 2, 1, 2, 1, 1, 1]);
}

#[tokio::test]
async fn caller_waits_for_one_request_at_most_of_a_caller_that_is_not_polled() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let mut connection = open_connection(&device, &endpoint).await;
    let (long_spans, short_spans) = (apart(1, 3), apart(2, 1));
    let mut long = pin!(read(&endpoint, long_spans));
    assert!(long.as_mut().now_or_never().is_none());
    let first = connection.request().await;
    let mut short = pin!(read(&endpoint, short_spans));
    assert!(short.as_mut().now_or_never().is_none());
    connection.send(&first.registers(&[0])).await;
    // It is polled until it has received this reply and sent the next request, and never again.
    while connection.0.peek(&mut [0]).now_or_never().is_none() {
        assert!(long.as_mut().now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (result, units) = join!(short, async { [connection.answer(1).await.unit, connection.answer(2).await.unit] });
    assert_eq!((result, units), (vec![registers(&[2])], [1, 2]));
}

#[tokio::test]
async fn shorter_idle_time_of_a_later_caller_is_used() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let patient = endpoints.endpoint(&device.address, &settings());
    let mut connection = open_connection(&device, &patient).await;
    let hasty = EndpointSettings { idle_close: Duration::from_millis(20), ..settings() };
    let hasty = endpoints.endpoint(&device.address, &hasty);
    let (result, ()) = join!(read(&hasty, [holding(1, 0, 1)]), async {
        connection.answer(2).await;
    });
    assert_eq!(result, [registers(&[2])]);
    connection.closed().await;
}

#[tokio::test]
async fn connection_in_regular_use_is_not_closed_as_idle() {
    let device = RawDevice::listen().await;
    let settings = EndpointSettings { idle_close: Duration::from_millis(200), ..settings() };
    let endpoint = Endpoints::new().endpoint(&device.address, &settings);
    let mut connection = open_connection(&device, &endpoint).await;
    for value in 0..12 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        let (result, _) = join!(read(&endpoint, [holding(1, 0, 1)]), connection.answer(value));
        assert_eq!(result, [registers(&[value])]);
    }
    connection.closed().await;
}

#[tokio::test]
async fn caller_with_several_connections_uses_all_of_them_even_if_one_is_open() {
    let device = RawDevice::listen().await;
    let endpoint = Endpoints::new().endpoint(&device.address, &EndpointSettings { connections: 2, ..settings() });
    let mut one = open_connection(&device, &endpoint).await;
    let (result, ()) = join!(read(&endpoint, apart(1, 2)), async {
        let first = one.request().await;
        device.accept().await.answer(2).await;
        one.send(&first.registers(&[1])).await;
    });
    assert_eq!(result, [registers(&[1]), registers(&[2])]);
}

#[tokio::test]
async fn request_that_its_caller_sends_has_the_same_timeout() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let mut connection = open_connection(&device, &endpoint).await;
    for _ in 0..2 {
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            connection.request().await;
            connection.closed().await;
        });
        assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
        connection = open_connection(&device, &endpoint).await;
    }
}

#[test]
fn endpoint_stays_usable_after_its_first_tokio_runtime_ended() {
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let device = other.block_on(RawDevice::listen());
    let endpoint = device.endpoint();
    let answering = other.spawn(async move {
        let mut connection = device.accept().await;
        connection.answer(1).await;
        connection.answer(2).await;
        // This connection ends with the first runtime.
        connection.closed().await;
        device.accept().await.answer(3).await;
    });
    let span = [holding(1, 0, 1)];
    assert_eq!(one.block_on(read(&endpoint, span)), [registers(&[1])]);
    // A read in another runtime over the connection of the first.
    assert_eq!(other.block_on(read(&endpoint, span)), [registers(&[2])]);
    drop(one);
    assert_eq!(other.block_on(read(&endpoint, span)), [registers(&[3])]);
    other.block_on(answering).unwrap();
}
