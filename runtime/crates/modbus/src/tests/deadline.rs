//! Reads that end at a deadline.

use std::time::Duration;

use tokio::{join, time::Instant};

use super::raw::{RawDevice, holding, read, registers, settings};
use crate::{Endpoint, EndpointSettings, Endpoints, NotSent, ReadError, Readable, Span, Words};

const SOON: Duration = Duration::from_millis(200);

/// An endpoint that waits for a reply for longer than any test takes.
fn patient(device: &RawDevice) -> Endpoint {
    let settings = EndpointSettings { request_timeout: Duration::from_secs(20), ..settings() };
    Endpoints::new().endpoint(&device.address, &settings)
}

async fn read_until(endpoint: &Endpoint, spans: &[Span], time: Duration) -> Vec<Result<Words, ReadError>> {
    endpoint.read_until(spans, &Readable::everything(), Instant::now() + time).await
}

fn not_sent() -> Result<Words, ReadError> {
    Err(ReadError::NotSent(NotSent::Deadline))
}

#[tokio::test]
async fn read_returns_at_its_deadline_with_what_has_arrived() {
    let device = RawDevice::listen().await;
    let endpoint = patient(&device);
    let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(1, 20, 1), holding(2, 0, 1)];
    let started = Instant::now();
    let (results, mut connection) = join!(read_until(&endpoint, &spans, SOON), async {
        let mut connection = device.accept().await;
        connection.answer(7).await;
        connection
    });
    assert!((SOON..SOON * 5).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(results, [registers(&[7]), Err(ReadError::Deadline), not_sent(), not_sent()]);
    // The request in progress is completed, and its reply is not used for another.
    let late = connection.request().await;
    let (results, ()) = join!(read(&endpoint, [holding(1, 30, 1)]), async {
        connection.send(&late.registers(&[8])).await;
        connection.answer(9).await;
    });
    assert_eq!(results, [registers(&[9])]);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let device = RawDevice::listen().await;
    let results = read_until(&patient(&device), &[holding(1, 0, 1)], Duration::ZERO).await;
    assert_eq!(results, [not_sent()]);
    assert!(!device.has_caller().await);
}

#[tokio::test]
async fn read_that_waits_for_another_caller_returns_at_its_deadline() {
    let device = RawDevice::listen().await;
    let endpoint = patient(&device);
    let (spans, others) = ([holding(1, 0, 1)], [holding(2, 0, 1)]);
    let (blocked, results, ()) = join!(
        read_until(&endpoint, &spans, SOON * 3),
        async {
            tokio::time::sleep(SOON / 2).await;
            read_until(&endpoint, &others, SOON).await
        },
        async {
            let mut connection = device.accept().await;
            connection.request().await;
            tokio::time::sleep(SOON * 4).await;
        }
    );
    assert_eq!((blocked, results), (vec![Err(ReadError::Deadline)], vec![not_sent()]));
}

#[tokio::test]
async fn dead_unit_opens_its_breaker_even_if_its_timeout_is_longer_than_each_read() {
    let device = RawDevice::listen().await;
    let request_timeout = Duration::from_millis(120);
    let endpoint = Endpoints::new()
        .endpoint(&device.address, &EndpointSettings { request_timeout, breaker_threshold: 2, ..settings() });
    let spans = [holding(1, 0, 1)];
    for _ in 0..2 {
        assert_eq!(read_until(&endpoint, &spans, request_timeout / 2).await, [Err(ReadError::Deadline)]);
        tokio::time::sleep(request_timeout).await;
    }
    assert_eq!(read(&endpoint, &spans).await, [Err(ReadError::NotSent(NotSent::UnitSilent))]);
}
