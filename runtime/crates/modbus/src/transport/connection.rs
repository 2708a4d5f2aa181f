//! One connection to an endpoint, one request at a time.
//!
//! A connection is never used after a fault: [`Connection::read`] takes it, and returns it only
//! with a complete and matching reply. After a timeout, a lost or a wrong reply it is closed, so
//! that a late reply is never used for the next request. A serial line, and a serial server behind
//! TCP, keep their bytes when the connection is opened again: there, and where a device numbers its
//! replies itself, the next connection first discards late bytes, and the request queue holds the
//! unit while its late reply may still arrive.

use std::time::Duration;

use tokio::time::Instant;
use tokio_modbus::{
    Error, ProtocolError, Request, Response,
    client::{Client as _, Context, tcp},
    slave::{Slave, SlaveContext as _},
};

use super::{
    ascii::Ascii,
    attempts::Attempts,
    connect::{DeniedAddresses, connect, connect_tls, connect_udp},
    discard::{discard_for, discard_until_quiet},
    fault::Fault,
    frame_filter::{FrameFilter, NextTolerance},
    framing::Framing,
    link::Link,
    rtu::Rtu,
    serial_port::{LineLock, cannot_open, open_line},
    tcp::Mbap,
    timeout::{LazyTimeout, after},
};
use crate::{
    address::{EndpointAddress, LineMode},
    error::ReadError,
    model::{ExceptionCode, Span, Table, Words},
    tls::TlsSettings,
    tolerance::Tolerance,
};

/// The minimum silence before a line counts as quiet: USB adapters deliver what they received every
/// 16 ms.
const SILENCE: Duration = Duration::from_millis(20);
/// The same where the bytes come over a network.
const SILENCE_OVER_TCP: Duration = Duration::from_millis(50);

/// A connection on which every request so far got its reply.
pub(crate) struct Connection {
    client: Context,
    tolerance: NextTolerance,
    timeout: LazyTimeout,
    /// Whether it has delivered a reply before.
    used: bool,
    /// Whether its frames have the transaction numbers of their requests.
    is_numbered: bool,
}

/// How a connection is opened.
pub(crate) struct Opening<'a> {
    pub(crate) address: &'a EndpointAddress,
    /// The timeout for resolving the name and connecting.
    pub(crate) timeout: Duration,
    /// How long to wait before the first request. What arrives meanwhile is discarded.
    pub(crate) pause: Duration,
    /// Whether late replies to earlier requests may still arrive, and are discarded first.
    pub(crate) discard_late: bool,
    /// Whether a refused connection is tried again until the timeout is over.
    pub(crate) retries_refused: bool,
    pub(crate) denied: Option<DeniedAddresses>,
    pub(crate) tls: &'a TlsSettings,
    /// Records what is tried, for the operator.
    pub(crate) attempts: &'a Attempts,
}

/// Why a connection was closed.
#[derive(Debug)]
pub(crate) struct LostConnection {
    pub(crate) error: ReadError,
    pub(crate) resend: Resend,
}

/// Whether the request in progress may be sent again without counting as a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    /// No: the request has failed.
    No,
    /// Yes: the device had closed the idle connection, or the late reply of another unit on the
    /// line arrived. The request may have been sent.
    MaybeSent,
    /// Yes: the request was not sent.
    NotSent,
}

impl Connection {
    /// Connects to the endpoint, or opens the serial line.
    ///
    /// # Errors
    /// [`ReadError::Connection`], also when connecting takes longer than its timeout;
    /// [`ReadError::Protocol`] for a line that does not become silent.
    pub(crate) async fn open(opening: &Opening<'_>, lock: &mut Option<LineLock>) -> Result<Box<Self>, ReadError> {
        match opening.address {
            EndpointAddress::Tcp(host) => Self::over_network(connect(host, opening).await?, Mbap, opening).await,
            EndpointAddress::Tls(host) => Self::over_network(connect_tls(host, opening).await?, Mbap, opening).await,
            EndpointAddress::Udp(host) => Self::over_network(connect_udp(host, opening).await?, Mbap, opening).await,
            EndpointAddress::RtuOverTcp(host) => Self::over_network(connect(host, opening).await?, Rtu, opening).await,
            EndpointAddress::AsciiOverTcp(host) => {
                Self::over_network(connect(host, opening).await?, Ascii, opening).await
            }
            EndpointAddress::Serial(line) => {
                let mut port = open_line(line, lock)?;
                discard(&mut port, line.silence().max(SILENCE), opening).await?;
                // Bytes that arrived before the first request are noise.
                port.discard_input_buffer().map_err(|error| cannot_open(&error))?;
                Ok(Box::new(match line.mode() {
                    LineMode::Rtu => Self::over(port, Rtu),
                    LineMode::Ascii => Self::over(port, Ascii),
                }))
            }
        }
    }

    async fn over_network(
        mut link: impl Link,
        framing: impl Framing,
        opening: &Opening<'_>,
    ) -> Result<Box<Self>, ReadError> {
        discard(&mut link, SILENCE_OVER_TCP, opening).await?;
        Ok(Box::new(Self::over(link, framing)))
    }

