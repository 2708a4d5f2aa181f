//! One connection to an endpoint, one request at a time.
//!
//! What a connection can't do is come back from a fault: [`Connection::ask`] takes it, and gives it back only with a whole
//! and matching reply. After a timeout, a lost or a wrong reply it is gone, so that a reply that comes late finds nobody
//! who could take it for the next one.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client as _, Context, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};
use tokio_modbus::{Error, ProtocolError, Request, Response};

use super::address::EndpointAddress;
use super::error::ReadError;
use super::span::{Span, Words};
use super::table::{ExceptionCode, Table};
use super::tcp::{Fault, Guarded};

/// A connection on which every request so far has had its reply.
pub(super) struct Connection {
    client: Context,
    /// Whether a reply has come over it before.
    used: bool,
}

/// What is left of a connection that is gone.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) error: ReadError,
    /// The device may have closed the connection while nobody used it: to ask again over a new one is worth a try.
    pub(super) ask_again: bool,
}

impl Connection {
    /// Resolves the endpoint's name and connects.
    ///
    /// # Errors
    /// [`ReadError::Connection`], also when this takes longer than `limit`.
    pub(super) async fn open(address: &EndpointAddress, limit: Duration) -> Result<Self, ReadError> {
        let stream = match timeout(limit, TcpStream::connect((address.host(), address.port()))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(ReadError::Connection(format!("cannot connect ({error})"))),
            Err(_) => {
                let limit = humantime::format_duration(limit);
                return Err(ReadError::Connection(format!("no connection within {limit}")));
            }
        };
        // A request is one small packet that must not wait for another.
        if let Err(error) = stream.set_nodelay(true) {
            return Err(ReadError::Connection(format!("cannot connect ({error})")));
        }
        Ok(Self { client: tcp::attach(Guarded::new(stream)), used: false })
    }

    /// Asks for a span that one request can ask for, and waits for the reply.
    ///
    /// A device's exception is a reply: the connection goes on.
    pub(super) async fn ask(
        mut self,
        span: Span,
        limit: Duration,
    ) -> Result<(Self, Result<Words, ExceptionCode>), Lost> {
        let (address, count) = (span.address(), span.count());
        let request = match span.table() {
            Table::Coils => Request::ReadCoils(address, count),
            Table::DiscreteInputs => Request::ReadDiscreteInputs(address, count),
            Table::HoldingRegisters => Request::ReadHoldingRegisters(address, count),
            Table::InputRegisters => Request::ReadInputRegisters(address, count),
        };
        self.client.set_slave(Slave(span.unit()));
        let answer = match timeout(limit, self.client.call(request)).await {
            Ok(Ok(Ok(response))) => Ok(words(response, span)?),
            Ok(Ok(Err(exception))) => Err(ExceptionCode(exception.into())),
            Ok(Err(error)) => return Err(lost(error, self.used)),
            Err(_) => {
                return Err(Lost { error: ReadError::Timeout(limit), ask_again: false });
            }
        };
        self.used = true;
        Ok((self, answer))
    }
}

/// The values of a reply that has exactly as many as were asked for.
fn words(response: Response, span: Span) -> Result<Words, Lost> {
    let count = usize::from(span.count());
    match response {
        Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits) if span.table().is_bits() => {
            // Bits come in whole bytes; those behind the last one asked for are padding (V1.1b3, section 6.1).
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

fn wrong_size(found: usize, expected: usize, unit: &str) -> Lost {
    protocol(format!("the device replied with {found} {unit} where {expected} were asked for"))
}

fn protocol(message: String) -> Lost {
    Lost { error: ReadError::Protocol(message), ask_again: false }
}

fn lost(error: Error, used: bool) -> Lost {
    let error = match error {
        Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => {
            tracing::debug!(?message, "a reply with another transaction or unit");
            return protocol("the device sent the reply to another request or of another unit".to_owned());
        }
        Error::Protocol(ProtocolError::FunctionCodeMismatch { .. }) => {
            return protocol("the device replied with another function".to_owned());
        }
        Error::Transport(error) => error,
    };
    match error.downcast::<Fault>() {
        Ok(fault) => Lost {
            ask_again: used && fault.looks_abandoned(),
            error: if fault.is_protocol() {
                ReadError::Protocol(fault.to_string())
            } else {
                ReadError::Connection(fault.to_string())
            },
        },
        // Not from the stream, so from the decoder: what came does not read as Modbus.
        Err(error) => protocol(format!("the device sent something that is no Modbus reply ({error})")),
    }
}
