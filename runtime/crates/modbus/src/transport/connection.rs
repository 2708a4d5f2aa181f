//! One connection to an endpoint, one request at a time.
//!
//! What a connection can't do is come back from a fault: [`Connection::ask`] takes it, and gives it back only with a whole
//! and matching reply. After a timeout, a lost or a wrong reply it is gone, so that a reply that comes late finds nobody
//! who could take it for the next one. A serial line, and a serial server behind TCP, keep their bytes over that: there
//! the next connection begins by hearing them out ([`silence`]), and the owner does not ask the same unit again while
//! its late reply may still come (the module `owner`).

use std::{fs::File, io, net::SocketAddr, os::unix::fs::OpenOptionsExt as _, sync::Arc, time::Duration};

use serial2_tokio::{CharSize, FlowControl, SerialPort};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_modbus::{
    Error, ProtocolError, Request, Response,
    client::{Client as _, Context, rtu, tcp},
    slave::{Slave, SlaveContext as _},
};

use super::{
    address::{EndpointAddress, HostPort},
    alarm::{Alarm, after},
    error::ReadError,
    guard::{Fault, Guarded},
    line::{Parity, SerialLine, StopBits},
    rtu::Rtu,
    span::{Span, Words},
    table::{ExceptionCode, Table},
    tcp::Mbap,
};

/// How long a line is silent before it counts as heard out, at least: USB adapters hand over what they got every 16 ms.
const SILENCE: Duration = Duration::from_millis(20);
/// The same where the bytes come through a network.
const SILENCE_OVER_TCP: Duration = Duration::from_millis(50);
/// How long a line is listened to that does not fall silent.
const MAX_NOISE: Duration = Duration::from_secs(1);

/// Says of an address whether nobody connects to it.
#[derive(Clone)]
pub(super) struct Refused(pub(super) Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refused")
    }
}

/// A connection on which every request so far has had its reply.
pub(super) struct Connection {
    client: Context,
    alarm: Alarm,
    /// Whether a reply has come over it before.
    used: bool,
}

/// What is left of a connection that is gone.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) error: ReadError,
    /// Whether to ask again is worth a try, and goes on nobody's account.
    pub(super) again: Again,
}

/// What a lost connection means for the request that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It has failed.
    No,
    /// The request may have gone out, but to a device that had closed the connection while nobody used it; or what came
    /// was the late reply of another unit on the line.
    Yes,
    /// As `Yes`, and the request never went out.
    NotSent,
}

/// Keeps other programs that ask for it from a serial line, and the line's driver from switching its signals off between
/// two openings.
#[derive(Debug)]
pub(super) struct LineLock {
    _device: File,
}

impl Connection {
    /// Resolves the endpoint's name and connects, or opens the line. `heed` is whether bytes of an earlier request may
    /// still be on their way, so that a serial line is to be heard out first.
    ///
    /// # Errors
    /// [`ReadError::Connection`], also when connecting takes longer than `limit`; [`ReadError::Protocol`] for a line that
    /// does not fall silent.
    pub(super) async fn open(
        address: &EndpointAddress,
        limit: Duration,
        heed: bool,
        lock: &mut Option<LineLock>,
        refused: Option<&Refused>,
    ) -> Result<Self, ReadError> {
        let client = match address {
            EndpointAddress::Tcp(host) => {
                tcp::attach(Guarded::new(connect(host, limit, refused).await?, Mbap::default()))
            }
            EndpointAddress::RtuOverTcp(host) => {
                let mut stream = connect(host, limit, refused).await?;
                if heed {
                    silence(&mut stream, SILENCE_OVER_TCP).await?;
                }
                rtu::attach(Guarded::new(stream, Rtu::default()))
            }
            EndpointAddress::Serial(line) => {
                let mut port = open_line(line, lock)?;
                if heed {
                    silence(&mut port, line.silence().max(SILENCE)).await?;
                }
                // What was received before anyone asked is noise.
                port.discard_input_buffer().map_err(|error| cannot_open(&error))?;
                rtu::attach(Guarded::new(port, Rtu::default()))
            }
        };
        Ok(Self { client, alarm: Alarm::new(), used: false })
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
        let due = after(Instant::now(), limit);
        let answer = match self.alarm.until(due, self.client.call(request)).await {
            Some(Ok(Ok(response))) => Ok(words(response, span)?),
            Some(Ok(Err(exception))) => Err(ExceptionCode(exception.into())),
            Some(Err(error)) => return Err(lost(error, self.used)),
            None => {
                return Err(Lost { error: ReadError::Timeout(limit), again: Again::No });
            }
        };
        self.used = true;
        Ok((self, answer))
    }
}

