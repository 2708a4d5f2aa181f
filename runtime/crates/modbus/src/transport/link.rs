//! What carries frames: TCP, TLS, UDP, a serial line.

use std::fmt;

use serial2_tokio::SerialPort;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::datagram::Datagrams;

/// A stream below the frame filter.
pub(super) trait Link: AsyncRead + AsyncWrite + fmt::Debug + Unpin + Send + 'static {
    /// Whether each read is a datagram, which holds one frame.
    const IS_DATAGRAMS: bool = false;

    /// Whether bytes have arrived that the runtime has not noticed, and that a read would not
    /// return.
    fn has_unnoticed(&self) -> bool {
        false
    }
}

/// After a read that was not full, the runtime waits for an event before the next one asks the
/// system.
impl Link for TcpStream {
    fn has_unnoticed(&self) -> bool {
        rustix::io::ioctl_fionread(self).is_ok_and(|bytes| bytes > 0)
    }
}

impl Link for TlsStream<TcpStream> {
    fn has_unnoticed(&self) -> bool {
        self.get_ref().0.has_unnoticed()
    }
}

/// Each read asks the system, unless the last one found nothing.
impl Link for SerialPort {}

impl Link for Datagrams {
    const IS_DATAGRAMS: bool = true;
}

#[cfg(fuzzing)]
impl Link for tokio::io::DuplexStream {}
