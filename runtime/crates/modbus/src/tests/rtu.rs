//! Frames of a serial line over TCP, as a serial server forwards them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join,
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::raw::{REQUEST_TIMEOUT, holding, read, registers, settings};
use crate::{DeviceUrl, Endpoint, Endpoints, ExceptionCode, ReadError, Span, Table, transport::with_checksum};

/// A serial server: it forwards the bytes of the line to its client.
struct Server {
    listener: TcpListener,
    endpoint: Endpoint,
}

impl Server {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: DeviceUrl = format!("rtu+tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        let endpoint = Endpoints::new().endpoint(url.endpoint(), &settings());
        Self { listener, endpoint }
    }

    async fn accept(&self) -> Line {
        let accepted = tokio::time::timeout(Duration::from_secs(5), self.listener.accept()).await;
        Line(accepted.expect("no connection came").unwrap().0)
    }
}

struct Line(TcpStream);

impl Line {
    /// Unit, function, address and count of the next request.
    async fn request(&mut self) -> (u8, u8, u16, u16) {
        let mut bytes = [0; 8];
        let read = tokio::time::timeout(Duration::from_secs(5), self.0.read_exact(&mut bytes)).await;
        read.expect("no request came").unwrap();
        assert_eq!(with_checksum(bytes[..6].to_vec()), bytes, "checksum");
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        (bytes[0], bytes[1], word(2), word(4))
    }

    async fn send(&mut self, frame: &[u8]) {
        self.0.write_all(frame).await.unwrap();
    }

    async fn answer(&mut self, values: &[u16]) -> (u8, u8, u16, u16) {
        let request = self.request().await;
        self.send(&reply(request.0, request.1, values)).await;
        request
    }

    async fn closed(&mut self) {
        let read = tokio::time::timeout(Duration::from_secs(5), self.0.read(&mut [0])).await;
        assert_eq!(read.expect("the connection stays open").unwrap_or(0), 0, "another request came instead of the end");
    }
}

fn reply(unit: u8, function: u8, values: &[u16]) -> Vec<u8> {
    let mut frame = vec![unit, function, u8::try_from(values.len() * 2).unwrap()];
    frame.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    with_checksum(frame)
}

#[tokio::test]
async fn values_and_exceptions_arrive_over_one_connection() {
    let server = Server::listen().await;
    let (result, ()) = join!(
        read(&server.endpoint, [holding(17, 107, 3), holding(3, 0, 1), Span::new(3, Table::Coils, 0, 3).unwrap()]),
        async {
            let mut line = server.accept().await;
            // Ordered by unit, table and address.
            assert_eq!(line.request().await, (3, 1, 0, 3));
            line.send(&with_checksum(vec![3, 1, 1, 0b101])).await;
            assert_eq!(line.request().await, (3, 3, 0, 1));
            line.send(&with_checksum(vec![3, 0x83, 4])).await;
            assert_eq!(line.answer(&[555, 0, 100]).await, (17, 3, 107, 3));
        }
    );
    let bits = crate::Words::Bits(vec![true, false, true]);
    assert_eq!(result, [registers(&[555, 0, 100]), Err(ReadError::Exception(ExceptionCode(4))), Ok(bits)]);
}

#[tokio::test]
async fn wrong_reply_fails_its_own_request_and_closes_the_connection() {
    let intact = reply(1, 3, &[1, 2]);
    let mut changed = intact.clone();
    changed[4] ^= 1;
    let cases = [
        ("another function", reply(1, 4, &[1, 2])),
        ("2 bytes where 4 were requested", reply(1, 3, &[1])),
        ("6 bytes where 4 were requested", reply(1, 3, &[1, 2, 3])),
        ("checksum", changed),
        ("more than one reply", [intact.clone(), intact].concat()),
    ];
    for (says, reply) in cases {
        let server = Server::listen().await;
        let (result, ()) = join!(read(&server.endpoint, [holding(1, 0, 2), holding(2, 10, 1)]), async {
            let mut line = server.accept().await;
            line.request().await;
            line.send(&reply).await;
            line.closed().await;
            server.accept().await.answer(&[7]).await;
        });
        let [Err(ReadError::Protocol(message)), second] = result.as_slice() else { panic!("{says}: {result:?}") };
        assert!(message.contains(says), "{says}: {message}");
        assert_eq!(second, &registers(&[7]), "{says}");
    }
}

