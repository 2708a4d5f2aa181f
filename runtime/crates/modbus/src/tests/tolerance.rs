//! Devices whose replies differ from the specification, with and without the operator's tolerance.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join,
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::raw::{REQUEST_TIMEOUT, RawDevice, RawRequest, holding, read, registers, settings};
use crate::{
    Deviation, DeviceUrl, Endpoint, EndpointSettings, Endpoints, ReadError, Span, Table, Tolerance, Words,
    transport::with_checksum,
};

fn tolerating(deviations: impl IntoIterator<Item = Deviation>) -> EndpointSettings {
    EndpointSettings { tolerance: deviations.into_iter().collect(), ..settings() }
}

fn endpoint(scheme: &str, address: SocketAddr, settings: &EndpointSettings) -> Endpoint {
    let url: DeviceUrl = format!("{scheme}://{address}").parse().unwrap();
    Endpoints::new().endpoint(url.endpoint(), settings)
}

/// A reply to a request for one register with this value, as the device sends it.
type OddReply = fn(RawRequest, u16) -> Vec<u8>;

struct OddDevice {
    what: &'static str,
    tolerate: Deviation,
    reply: OddReply,
    /// Parts of the error without the tolerance.
    says: &'static [&'static str],
}

const ODD_DEVICES: [OddDevice; 5] = [
    OddDevice {
        what: "replies have unit 0",
        tolerate: Deviation::WrongUnit,
        reply: |request, value| RawRequest { unit: 0, ..request }.registers(&[value]),
        says: &["the reply is of unit 0, the request was to unit 1", "tolerate: [wrong-unit]"],
    },
    OddDevice {
        what: "replies have numbers of the device",
        tolerate: Deviation::WrongTransaction,
        reply: |request, value| {
            RawRequest { transaction: request.transaction.wrapping_add(0x1000), ..request }.registers(&[value])
        },
        says: &["the reply has transaction ", "the request had ", "tolerate: [wrong-transaction]"],
    },
    OddDevice {
        what: "replies have always transaction 0",
        tolerate: Deviation::WrongTransaction,
        reply: |request, value| RawRequest { transaction: 0, ..request }.registers(&[value]),
        says: &["the reply has transaction 0, the request had ", "tolerate: [wrong-transaction]"],
    },
    OddDevice {
        what: "three zero bytes follow each reply",
        tolerate: Deviation::Padding,
        reply: |request, value| [request.registers(&[value]), vec![0; 3]].concat(),
        says: &["padding", "tolerate: [padding]"],
    },
    OddDevice {
        what: "the request comes before the reply",
        tolerate: Deviation::Echo,
        reply: |request, value| {
            let [_, address, _, count] = [0, request.address, 0, request.count].map(u16::to_be_bytes);
            let echo = request.frame(&[&[request.function], &address[..], &count[..]].concat());
            [echo, request.registers(&[value])].concat()
        },
        says: &["sent the request back", "tolerate: [echo]"],
    },
];

#[tokio::test]
async fn deviation_is_accepted_where_it_is_tolerated_and_an_error_that_names_it_elsewhere() {
    for OddDevice { what, tolerate, reply, says } in ODD_DEVICES {
        let device = RawDevice::listen().await;
        let one = holding(1, 0, 1);
        // Everything else is tolerated, but not this.
        let others = Deviation::ALL.into_iter().filter(|other| *other != tolerate);
        let strict = Endpoints::new().endpoint(&device.address, &tolerating(others));
        let (result, ()) = join!(read(&strict, [one]), async {
            let mut connection = device.accept().await;
            let request = connection.request().await;
            connection.send(&reply(request, 5)).await;
        });
        let [Err(ReadError::Protocol(message))] = result.as_slice() else { panic!("{what}: {result:?}") };
        assert!(says.iter().all(|part| message.contains(part)), "{what}: {message}");
        let tolerant = Endpoints::new().endpoint(&device.address, &tolerating([tolerate]));
        let spans = [holding(1, 0, 1), holding(1, 10, 1), holding(2, 20, 1)];
        let (result, ()) = join!(read(&tolerant, spans), async {
            let mut connection = device.accept().await;
            for value in 1..=3 {
                let request = connection.request().await;
                connection.send(&reply(request, value)).await;
            }
        });
        assert_eq!(result, [1, 2, 3].map(|value| registers(&[value])), "{what}");
    }
}

