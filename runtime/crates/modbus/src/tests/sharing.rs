//! Several callers of one endpoint, and the lifetime of its connection.

use std::{pin::pin, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use tokio::join;

use super::raw::{RawDevice, holding, read, registers, settings};
use crate::{DeviceUrl, EndpointAddress, EndpointSettings, Endpoints, Ranges, ReadError, Readable, Span, Table};

/// Spans of a unit, each of which needs its own request.
fn apart(unit: u8, count: u16) -> Vec<Span> {
    (0..count).map(|index| holding(unit, index * 10, 1)).collect()
}

#[tokio::test]
async fn all_callers_of_an_address_share_one_connection() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let one = endpoints.endpoint(&device.address, &settings());
    let other = endpoints.clone().endpoint(&device.address, &EndpointSettings::default());
    let (a, b, ()) = join!(read(&one, [holding(1, 0, 1)]), read(&other, [holding(2, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.answer(1).await;
        connection.answer(2).await;
    });
    assert_eq!((a, b), (vec![registers(&[1])], vec![registers(&[2])]));
}

#[tokio::test]
async fn short_read_does_not_wait_for_a_long_one() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let (long_spans, short_spans) = (apart(1, 5), apart(2, 2));
    let mut long = pin!(read(&endpoint, long_spans));
    let mut short = pin!(read(&endpoint, short_spans));
    assert!(long.as_mut().now_or_never().is_none());
    assert!(short.as_mut().now_or_never().is_none());
    let (_, _, units) = join!(long, short, async {
        let mut connection = device.accept().await;
        let mut units = Vec::new();
        for _ in 0..7 {
            units.push(connection.answer(0).await.unit);
        }
        units
    });
    assert_eq!(units, [1, 2, 1, 2, 1, 1, 1]);
}

/// The number of requests to unit 1 before the last one to unit 2. The caller of unit 1 reads
/// `lists` lists whose requests take the device `takes` each; the other caller reads a list of five
/// requests that take no time.
async fn requests_before_the_others_are_done(lists: usize, requests: u16, takes: Duration) -> usize {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let patient = EndpointSettings { request_timeout: Duration::from_secs(5), ..settings() };
    let (greedy, good) = (endpoints.endpoint(&device.address, &patient), endpoints.endpoint(&device.address, &patient));
    let greedy_spans = apart(1, requests);
    let mut greedy_reads = join_all((0..lists).map(|_| read(&greedy, greedy_spans.clone())));
    assert!((&mut greedy_reads).now_or_never().is_none());
    let mut good_read = pin!(read(&good, apart(2, 5)));
    assert!(good_read.as_mut().now_or_never().is_none());
    let answering = async {
        let mut connection = device.accept().await;
        let (mut greedy, mut good) = (0, 0);
        loop {
            let request = connection.request().await;
            if request.unit == 1 {
                greedy += 1;
                tokio::time::sleep(takes).await;
            } else {
                good += 1;
            }
            connection.send(&request.registers(&[0])).await;
            if good == 5 {
                return greedy;
            }
        }
    };
    tokio::select! {
        sent = async { join!(answering, good_read).0 } => sent,
        _ = greedy_reads => panic!("all of one caller's lists were read before the other's"),
    }
}

#[tokio::test]
async fn caller_with_many_lists_has_no_more_turns_than_one_with_a_single_list() {
    let sent = requests_before_the_others_are_done(50, 3, Duration::ZERO).await;
    // As many as the other caller, and a few more. With turns by list it would be all 150.
    assert!(sent <= 30, "{sent}");
}

#[tokio::test]
async fn caller_with_slow_requests_waits_longer_for_its_turns() {
    // Each takes longer than all others together. With turns by request it would be 5.
    let sent = requests_before_the_others_are_done(1, 10, Duration::from_millis(300)).await;
    assert!(sent <= 2, "{sent}");
}

#[tokio::test]
async fn dropped_caller_delays_the_others_by_one_request_at_most() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let dropped_spans = apart(1, 5);
    let mut dropped = Box::pin(read(&endpoint, dropped_spans));
    assert!(dropped.as_mut().now_or_never().is_none());
    let mut connection = device.accept().await;
    let request = connection.request().await;
    drop(dropped);
    let (result, ()) = join!(read(&endpoint, [holding(2, 0, 1)]), async {
        connection.send(&request.registers(&[1])).await;
        assert_eq!(connection.answer(2).await.unit, 2);
    });
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn reads_of_an_endpoint_that_refuses_fail_at_once_until_its_backoff_is_over() {
    let device = RawDevice::listen().await;
    let port = device.port();
    let settings =
        EndpointSettings { first_backoff: Duration::from_hours(1), max_backoff: Duration::from_hours(1), ..settings() };
    let endpoint = Endpoints::new().endpoint(&device.address, &settings);
    drop(device);
    let spans = [holding(1, 0, 1), holding(2, 0, 1)];
    let refused = read(&endpoint, spans).await;
    let [Err(ReadError::Connection(one)), Err(ReadError::Connection(other))] = refused.as_slice() else {
        panic!("{refused:?}");
    };
    assert!(one == other && one.contains("refused"), "{one:?} {other:?}");
    let device = RawDevice::listen_on(port).await;
    assert_eq!(read(&endpoint, spans).await, refused);
    assert!(!device.has_caller().await);
}

#[tokio::test]
async fn endpoint_that_recovers_is_used_again_after_the_backoff() {
    let device = RawDevice::listen().await;
    let port = device.port();
    let settings = EndpointSettings {
        first_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(5),
        ..settings()
    };
    let endpoint = Endpoints::new().endpoint(&device.address, &settings);
    drop(device);
    for _ in 0..5 {
        assert!(read(&endpoint, [holding(1, 0, 1)]).await[0].is_err());
    }
    let device = RawDevice::listen_on(port).await;
    let (result, ()) = join!(
        async {
            loop {
                let result = read(&endpoint, [holding(1, 0, 1)]).await;
                if result[0].is_ok() {
                    return result;
                }
            }
        },
        async {
            device.accept().await.answer(4).await;
        }
    );
    assert_eq!(result, [registers(&[4])]);
}

#[tokio::test]
async fn connection_that_the_device_closed_while_idle_is_reopened_without_an_error() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let span = [holding(1, 0, 1)];
    let (_, mut connection) = join!(read(&endpoint, span), async {
        let mut connection = device.accept().await;
        connection.answer(1).await;
        connection
    });
    // Closed only after the next request has arrived, so that the client cannot know it before.
    let (result, ()) = join!(read(&endpoint, span), async {
        connection.request().await;
        drop(connection);
        device.accept().await.answer(2).await;
    });
    assert_eq!(result, [registers(&[2])]);
    // This time the connection was closed long before.
    let (result, ()) = join!(read(&endpoint, span), async {
        device.accept().await.answer(3).await;
    });
    assert_eq!(result, [registers(&[3])]);
}

