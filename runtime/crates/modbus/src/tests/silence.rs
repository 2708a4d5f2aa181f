//! Devices that ignore requests for some of their registers, and units that are dead.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, join, net::TcpListener, time::Instant};

use super::raw::{REQUEST_TIMEOUT, RawConnection, RawDevice, RawRequest, holding, read, registers, settings};
use crate::{
    DeviceUrl, Endpoint, EndpointSettings, Endpoints, ExceptionCode, NotSent, ReadError, Span, transport::with_checksum,
};

fn singles(unit: u8, addresses: std::ops::Range<u16>) -> Vec<Span> {
    addresses.map(|address| holding(unit, address, 1)).collect()
}

/// What a device does with a request for some registers that it does not have.
#[derive(Debug, Clone, Copy)]
enum Hole {
    Ignored,
    ConnectionClosed,
    Exception(u8),
}

/// Serves connections, one after the other, for as long as it is polled. The value of a register is
/// its address. Requests that `hole` names are not answered.
async fn serve(device: &RawDevice, hole: impl Fn(RawRequest) -> Option<Hole>) {
    loop {
        serve_connection(device.accept().await, &hole).await;
    }
}

async fn serve_connection(mut connection: RawConnection, hole: impl Fn(RawRequest) -> Option<Hole>) {
    let mut bytes = [0; 12];
    while connection.0.read_exact(&mut bytes).await.is_ok() {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (address, count) = (word(8), word(10));
        let request = RawRequest { transaction: word(0), unit: bytes[6], function: bytes[7], address, count };
        match hole(request) {
            None => connection.send(&request.registers(&(address..address + count).collect::<Vec<_>>())).await,
            Some(Hole::Ignored) => {}
            Some(Hole::ConnectionClosed) => return,
            Some(Hole::Exception(code)) => connection.send(&request.exception(code)).await,
        }
    }
}

fn touches(request: RawRequest, register: u16) -> bool {
    (request.address..request.address + request.count).contains(&register)
}

/// Reads while the device serves, and returns the results with the time that the read took.
async fn read_from(
    device: &RawDevice,
    endpoint: &Endpoint,
    spans: &[Span],
    hole: impl Fn(RawRequest) -> Option<Hole>,
) -> (Vec<Result<crate::Words, ReadError>>, Duration) {
    let started = Instant::now();
    tokio::select! {
        results = read(endpoint, spans) => (results, started.elapsed()),
        () = serve(device, hole) => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
async fn register_without_a_reply_fails_alone_and_the_next_read_does_not_wait_for_it() {
    for kind in [Hole::Ignored, Hole::ConnectionClosed, Hole::Exception(11)] {
        let device = RawDevice::listen().await;
        // The breaker would open with the first request that counts.
        let endpoint =
            Endpoints::new().endpoint(&device.address, &EndpointSettings { breaker_threshold: 1, ..settings() });
        let spans = singles(1, 0..10);
        let hole = |request| touches(request, 5).then_some(kind);
        let (results, took) = read_from(&device, &endpoint, &spans, hole).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9, "{kind:?}: {results:?}");
        let expected = match kind {
            Hole::Ignored => ReadError::Timeout(REQUEST_TIMEOUT),
            Hole::ConnectionClosed => ReadError::Connection("the device closed the connection".to_owned()),
            Hole::Exception(code) => ReadError::Exception(ExceptionCode(code)),
        };
        assert_eq!(results[5], Err(expected));
        assert!(took < REQUEST_TIMEOUT * 3, "{kind:?}: {took:?}");
        let (results, took) = read_from(&device, &endpoint, &spans, hole).await;
        assert_eq!(results[5], Err(ReadError::NotSent(NotSent::AddressSilent)));
        assert_eq!((&results[4], &results[6]), (&registers(&[4]), &registers(&[6])));
        assert!(took < REQUEST_TIMEOUT, "{kind:?}: {took:?}");
    }
}

#[tokio::test]
async fn requests_that_are_too_long_for_a_silent_device_are_divided() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let spans = singles(1, 0..199);
    let too_long = |request: RawRequest| (request.count > 60).then_some(Hole::Ignored);
    let (results, took) = read_from(&device, &endpoint, &spans, too_long).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(took < REQUEST_TIMEOUT * 2, "{took:?}");
    let (results, took) = read_from(&device, &endpoint, &spans, too_long).await;
    assert!(results.iter().all(Result::is_ok) && took < REQUEST_TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn request_with_exception_1_is_halved() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let hole = |request| touches(request, 5).then_some(Hole::Exception(1));
    let (results, _) = read_from(&device, &endpoint, &singles(1, 0..10), hole).await;
    for (address, result) in (0..10).zip(results) {
        let failed = Err(ReadError::Exception(ExceptionCode::ILLEGAL_FUNCTION));
        assert_eq!(result, if address == 5 { failed } else { registers(&[address]) });
    }
}

#[tokio::test]
async fn dead_unit_is_not_asked_for_each_part_and_opens_its_breaker() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let spans = [singles(1, 0..199), singles(2, 0..10)].concat();
    let dead = |request: RawRequest| (request.unit == 1).then_some(Hole::Ignored);
    // The threshold is 3: two requests in the first read, one in the second, none in the third.
    for timeouts in [2, 1, 0] {
        let (results, took) = read_from(&device, &endpoint, &spans, dead).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
        let timed_out = results.iter().filter(|result| matches!(result, Err(ReadError::Timeout(_)))).count();
        let not_sent = results.iter().filter(|result| **result == Err(ReadError::NotSent(NotSent::UnitSilent)));
        assert_eq!(timed_out + not_sent.count(), 199);
        // The merged request and the check; the check; nothing.
        assert_eq!(timed_out, [0, 1, 126][timeouts]);
        let range = REQUEST_TIMEOUT * u32::try_from(timeouts).unwrap()
            ..REQUEST_TIMEOUT * (1 + u32::try_from(timeouts).unwrap());
        assert!(range.contains(&took), "{took:?} for {timeouts} timeouts");
    }
}

