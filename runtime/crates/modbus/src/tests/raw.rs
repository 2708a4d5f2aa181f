//! A device whose every byte is chosen by the test.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{
    DeviceUrl, Endpoint, EndpointAddress, EndpointSettings, Endpoints, ReadError, Readable, Span, Table, Words,
};

pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_millis(150);

pub(super) fn settings() -> EndpointSettings {
    EndpointSettings { request_timeout: REQUEST_TIMEOUT, first_backoff: Duration::ZERO, ..EndpointSettings::default() }
}

pub(super) struct RawDevice {
    listener: TcpListener,
    pub(super) address: EndpointAddress,
}

impl RawDevice {
    /// A device on a port that no other process gets, even while the device is down: a bound socket
    /// that does not listen reserves it.
    pub(super) async fn listen() -> Self {
        let placeholder = TcpSocket::new_v4().unwrap();
        placeholder.set_reuseaddr(true).unwrap();
        placeholder.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = placeholder.local_addr().unwrap().port();
        std::mem::forget(placeholder);
        Self::listen_on(port).await
    }

    pub(super) async fn listen_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let address = url.parse::<DeviceUrl>().unwrap().endpoint().clone();
        Self { listener, address }
    }

    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// An endpoint in its own register.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoints::new().endpoint(&self.address, &settings())
    }

    pub(super) async fn accept(&self) -> RawConnection {
        let accepted = tokio::time::timeout(Duration::from_secs(5), self.listener.accept()).await;
        RawConnection(accepted.expect("no connection came").unwrap().0)
    }

    /// Whether a connection arrives within a short time.
    pub(super) async fn has_caller(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(50), self.listener.accept()).await.is_ok()
    }
}

pub(super) struct RawConnection(pub(super) TcpStream);

/// A request as it was on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawRequest {
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) address: u16,
    pub(super) count: u16,
}

impl RawConnection {
    pub(super) async fn request(&mut self) -> RawRequest {
        let mut bytes = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(5), self.0.read_exact(&mut bytes)).await;
        read.expect("no request came").unwrap();
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!((word(2), word(4)), (0, 6), "protocol and length");
        RawRequest { transaction: word(0), unit: bytes[6], function: bytes[7], address: word(8), count: word(10) }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Receives the next request and replies with the requested number of registers of this value.
    pub(super) async fn answer(&mut self, value: u16) -> RawRequest {
        let request = self.request().await;
        self.send(&request.registers(&vec![value; request.count.into()])).await;
        request
    }

    /// Waits until the other side has closed.
    pub(super) async fn closed(&mut self) {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), self.0.read(&mut byte)).await;
        // A connection with unread bytes is reset instead.
        let read = read.expect("the connection stays open").unwrap_or(0);
        assert_eq!(read, 0, "another request came instead of the end");
    }

    /// Waits until the other side has closed, and ignores what it sends before.
    pub(super) async fn closed_after_any_request(&mut self) {
        let mut bytes = [0; 64];
        let read = async { while self.0.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
        let read = tokio::time::timeout(Duration::from_secs(5), read).await;
        read.expect("the connection stays open");
    }

    /// Closes with a reset.
    pub(super) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

impl RawRequest {
    pub(super) fn frame(self, pdu: &[u8]) -> Vec<u8> {
        let length = u16::try_from(pdu.len() + 1).unwrap();
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend(length.to_be_bytes());
        frame.push(self.unit);
        frame.extend(pdu);
        frame
    }

    pub(super) fn registers(self, values: &[u16]) -> Vec<u8> {
        let mut pdu = vec![self.function, u8::try_from(values.len() * 2).unwrap()];
        pdu.extend(values.iter().flat_map(|value| value.to_be_bytes()));
        self.frame(&pdu)
    }

    pub(super) fn exception(self, code: u8) -> Vec<u8> {
        self.frame(&[self.function | 0x80, code])
    }
}

pub(super) fn holding(unit: u8, address: u16, count: u16) -> Span {
    Span::new(unit, Table::HoldingRegisters, address, count).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with the result of a read")]
pub(super) fn registers(values: &[u16]) -> Result<Words, ReadError> {
    Ok(Words::Registers(values.to_vec()))
}

/// Reads with all addresses allowed.
pub(super) async fn read(endpoint: &Endpoint, spans: impl AsRef<[Span]>) -> Vec<Result<Words, ReadError>> {
    endpoint.read(spans.as_ref(), &Readable::everything()).await
}