#[tokio::test]
async fn tolerance_of_one_caller_is_not_that_of_another_on_the_same_connection() {
    let device = RawDevice::listen().await;
    let endpoints = Endpoints::new();
    let tolerant = endpoints.endpoint(&device.address, &tolerating([Deviation::WrongUnit]));
    let strict = endpoints.endpoint(&device.address, &settings());
    let of_unit_9 = |request, value| RawRequest { unit: 9, ..request }.registers(&[value]);
    let (result, mut connection) = join!(read(&tolerant, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&of_unit_9(request, 3)).await;
        connection
    });
    assert_eq!(result, [registers(&[3])]);
    let (result, ()) = join!(read(&strict, [holding(1, 0, 1)]), async {
        let request = connection.request().await;
        connection.send(&of_unit_9(request, 4)).await;
        connection.closed().await;
    });
    assert!(matches!(result.as_slice(), [Err(ReadError::Protocol(_))]), "{result:?}");
}

#[tokio::test]
async fn with_every_tolerance_a_late_reply_is_never_used_for_the_next_request() {
    // On the connection of its request, and on the next one: at once, and within the time in which
    // the reader waits for silence.
    for late in [None, Some(0), Some(20)] {
        let device = RawDevice::listen().await;
        let endpoint = Endpoints::new().endpoint(&device.address, &tolerating(Deviation::ALL));
        let (result, (mut first, request)) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            let request = connection.request().await;
            (connection, request)
        });
        assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
        first.closed().await;
        let _ = first.0.try_write(&request.registers(&[111]));
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            if let Some(milliseconds) = late {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                connection.send(&request.registers(&[111])).await;
            }
            connection.answer(222).await;
        });
        assert_eq!(result, [registers(&[222])], "{late:?}");
    }
}

#[tokio::test]
async fn with_every_tolerance_a_second_reply_is_never_used_for_the_next_request() {
    let device = RawDevice::listen().await;
    let endpoint = Endpoints::new().endpoint(&device.address, &tolerating(Deviation::ALL));
    let (result, mut connection) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        connection.send(&request.registers(&[1])).await;
        (connection, request)
    });
    assert_eq!(result, [registers(&[1])]);
    connection.0.send(&connection.1.registers(&[1])).await;
    connection.0.0.writable().await.unwrap();
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        // The waiting reply closes the connection: the request goes out on another one.
        device.accept().await.answer(2).await;
    });
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn padding_may_come_before_and_behind_a_reply_and_by_itself() {
    let device = RawDevice::listen().await;
    let endpoint = Endpoints::new().endpoint(&device.address, &tolerating([Deviation::Padding]));
    let one = holding(1, 0, 1);
    let (result, mut connection) = join!(read(&endpoint, [one]), async {
        let mut connection = device.accept().await;
        let request = connection.request().await;
        // In pieces, the padding and the reply in one packet or not.
        for piece in [vec![0, 0], vec![0xFF], [vec![0, 0], request.registers(&[1])].concat()] {
            connection.send(&piece).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connection
    });
    assert_eq!(result, [registers(&[1])]);
    // Before the next request: it is discarded, and the connection is used again.
    connection.send(&[0; 16]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (result, _) = join!(read(&endpoint, [one]), connection.answer(2));
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn more_than_sixteen_bytes_of_padding_are_an_error() {
    let before: OddReply = |request, value| [vec![0; 17], request.registers(&[value])].concat();
    let behind: OddReply = |request, value| [request.registers(&[value]), vec![0; 17]].concat();
    for reply in [before, behind] {
        let device = RawDevice::listen().await;
        let endpoint = Endpoints::new().endpoint(&device.address, &tolerating([Deviation::Padding]));
        let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
            let mut connection = device.accept().await;
            let request = connection.request().await;
            connection.send(&reply(request, 1)).await;
            connection.closed().await;
        });
        assert!(matches!(result.as_slice(), [Err(ReadError::Protocol(_))]), "{result:?}");
    }
}

#[tokio::test]
async fn what_a_device_sends_in_the_pause_after_connecting_is_discarded() {
    let device = RawDevice::listen().await;
    let pause_after_connect = Duration::from_millis(100);
    let banner = b"GW-485 ready\r\n";
    let patient = EndpointSettings { pause_after_connect, ..settings() };
    let endpoint = Endpoints::new().endpoint(&device.address, &patient);
    let (result, ()) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let mut connection = device.accept().await;
        let connected = Instant::now();
        connection.send(banner).await;
        tokio::time::sleep(pause_after_connect / 2).await;
        connection.send(banner).await;
        connection.answer(7).await;
        assert!(connected.elapsed() + Duration::from_millis(5) >= pause_after_connect);
    });
    assert_eq!(result, [registers(&[7])]);
}