#[tokio::test]
async fn unit_that_recovers_with_a_silent_register_is_read_again() {
    let device = RawDevice::listen().await;
    let breaker_duration = Duration::from_millis(200);
    let endpoint = Endpoints::new()
        .endpoint(&device.address, &EndpointSettings { breaker_threshold: 1, breaker_duration, ..settings() });
    let spans = singles(1, 0..10);
    let _ = read_from(&device, &endpoint, &spans, |_| Some(Hole::Ignored)).await;
    tokio::time::sleep(breaker_duration).await;
    // The request that tests the unit is one for a single span, not the one with the silent register.
    let hole = |request| touches(request, 5).then_some(Hole::Ignored);
    let (results, _) = read_from(&device, &endpoint, &spans, hole).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9, "{results:?}");
}

#[tokio::test]
async fn late_reply_to_a_merged_request_is_never_used_for_its_parts() {
    let device = RawDevice::listen().await;
    let endpoint = device.endpoint();
    let (results, ()) = join!(read(&endpoint, singles(1, 0..2)), async {
        let mut first = device.accept().await;
        let merged = first.request().await;
        assert_eq!(merged.count, 2);
        let mut second = device.accept().await;
        // The reply arrives late, over the connection that was closed: with its own transaction, and
        // with that of the next request.
        for transaction in [merged.transaction, merged.transaction + 1] {
            let late = RawRequest { transaction, count: 1, ..merged };
            let _ = first.0.try_write(&late.registers(&[111]));
        }
        for _ in 0..3 {
            let request = second.request().await;
            assert_eq!(request.count, 1);
            second.send(&request.registers(&[222 + request.address])).await;
        }
    });
    assert_eq!(results, [registers(&[222]), registers(&[223])]);
}

#[tokio::test]
async fn late_reply_on_a_serial_line_is_never_used_for_the_parts_of_its_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: DeviceUrl = format!("rtu+tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let endpoint = Endpoints::new().endpoint(url.endpoint(), &settings());
    let line = async {
        let mut late: Option<Vec<u8>> = None;
        loop {
            let mut line = listener.accept().await.unwrap().0;
            if let Some(reply) = late.take() {
                // A serial server kept the bytes of the line.
                tokio::io::AsyncWriteExt::write_all(&mut line, &reply).await.unwrap();
            }
            let mut request = [0; 8];
            while line.read_exact(&mut request).await.is_ok() {
                let [unit, function, .., address, _, count, _, _] = request;
                let values: Vec<u8> = (address..address + count).flat_map(|address| [0, address]).collect();
                let reply = with_checksum([vec![unit, function, count * 2], values].concat());
                if count > 1 {
                    // Register 9 for register 0: a value that no part has.
                    late = Some(with_checksum(vec![unit, function, 2, 0, 9]));
                } else {
                    tokio::io::AsyncWriteExt::write_all(&mut line, &reply).await.unwrap();
                }
            }
        }
    };
    let results = tokio::select! {
        results = read(&endpoint, singles(1, 0..2)) => results,
        () = line => unreachable!("it serves for ever"),
    };
    assert_eq!(results, [registers(&[0]), registers(&[1])]);
}