/// Lets a read of unit 1 time out.
async fn time_out(server: &Server) {
    let (result, ()) = join!(read(&server.endpoint, [holding(1, 0, 1)]), async {
        let mut line = server.accept().await;
        line.request().await;
        line.closed().await;
    });
    assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
}

#[tokio::test]
async fn late_reply_is_never_used_for_the_next_request() {
    // At several times while late bytes are discarded.
    for late in [0, 10, 40] {
        let server = Server::listen().await;
        time_out(&server).await;
        let (result, ()) = join!(read(&server.endpoint, [holding(1, 5, 1)]), async {
            // Without a client a serial server keeps or discards the bytes of the line; this one
            // keeps them.
            let mut line = server.accept().await;
            tokio::time::sleep(Duration::from_millis(late)).await;
            line.send(&reply(1, 3, &[111])).await;
            loop {
                // The reader closes a connection with unrequested bytes, and opens another one.
                let mut first = [0];
                if line.0.peek(&mut first).await.is_ok_and(|read| read == 1) {
                    line.answer(&[222]).await;
                    return;
                }
                line = server.accept().await;
            }
        });
        assert_eq!(result, [registers(&[222])], "{late} ms");
    }
}

#[tokio::test]
async fn unit_is_held_while_its_late_reply_may_arrive_and_others_are_read() {
    let server = Server::listen().await;
    time_out(&server).await;
    let since = Instant::now();
    let both = [holding(1, 5, 1), holding(2, 5, 1)];
    let (result, ()) = join!(read(&server.endpoint, both), async {
        let mut line = server.accept().await;
        assert_eq!(line.answer(&[2]).await.0, 2);
        assert!(since.elapsed() < REQUEST_TIMEOUT, "the other unit waited too");
        assert_eq!(line.answer(&[1]).await.0, 1);
        assert!(since.elapsed() + Duration::from_millis(20) >= REQUEST_TIMEOUT, "{:?}", since.elapsed());
    });
    assert_eq!(result, [registers(&[1]), registers(&[2])]);
}

#[tokio::test]
async fn late_reply_of_another_unit_is_discarded() {
    let server = Server::listen().await;
    time_out(&server).await;
    let (result, ()) = join!(read(&server.endpoint, [holding(2, 5, 1)]), async {
        let mut line = server.accept().await;
        line.request().await;
        line.send(&reply(1, 3, &[111])).await;
        line.closed().await;
        assert_eq!(server.accept().await.answer(&[2]).await.0, 2);
    });
    assert_eq!(result, [registers(&[2])]);
}

#[tokio::test]
async fn nothing_is_sent_to_units_that_a_serial_line_cannot_have() {
    let server = Server::listen().await;
    let spans = [holding(0, 0, 1), holding(255, 0, 1)];
    assert_eq!(read(&server.endpoint, spans).await, spans.map(|span| Err(ReadError::Denied(span))));
}

#[tokio::test]
async fn serial_line_cannot_have_two_speeds() {
    let endpoints = Endpoints::new();
    let endpoint = |url: &str| endpoints.endpoint(url.parse::<DeviceUrl>().unwrap().endpoint(), &settings());
    let first = endpoint("rtu:///dev/no-such-line?baud=9600");
    let second = endpoint("rtu:///dev/no-such-line?baud=19200");
    let says =
        async |endpoint: &Endpoint| read(endpoint, [holding(1, 0, 1)]).await[0].as_ref().unwrap_err().to_string();
    assert!(says(&second).await.contains("in use with other parameters"));
    assert!(says(&first).await.contains("cannot open the serial line"));
    // When the first endpoint is dropped, the second one is valid.
    drop(first);
    let second = endpoint("rtu:///dev/no-such-line?baud=19200");
    assert!(says(&second).await.contains("cannot open the serial line"));
}