/// A serial server, and a read of its endpoint.
async fn rtu_over_tcp(
    deviations: impl IntoIterator<Item = Deviation>,
    spans: impl AsRef<[Span]>,
    device: impl AsyncFnOnce(TcpStream),
) -> Vec<Result<Words, ReadError>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint("rtu+tcp", listener.local_addr().unwrap(), &tolerating(deviations));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        device(stream).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = read(&endpoint, spans) => result,
        () = serve => unreachable!(),
    }
}

async fn line_request(line: &mut TcpStream) -> [u8; 8] {
    let mut request = [0; 8];
    line.read_exact(&mut request).await.unwrap();
    request
}

fn line_reply(request: &[u8], value: u16) -> Vec<u8> {
    let [high, low] = value.to_be_bytes();
    with_checksum(vec![request[0], request[1], 2, high, low])
}

#[tokio::test]
async fn echo_of_a_line_is_skipped_in_any_pieces_where_it_is_tolerated() {
    let spans = [holding(1, 0, 1), holding(1, 0x0300, 1)];
    for cut in 0..=8 {
        let result = rtu_over_tcp([Deviation::Echo], spans, async |mut line| {
            line.set_nodelay(true).unwrap();
            for value in [5, 6] {
                let request = line_request(&mut line).await;
                let all = [&request[..], &line_reply(&request, value)].concat();
                line.write_all(&all[..cut]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                line.write_all(&all[cut..]).await.unwrap();
            }
        });
        assert_eq!(result.await, [registers(&[5]), registers(&[6])], "cut at {cut}");
    }
    let result = rtu_over_tcp([], &spans[..1], async |mut line| {
        let request = line_request(&mut line).await;
        line.write_all(&[&request[..], &line_reply(&request, 5)].concat()).await.unwrap();
    });
    let result = result.await;
    let [Err(ReadError::Protocol(message))] = result.as_slice() else { panic!("{result:?}") };
    assert!(message.contains("tolerate: [echo]"), "{message}");
}

#[tokio::test]
async fn echo_alone_is_not_a_reply() {
    // The echo of this request has the form of a reply with three bytes of bits.
    let coils = Span::new(1, Table::Coils, 0x0300, 24).unwrap();
    let result = rtu_over_tcp([Deviation::Echo], [coils], async |mut line| {
        let request = line_request(&mut line).await;
        line.write_all(&request).await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(result.await, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
}

#[tokio::test]
async fn noise_of_an_idle_line_is_skipped_where_padding_is_tolerated() {
    let result = rtu_over_tcp([Deviation::Padding], [holding(1, 0, 1), holding(1, 10, 1)], async |mut line| {
        for value in [5, 6] {
            let request = line_request(&mut line).await;
            let all = [&[0, 0xFF, 0][..], &line_reply(&request, value), &[0xFF]].concat();
            line.write_all(&all).await.unwrap();
        }
    });
    assert_eq!(result.await, [registers(&[5]), registers(&[6])]);
}

#[tokio::test]
async fn late_reply_of_another_unit_of_a_line_is_not_used_where_wrong_units_are_tolerated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint("rtu+tcp", listener.local_addr().unwrap(), &tolerating([Deviation::WrongUnit]));
    let (result, (late, _line)) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let (mut line, _) = listener.accept().await.unwrap();
        (line_request(&mut line).await, line)
    });
    assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
    // The line delivers the late reply to the next connection, just before it can no longer come.
    let (result, ()) = join!(read(&endpoint, [holding(2, 5, 1)]), async {
        tokio::time::sleep(REQUEST_TIMEOUT / 2).await;
        loop {
            let (mut line, _) = listener.accept().await.unwrap();
            let _ = line.write_all(&line_reply(&late, 111)).await;
            let mut request = [0; 8];
            if line.read_exact(&mut request).await.is_ok() {
                // The reply has the wrong unit.
                line.write_all(&line_reply(&[9, 3], 222)).await.unwrap();
                let _ = line.read(&mut request).await;
                return;
            }
        }
    });
    assert_eq!(result, [registers(&[222])]);
}

#[test]
fn nothing_is_tolerated_by_default() {
    assert_eq!(EndpointSettings::default().tolerance, Tolerance::NONE);
}
