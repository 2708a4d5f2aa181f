//! One connection to an endpoint, one request at a time.
//!
//! A connection is never used after a fault: [`Connection::read`] takes it, and returns it only
//! with a complete and matching reply. After a timeout, a lost or a wrong reply it is closed, so
//! that a late reply is never used for the next request. A serial line, and a serial server behind
//! TCP, keep their bytes when the connection is opened again: there the next connection first
//! discards late bytes, and the request queue holds the unit while its late reply may still arrive.

use std::time::Duration;

use tokio::time::Instant;
use tokio_modbus::{
    Error, ProtocolError, Request, Response,
    client::{Client as _, Context, rtu, tcp},
    slave::{Slave, SlaveContext as _},
};

use super::{
    frame_filter::{Fault, FrameFilter},
    open::{DeniedAddresses, LineLock, cannot_open, connect, discard_until_quiet, open_line},
    rtu::Rtu,
    tcp::Mbap,
    timeout::{LazyTimeout, after},
};
use crate::{
    address::EndpointAddress,
    error::ReadError,
    model::{ExceptionCode, Span, Table, Words},
};

/// The minimum silence before a line counts as quiet: USB adapters deliver what they received every
/// 16 ms.
const SILENCE: Duration = Duration::from_millis(20);
/// The same where the bytes come over a network.
const SILENCE_OVER_TCP: Duration = Duration::from_millis(50);

/// A connection on which every request so far got its reply.
pub(crate) struct Connection {
    client: Context,
    timeout: LazyTimeout,
    /// Whether it has delivered a reply before.
    used: bool,
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
    /// Connects to the endpoint, or opens the serial line. With `discard_late`, late replies to
    /// earlier requests may still arrive on the line, and are discarded first.
    ///
    /// # Errors
    /// [`ReadError::Connection`], also when connecting takes longer than `limit`;
    /// [`ReadError::Protocol`] for a line that does not become silent.
    pub(crate) async fn open(
        address: &EndpointAddress,
        limit: Duration,
        discard_late: bool,
        lock: &mut Option<LineLock>,
        denied: Option<&DeniedAddresses>,
    ) -> Result<Self, ReadError> {
        let client = match address {
            EndpointAddress::Tcp(host) => {
                tcp::attach(FrameFilter::new(connect(host, limit, denied).await?, Mbap::default()))
            }
            EndpointAddress::RtuOverTcp(host) => {
                let mut stream = connect(host, limit, denied).await?;
                if discard_late {
                    discard_until_quiet(&mut stream, SILENCE_OVER_TCP).await?;
                }
                rtu::attach(FrameFilter::new(stream, Rtu::default()))
            }
            EndpointAddress::Serial(line) => {
                let mut port = open_line(line, lock)?;
                if discard_late {
                    discard_until_quiet(&mut port, line.silence().max(SILENCE)).await?;
                }
                // Bytes that arrived before the first request are noise.
                port.discard_input_buffer().map_err(|error| cannot_open(&error))?;
                rtu::attach(FrameFilter::new(port, Rtu::default()))
            }
        };
        Ok(Self { client, timeout: LazyTimeout::new(), used: false })
    }

    /// Sends the request for a span that fits into one request, and waits for the reply.
    ///
    /// An exception is a reply: the connection stays open.
    pub(crate) async fn read(
        mut self,
        span: Span,
        limit: Duration,
    ) -> Result<(Self, Result<Words, ExceptionCode>), LostConnection> {
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
            Some(Err(error)) => return Err(lost_by(error, self.used)),
            None => return Err(LostConnection { error: ReadError::Timeout(limit), resend: Resend::No }),
        };
        self.used = true;
        Ok((self, reply))
    }
}

/// Reads a span over any stream.
#[cfg(fuzzing)]
pub async fn read_stream(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + std::fmt::Debug + Unpin + Send + 'static,
    serial: bool,
    span: Span,
) -> Result<Result<Words, ExceptionCode>, ReadError> {
    let client = if serial {
        rtu::attach(FrameFilter::new(stream, Rtu::default()))
    } else {
        tcp::attach(FrameFilter::new(stream, Mbap::default()))
    };
    let connection = Connection { client, timeout: LazyTimeout::new(), used: false };
    let read = connection.read(span, Duration::from_millis(50)).await;
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

fn lost_by(error: Error, used: bool) -> LostConnection {
    let error = match error {
        Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
            tracing::debug!(?message, "the reply has another transaction or unit");
            return protocol("the device sent the reply to another request or of another unit".to_owned());
        }
        Error::Protocol(ProtocolError::FunctionCodeMismatch { .. }) => {
            return protocol("the device replied with another function".to_owned());
        }
        Error::Transport(error) => error,
    };
    match error.downcast::<Fault>() {
        Ok(fault) => LostConnection {
            resend: match &fault {
                Fault::Unrequested if used => Resend::NotSent,
                Fault::OtherUnit => Resend::MaybeSent,
                fault if used && fault.may_be_idle_close() => Resend::MaybeSent,
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