    fn over<F: Framing>(link: impl Link, framing: F) -> Self {
        let tolerance = NextTolerance::default();
        let client = tcp::attach(FrameFilter::new(link, framing, tolerance.clone()));
        let timeout = LazyTimeout::new();
        Self { client, tolerance, timeout, used: false, is_numbered: F::IS_NUMBERED }
    }

    /// Sends the request for a span that fits into one request, and waits for the reply.
    ///
    /// An exception is a reply: the connection stays open.
    pub(crate) async fn read(
        mut self: Box<Self>,
        span: Span,
        limit: Duration,
        tolerance: Tolerance,
    ) -> Result<(Box<Self>, Result<Words, ExceptionCode>), LostConnection> {
        self.tolerance.set(tolerance);
        let (address, count) = (span.address(), span.count());
        let request = match span.table() {
            Table::Coils => Request::ReadCoils(address, count),
            Table::DiscreteInputs => Request::ReadDiscreteInputs(address, count),
            Table::HoldingRegisters => Request::ReadHoldingRegisters(address, count),
            Table::InputRegisters => Request::ReadInputRegisters(address, count),
        };
        self.client.set_slave(Slave(span.unit().get()));
        let due = after(Instant::now(), limit);
        let reply = match self.timeout.until(due, self.client.call(request)).await {
            Some(Ok(Ok(response))) => Ok(words(response, span)?),
            Some(Ok(Err(exception))) => Err(ExceptionCode(exception.into())),
            Some(Err(error)) => return Err(self.lost_by(error)),
            None => return Err(LostConnection { error: ReadError::Timeout(limit), resend: Resend::No }),
        };
        self.used = true;
        Ok((self, reply))
    }

    fn lost_by(&self, error: Error) -> LostConnection {
        let error = match error {
            Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => return protocol(message),
            Error::Protocol(ProtocolError::FunctionCodeMismatch { request, result }) => {
                let found = result.map_or_else(|exception| exception.function, |response| response.function_code());
                let (found, expected) = (found.value(), request.value());
                return protocol(Fault::OtherFunction { found, expected }.to_string());
            }
            Error::Transport(error) => error,
        };
        match error.downcast::<Fault>() {
            Ok(fault) => LostConnection {
                resend: match &fault {
                    Fault::Unrequested if self.used => Resend::NotSent,
                    Fault::OtherUnit { .. } if !self.is_numbered => Resend::MaybeSent,
                    fault if self.used && fault.may_be_idle_close() => Resend::MaybeSent,
                    _ => Resend::No,
                },
                error: if fault.is_protocol() {
                    ReadError::Protocol(fault.to_string())
                } else {
                    ReadError::Connection(fault.to_string())
                },
            },
            // Not an error of the stream, so one of the decoder.
            Err(error) => protocol(format!("the device sent bytes that are not a Modbus reply: {error}")),
        }
    }
}

/// Discards late bytes until none has arrived for the time of `silence`, if there may be some, and
/// then what arrives in the pause.
async fn discard(link: &mut impl Link, silence: Duration, opening: &Opening<'_>) -> Result<(), ReadError> {
    if opening.discard_late {
        discard_until_quiet(link, silence).await?;
    }
    if !opening.pause.is_zero() {
        discard_for(link, opening.pause).await?;
    }
    Ok(())
}

/// Reads a span over a stream, with the frames of Modbus TCP, or of a serial line in one of its
/// modes.
#[cfg(fuzzing)]
pub async fn read_stream(
    stream: tokio::io::DuplexStream,
    line: Option<LineMode>,
    tolerance: Tolerance,
    span: Span,
) -> Result<Result<Words, ExceptionCode>, ReadError> {
    let connection = Box::new(match line {
        None => Connection::over(stream, Mbap),
        Some(LineMode::Rtu) => Connection::over(stream, Rtu),
        Some(LineMode::Ascii) => Connection::over(stream, Ascii),
    });
    let read = connection.read(span, Duration::from_millis(50), tolerance).await;
    read.map(|(_, reply)| reply).map_err(|lost| lost.error)
}

/// The values of a reply, which has to have exactly the requested number.
fn words(response: Response, span: Span) -> Result<Words, LostConnection> {
    let count = usize::from(span.count());
    match response {
        Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits) if span.table().is_bits() => {
            // Bits arrive in whole bytes; those after the last requested one are padding (V1.1b3,
            // section 6.1).
            if bits.len() != count.next_multiple_of(8) {
                return Err(wrong_size(bits.len() / 8, count.div_ceil(8), "bytes"));
            }
            bits.truncate(count);
            Ok(Words::Bits(bits))
        }
        Response::ReadHoldingRegisters(registers) | Response::ReadInputRegisters(registers)
            if !span.table().is_bits() =>
        {
            if registers.len() != count {
                return Err(wrong_size(registers.len(), count, "registers"));
            }
            Ok(Words::Registers(registers))
        }
        _ => Err(protocol("the device replied with another function".to_owned())),
    }
}

fn wrong_size(found: usize, expected: usize, unit: &str) -> LostConnection {
    protocol(format!("the device replied with {found} {unit} where {expected} were requested"))
}

fn protocol(message: String) -> LostConnection {
    LostConnection { error: ReadError::Protocol(message), resend: Resend::No }
}
