//! Opening TCP connections and serial lines.

use std::{
    fmt,
    fs::File,
    io,
    net::SocketAddr,
    os::{fd::AsFd, unix::fs::OpenOptionsExt as _},
    sync::Arc,
    time::Duration,
};

use serial2_tokio::{CharSize, FlowControl, SerialPort};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{connection::Opening, fault::Fault, happy_eyeballs, timeout::after};
use crate::{
    address::{HostPort, Parity, SerialLine, StopBits},
    error::ReadError,
};

/// How long a noisy line is read before opening it fails.
const MAX_NOISE: Duration = Duration::from_secs(1);
/// The maximum number of bytes that are discarded in the pause after connecting.
const MAX_BANNER: usize = 64 * 1024;

/// The pause after the first refused connection; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The maximum of this pause.
const MAX_PAUSE: Duration = Duration::from_millis(400);

/// The addresses to which no connection is opened.
#[derive(Clone)]
pub(crate) struct DeniedAddresses(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl DeniedAddresses {
    pub(crate) fn new(denied: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(denied))
    }

    fn contains(&self, address: SocketAddr) -> bool {
        (self.0)(address)
    }
}

impl fmt::Debug for DeniedAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeniedAddresses")
    }
}

/// Keeps other programs that check for locks from using a serial line, and its driver from
/// switching the signals of the line off between two openings.
#[derive(Debug)]
pub(crate) struct LineLock {
    _device: File,
}

/// Resolves the host and connects.
pub(super) async fn connect(host: &HostPort, opening: &Opening<'_>) -> Result<TcpStream, ReadError> {
    let limit = opening.timeout;
    let stream = match timeout(limit, connect_unless_refused(host, opening)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(ReadError::Connection(format!("cannot connect: {error}"))),
        Err(_) => {
            let limit = humantime::format_duration(limit);
            return Err(ReadError::Connection(format!("cannot connect: no connection within {limit}")));
        }
    };
    // A request is one small packet that must not wait for further data.
    match stream.set_nodelay(true) {
        Ok(()) => Ok(stream),
        Err(error) => Err(ReadError::Connection(format!("cannot connect: {error}"))),
    }
}

/// Connects, and where refused connections are to be retried, tries again until the timeout would be
/// over before the next attempt.
async fn connect_unless_refused(host: &HostPort, opening: &Opening<'_>) -> io::Result<TcpStream> {
    let deadline = after(Instant::now(), opening.timeout);
    let mut pause = FIRST_PAUSE;
    loop {
        match connect_any(host, opening.denied.as_ref()).await {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && opening.retries_refused
                    && after(Instant::now(), pause) < deadline =>
            {
                tracing::debug!(%host, ?pause, "the connection was refused, trying again");
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
            connected => return connected,
        }
    }
}

/// Connects to an address of a host that is not denied and accepts the connection. The address that
/// was checked is the one that is used, even if the name resolves to another one a moment later.
async fn connect_any(host: &HostPort, denied: Option<&DeniedAddresses>) -> io::Result<TcpStream> {
    happy_eyeballs::connect(host, |address| {
        let is_denied = denied.is_some_and(|denied| denied.contains(address));
        async move {
            if is_denied {
                let why = "the address is one of this program or its server, and the grant does not say `own: true`";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            TcpStream::connect(address).await
        }
    })
    .await
}

pub(super) fn cannot_open(error: &io::Error) -> ReadError {
    ReadError::Connection(format!("cannot open the serial line: {error}"))
}

/// Opens a serial line with its parameters, and locks it unless it is locked.
pub(super) fn open_line(line: &SerialLine, lock: &mut Option<LineLock>) -> Result<SerialPort, ReadError> {
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
        // An error without a number: the driver has kept other parameters.
        if error.raw_os_error().is_none() {
            let (baud, parity) = (line.baud(), line.parity());
            let help = match parity {
                Parity::None => "write supported parameters",
                _ => "write supported parameters (a pseudo-terminal has no parity: `parity=none`)",
            };
            return ReadError::Connection(format!(
                "the serial line does not support {baud} baud with parity {parity} ({error}); {help}"
            ));
        }
        cannot_open(&error)
    })
}

fn lock_line(line: &SerialLine) -> Result<LineLock, ReadError> {
    // Do not wait for a carrier, and do not become the controlling terminal of the process.
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

/// Whether bytes have arrived that were not read.
pub(super) fn has_waiting(stream: &impl AsFd) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0)
}

/// Reads and discards bytes until none has arrived for `quiet`.
pub(super) async fn discard_until_quiet(
    stream: &mut (impl AsyncRead + Unpin),
    quiet: Duration,
) -> Result<(), ReadError> {
    let started = Instant::now();
    let mut bytes = [0; 256];
    loop {
        match timeout(quiet, stream.read(&mut bytes)).await {
            Err(_) => return Ok(()),
            Ok(Ok(0)) => return Err(ReadError::Connection(Fault::Closed.to_string())),
            Ok(Ok(_)) if started.elapsed() < MAX_NOISE => {}
            Ok(Ok(_)) => return Err(ReadError::Protocol("the serial line does not become silent".to_owned())),
            Ok(Err(error)) => return Err(ReadError::Connection(Fault::Broken(error).to_string())),
        }
    }
}

/// Reads and discards bytes for this time.
pub(super) async fn discard_for(stream: &mut (impl AsyncRead + Unpin), pause: Duration) -> Result<(), ReadError> {
    let until = after(Instant::now(), pause);
    let mut bytes = [0; 256];
    let mut discarded: usize = 0;
    loop {
        match timeout_at(until, stream.read(&mut bytes)).await {
            Err(_) => return Ok(()),
            Ok(Ok(0)) => return Err(ReadError::Connection(Fault::Closed.to_string())),
            Ok(Ok(read)) => discarded = discarded.saturating_add(read),
            Ok(Err(error)) => return Err(ReadError::Connection(Fault::Broken(error).to_string())),
        }
        if discarded > MAX_BANNER {
            return Err(ReadError::Protocol(
                "the device does not stop sending after the connection is open".to_owned(),
            ));
        }
    }
}
