//! Devices that are slow, busy, silent or delicate, and what is done for them.

use std::time::Duration;

use tokio::{join, time::Instant};

use super::raw::{REQUEST_TIMEOUT, RawDevice, holding, read, registers, settings};
use crate::{Endpoint, EndpointSettings, Endpoints, ExceptionCode, ReadError};

fn with(device: &RawDevice, settings: EndpointSettings) -> Endpoint {
    Endpoints::new().endpoint(&device.address, &settings)
}

#[tokio::test]
async fn a_busy_device_is_asked_again_after_a_while_and_others_meanwhile() {
    let device = RawDevice::listen().await;
    let busy_delay = Duration::from_millis(60);
    let endpoint = with(&device, EndpointSettings { busy_delay, busy_retries: 2, ..settings() });
    let spans = [holding(1, 0, 1), holding(2, 0, 1)];
    let (result, ()) = join!(read(&endpoint, spans), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        let since = Instant::now();
        connection.send(&request.exception(6)).await;
        assert_eq!(connection.answer(2).await.unit, 2);
        let request = connection.request().await;
        assert!(since.elapsed() >= busy_delay);
        connection.send(&request.exception(5)).await;
        assert_eq!(connection.answer(1).await.unit, 1);
    });
    assert_eq!(result, [registers(&[1]), registers(&[2])]);
}

#[tokio::test]
async fn a_device_that_stays_busy_is_an_exception_in_the_end() {
    let device = RawDevice::listen().await;
    let busy_delay = Duration::from_millis(1);
    let endpoint = with(&device, EndpointSettings { busy_delay, busy_retries: 2, ..settings() });
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        for _ in 0..3 {
            let request = connection.request().await;
            connection.send(&request.exception(6)).await;
        }
    });
    assert_eq!(result, [Err(ReadError::Exception(ExceptionCode::SERVER_DEVICE_BUSY))]);
}

#[tokio::test]
async fn a_request_is_tried_again_as_often_as_the_settings_say() {
    let device = RawDevice::listen().await;
    let endpoint = with(&device, EndpointSettings { retries: 2, ..settings() });
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.request().await;
        connection.closed().await;
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&request.registers(&[1, 2])).await;
        connection.closed().await;
        device.accept().await.answer(3).await;
    });
    assert_eq!(result, [registers(&[3])]);
}

#[tokio::test]
async fn a_unit_that_stays_silent_is_set_aside_and_tried_with_one_request() {
    let device = RawDevice::listen().await;
    let set_aside = Duration::from_millis(400);
    let endpoint = with(&device, EndpointSettings { set_aside, set_aside_after: 2, ..settings() });
    let timeout = || Err(ReadError::Timeout(REQUEST_TIMEOUT));
    for _ in 0..2 {
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            connection.request().await;
            connection.closed().await;
        });
        assert_eq!(result, [timeout()]);
    }
    // Now it costs nothing, and its neighbour is read at once.
    let aside = Instant::now();
    let (result, mut connection) = join!(read(&endpoint, [holding(1, 0, 1), holding(2, 0, 1)]), async {
        let mut connection = device.accept().await;
        assert_eq!(connection.answer(2).await.unit, 2);
        connection
    });
    assert_eq!(result, [timeout(), registers(&[2])]);
    assert!(aside.elapsed() < REQUEST_TIMEOUT);
    tokio::time::sleep(set_aside).await;
    // Two callers, one probe; when that is answered, both are.
    let (one, other, ()) =
        join!(read(&endpoint, [holding(1, 0, 1), holding(1, 10, 1)]), read(&endpoint, [holding(1, 20, 1)]), async {
            for _ in 0..3 {
                assert_eq!(connection.answer(1).await.unit, 1);
            }
        });
    assert_eq!((one, other), (vec![registers(&[1]), registers(&[1])], vec![registers(&[1])]));
}

#[tokio::test]
async fn a_unit_that_its_gateway_calls_silent_costs_one_request_of_a_read() {
    let device = RawDevice::listen().await;
    let endpoint = with(&device, settings());
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1), holding(1, 10, 1), holding(2, 0, 1)]), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&request.exception(11)).await;
        assert_eq!(connection.answer(2).await.unit, 2);
    });
    let silent = || Err(ReadError::Exception(ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND));
    assert_eq!(result, [silent(), silent(), registers(&[2])]);
}

#[tokio::test]
async fn the_pauses_that_a_device_needs_are_kept() {
    let device = RawDevice::listen().await;
    let (pause_after_connect, min_gap) = (Duration::from_millis(80), Duration::from_millis(50));
    let endpoint = with(&device, EndpointSettings { min_gap, pause_after_connect, ..settings() });
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1), holding(1, 10, 1)]), async {
        let mut connection = device.accept().await;
        let connected = Instant::now();
        connection.answer(1).await;
        assert!(connected.elapsed() + Duration::from_millis(5) >= pause_after_connect);
        let answered = Instant::now();
        connection.answer(2).await;
        assert!(answered.elapsed() + Duration::from_millis(5) >= min_gap);
    });
    assert_eq!(result, [registers(&[1]), registers(&[2])]);
}

#[tokio::test]
async fn several_connections_are_used_at_once_where_they_are_allowed() {
    let device = RawDevice::listen().await;
    let endpoint = with(&device, EndpointSettings { connections: 2, ..settings() });
    let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(1, 20, 1)];
    let (result, ()) = join!(read(&endpoint, spans), async {
        let (mut one, mut other) = (device.accept().await, device.accept().await);
        let (first, second) = (one.request().await, other.request().await);
        assert!(!device.has_caller().await);
        other.send(&second.registers(&[2])).await;
        let third = other.request().await;
        one.send(&first.registers(&[1])).await;
        other.send(&third.registers(&[3])).await;
    });
    let mut values: Vec<_> = result.into_iter().map(|result| result.unwrap()).collect();
    values.sort_by_key(|words| format!("{words:?}"));
    assert_eq!(values, [1, 2, 3].map(|value| crate::Words::Registers(vec![value])));
}

#[tokio::test]
async fn of_several_grants_the_fewest_connections_hold() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let many = endpoints.endpoint(&device.address, &EndpointSettings { connections: 4, ..settings() });
    let one = endpoints.endpoint(&device.address, &settings());
    let spans = [holding(1, 0, 1), holding(1, 10, 1)];
    let (_, _, ()) = join!(read(&one, [holding(2, 0, 1)]), read(&many, spans), async {
        let mut connection = device.accept().await;
        for _ in 0..3 {
            assert!(!device.has_caller().await);
            connection.answer(0).await;
        }
    });
}
