//! Settings for devices that are slow, busy, silent or fragile.

use std::time::Duration;

use tokio::{join, time::Instant};

use super::raw::{REQUEST_TIMEOUT, RawDevice, holding, read, registers, settings};
use crate::{Endpoint, EndpointSettings, Endpoints, ExceptionCode, NotSent, ReadError};

fn with(device: &RawDevice, settings: EndpointSettings) -> Endpoint {
    Endpoints::new().endpoint(&device.address, &settings)
}

#[tokio::test]
async fn request_to_a_busy_device_is_resent_later_and_others_are_sent_meanwhile() {
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
async fn device_that_stays_busy_is_an_exception() {
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
async fn request_is_retried_as_often_as_the_settings_say() {
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
async fn device_that_refuses_connections_for_a_moment_after_each_reply_is_read_with_retries() {
    let device = RawDevice::listen().await;
    let port = device.port();
    let endpoint = with(&device, EndpointSettings { retries: 1, ..settings() });
    let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(1, 20, 1)];
    let serve = async {
        let mut device = device;
        for value in 1..=3 {
            device.accept().await.answer(value).await;
            drop(device);
            // Longer than several attempts take.
            tokio::time::sleep(Duration::from_millis(300)).await;
            device = RawDevice::listen_on(port).await;
        }
    };
    let (result, ()) = join!(read(&endpoint, spans), serve);
    assert_eq!(result, [1, 2, 3].map(|value| registers(&[value])));
}

#[tokio::test]
async fn device_that_keeps_refusing_connections_is_an_error_within_the_timeout_and_then_at_once() {
    let device = RawDevice::listen().await;
    let connect_timeout = Duration::from_millis(500);
    let patient = EndpointSettings { retries: 1, connect_timeout, ..settings() };
    let endpoint = with(&device, patient);
    let one = [holding(1, 0, 1)];
    let (result, ()) = join!(read(&endpoint, one), async {
        device.accept().await.answer(1).await;
        drop(device);
    });
    assert_eq!(result, [registers(&[1])]);
    for longest in [connect_timeout, connect_timeout / 2] {
        let since = Instant::now();
        let result = read(&endpoint, one).await;
        assert!(matches!(&result[..], [Err(ReadError::Connection(why))] if why.contains("refused")), "{result:?}");
        assert!(since.elapsed() < longest, "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn circuit_breaker_of_a_silent_unit_opens_and_one_request_probes_it() {
    let device = RawDevice::listen().await;
    let breaker_duration = Duration::from_millis(400);
    let endpoint = with(&device, EndpointSettings { breaker_duration, breaker_threshold: 2, ..settings() });
    let timeout = || Err(ReadError::Timeout(REQUEST_TIMEOUT));
    for _ in 0..2 {
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            connection.request().await;
            connection.closed().await;
        });
        assert_eq!(result, [timeout()]);
    }
    // The breaker is open: the unit fails at once, and the other one is read without delay.
    let open_since = Instant::now();
    let (result, mut connection) = join!(read(&endpoint, [holding(1, 0, 1), holding(2, 0, 1)]), async {
        let mut connection = device.accept().await;
        assert_eq!(connection.answer(2).await.unit, 2);
        connection
    });
    assert_eq!(result, [Err(ReadError::NotSent(NotSent::UnitSilent)), registers(&[2])]);
    assert!(open_since.elapsed() < REQUEST_TIMEOUT);
    tokio::time::sleep(breaker_duration).await;
    // Two callers, one probe: after its reply both callers are served.
    let (one, other, ()) =
        join!(read(&endpoint, [holding(1, 0, 1), holding(1, 10, 1)]), read(&endpoint, [holding(1, 20, 1)]), async {
            for _ in 0..3 {
                assert_eq!(connection.answer(1).await.unit, 1);
            }
        });
    assert_eq!((one, other), (vec![registers(&[1]), registers(&[1])], vec![registers(&[1])]));
}

#[tokio::test]
async fn unit_that_does_not_answer_its_gateway_costs_two_requests_of_a_read() {
    let device = RawDevice::listen().await;
    let endpoint = with(&device, settings());
    let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(1, 20, 1), holding(2, 0, 1)];
    let (result, ()) = join!(read(&endpoint, spans), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&request.exception(11)).await;
        assert_eq!(connection.answer(2).await.unit, 2);
        let request = connection.request().await;
        connection.send(&request.exception(11)).await;
    });
    let silent = || Err(ReadError::Exception(ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND));
    assert_eq!(result, [silent(), silent(), Err(ReadError::NotSent(NotSent::UnitSilent)), registers(&[2])]);
}

#[tokio::test]
async fn gateway_exceptions_open_the_breaker_of_their_unit_and_any_other_reply_closes_it() {
    for code in [10, 11, 0xE0, 0xEF] {
        let device = RawDevice::listen().await;
        let breaker_duration = Duration::from_millis(300);
        let endpoint = with(&device, EndpointSettings { breaker_duration, breaker_threshold: 2, ..settings() });
        let spans = [holding(1, 0, 1), holding(2, 0, 1)];
        let mut connection = None;
        for _ in 0..2 {
            let (results, open) = join!(read(&endpoint, spans), async {
                let mut connection = match connection.take() {
                    Some(connection) => connection,
                    None => device.accept().await,
                };
                // The unit that was silent comes last.
                for _ in 0..2 {
                    let request = connection.request().await;
                    let reply = if request.unit == 1 { request.exception(code) } else { request.registers(&[2]) };
                    connection.send(&reply).await;
                }
                connection
            });
            assert_eq!(results, [Err(ReadError::Exception(ExceptionCode(code))), registers(&[2])]);
            connection = Some(open);
        }
        // The breaker is open: the gateway is not asked for the unit.
        let mut connection = connection.unwrap();
        let (results, ()) = join!(read(&endpoint, spans), async {
            assert_eq!(connection.answer(2).await.unit, 2);
        });
        assert_eq!(results, [Err(ReadError::NotSent(NotSent::UnitSilent)), registers(&[2])]);
        // Another exception is a reply of the unit, and closes it.
        tokio::time::sleep(breaker_duration).await;
        for _ in 0..3 {
            let (results, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
                let request = connection.request().await;
                connection.send(&request.exception(2)).await;
            });
            assert_eq!(results, [Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS))]);
        }
    }
}

#[tokio::test]
async fn pauses_of_the_settings_are_kept() {
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
async fn several_connections_are_used_at_once_if_the_settings_allow_them() {
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
async fn fewest_connections_of_several_settings_are_used() {
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