#[tokio::test]
async fn idle_connection_is_closed_and_the_next_read_opens_another() {
    let device = RawDevice::listen().await;
    let settings = EndpointSettings { idle_close: Duration::from_millis(20), ..settings() };
    let endpoint = Endpoints::new().endpoint(&device.address, &settings);
    for value in 0..3 {
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            connection.answer(value).await;
            connection.closed().await;
        });
        assert_eq!(result, [registers(&[value])]);
    }
}

#[tokio::test]
async fn connection_is_closed_when_its_endpoint_is_dropped() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let endpoint = endpoints.endpoint(&device.address, &settings());
    let (_, mut connection) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.answer(1).await;
        connection
    });
    drop(endpoints);
    drop(endpoint);
    connection.closed().await;
}

#[tokio::test]
async fn nothing_is_sent_for_a_denied_span() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let readable = Readable::of([(Table::HoldingRegisters, "0-9".parse::<Ranges>().unwrap())]);
    let denied = [holding(1, 9, 2), Span::new(1, Table::Coils, 0, 1).unwrap()];
    let result = endpoint.read(&denied, &readable).await;
    assert_eq!(result, denied.map(|span| Err(ReadError::Denied(span))));
    assert!(!device.has_caller().await);
}

#[tokio::test]
async fn no_error_of_a_read_contains_the_address_of_its_endpoint() {
    let url: DeviceUrl = "tcp://no-such-host.invalid:1502".parse().unwrap();
    let device = RawDevice::listen().await;
    let refusing = device.address.clone();
    drop(device);
    for address in [url.endpoint(), &refusing] {
        let EndpointAddress::Tcp(host) = address else { panic!("{address}") };
        let port = host.port();
        let endpoint = Endpoints::new().endpoint(address, &settings());
        let result = read(&endpoint, [holding(1, 0, 1)]).await;
        let [Err(error @ ReadError::Connection(_))] = result.as_slice() else { panic!("{result:?}") };
        let text = error.to_string();
        assert!(
            !text.contains("invalid") && !text.contains("127.0.0.1") && !text.contains(&port.to_string()),
            "{text}"
        );
    }
}

#[tokio::test]
async fn no_connection_is_opened_to_a_denied_address_unless_the_settings_say_own() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    endpoints.deny_addresses(|address| address.ip().is_loopback());
    let refused = endpoints.endpoint(&device.address, &settings());
    let results = read(&refused, [holding(1, 0, 1)]).await;
    assert!(matches!(&results[..], [Err(ReadError::Connection(why))] if why.contains("own: true")), "{results:?}");
    assert!(device.accept().now_or_never().is_none());
    // Endpoints with and without `own` share no connection.
    let own = endpoints.endpoint(&device.address, &EndpointSettings { own: true, ..settings() });
    let (result, _connection) = join!(read(&own, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        connection.answer(7).await;
        connection
    });
    assert_eq!(result, [registers(&[7])]);
    assert!(read(&refused, [holding(1, 0, 1)]).await[0].is_err());
}

#[tokio::test]
async fn denied_address_of_a_name_is_skipped_and_the_next_one_is_used() {
    let device = RawDevice::listen().await;
    // Usually `localhost` is this address too, and it comes first.
    let denied = tokio::net::TcpListener::bind(("::1", device.port())).await;
    let url: DeviceUrl = format!("tcp://localhost:{}", device.port()).parse().unwrap();
    let endpoints = Endpoints::new();
    endpoints.deny_addresses(|address| address.is_ipv6());
    let endpoint = endpoints.endpoint(url.endpoint(), &settings());
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        device.accept().await.answer(7).await;
    });
    assert_eq!(result, [registers(&[7])]);
    if let Ok(denied) = denied {
        assert!(denied.accept().now_or_never().is_none(), "a connection was opened to a denied address");
    }
}