/// Asks for a span on a stream of which nothing is known.
#[cfg(fuzzing)]
pub async fn asked(
    stream: impl AsyncRead + tokio::io::AsyncWrite + std::fmt::Debug + Unpin + Send + 'static,
    serial: bool,
    span: Span,
) -> Result<Result<Words, ExceptionCode>, ReadError> {
    let client = if serial {
        rtu::attach(Guarded::new(stream, Rtu::default()))
    } else {
        tcp::attach(Guarded::new(stream, Mbap::default()))
    };
    let asked = Connection { client, alarm: Alarm::new(), used: false }.ask(span, Duration::from_millis(50)).await;
    asked.map(|(_, answer)| answer).map_err(|lost| lost.error)
}

async fn connect(host: &HostPort, limit: Duration, refused: Option<&Refused>) -> Result<TcpStream, ReadError> {
    let stream = match timeout(limit, reach(host, refused)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(ReadError::Connection(format!("cannot connect ({error})"))),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            return Err(ReadError::Connection(format!("no connection within {limit}")));
        }
    };
    // A request is one small packet that must not wait for another.
    match stream.set_nodelay(true) {
        Ok(()) => Ok(stream),
        Err(error) => Err(ReadError::Connection(format!("cannot connect ({error})"))),
    }
}

/// Connects to the first address of a host that is not refused and can be connected to: the address that was checked, whatever its name
/// leads to a moment later.
async fn reach(host: &HostPort, refused: Option<&Refused>) -> io::Result<TcpStream> {
    let mut last = None;
    for address in tokio::net::lookup_host((host.host(), host.port())).await? {
        let connected = match refused {
            Some(Refused(refused)) if refused(address) => {
                let why =
                    "its address is one of pattoo-wasm or its pattoo server, and its grant does not say `own: true`";
                Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
            }
            _ => TcpStream::connect(address).await,
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

fn cannot_open(error: &io::Error) -> ReadError {
    ReadError::Connection(format!("cannot open the serial line ({error})"))
}

fn open_line(line: &SerialLine, lock: &mut Option<LineLock>) -> Result<SerialPort, ReadError> {
    if lock.is_none() {
        *lock = Some(lock_line(line)?);
    }
    SerialPort::open(line.path(), |mut settings: serial2_tokio::Settings| {
        settings.set_raw();
        settings.set_baud_rate(line.baud())?;
        settings.set_char_size(CharSize::Bits8);
        settings.set_parity(match line.parity() {
            Parity::None => serial2_tokio::Parity::None,
            Parity::Even => serial2_tokio::Parity::Even,
            Parity::Odd => serial2_tokio::Parity::Odd,
        });
        settings.set_stop_bits(match line.stop() {
            StopBits::One => serial2_tokio::StopBits::One,
            StopBits::Two => serial2_tokio::StopBits::Two,
        });
        settings.set_flow_control(FlowControl::None);
        Ok(settings)
    })
    .map_err(|error| {
        *lock = None;
        // What the system says when an error has no number of its own: the driver kept other settings.
        if error.raw_os_error().is_none() {
            let (baud, parity) = (line.baud(), line.parity());
            let mend = match parity {
                Parity::None => "name settings that it has",
                _ => "name settings that it has (a pseudo-terminal has no parity: `parity=none`)",
            };
            return ReadError::Connection(format!(
                "the serial line does not take {baud} baud with parity {parity} ({error}); {mend}"
            ));
        }
        cannot_open(&error)
    })
}

fn lock_line(line: &SerialLine) -> Result<LineLock, ReadError> {
    // Without waiting for a carrier, and without becoming the terminal that our signals come from.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let device = File::options().read(true).custom_flags(flags).open(line.path());
    let device = device.map_err(|error| cannot_open(&error))?;
    match device.try_lock() {
        Ok(()) => Ok(LineLock { _device: device }),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(ReadError::Connection("the serial line is in use by another program".to_owned()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(cannot_open(&error)),
    }
}

/// Reads and forgets what comes, until nothing has come for `quiet`.
async fn silence(stream: &mut (impl AsyncRead + Unpin), quiet: Duration) -> Result<(), ReadError> {
    let started = Instant::now();
    let mut bytes = [0; 256];
    loop {
        match timeout(quiet, stream.read(&mut bytes)).await {
            Err(_) => return Ok(()),
            Ok(Ok(0)) => return Err(ReadError::Connection(Fault::Closed.to_string())),
            Ok(Ok(_)) if started.elapsed() < MAX_NOISE => {}
            Ok(Ok(_)) => return Err(ReadError::Protocol("the line does not fall silent".to_owned())),
            Ok(Err(error)) => return Err(ReadError::Connection(Fault::Broken(error).to_string())),
        }
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
    Lost { error: ReadError::Protocol(message), again: Again::No }
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
            again: match &fault {
                Fault::Unasked if used => Again::NotSent,
                Fault::OtherUnit => Again::Yes,
                fault if used && fault.looks_abandoned() => Again::Yes,
                _ => Again::No,
            },
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
