//! The bytes of a Modbus TCP connection, under guard.
//!
//! The client above (tokio-modbus) cuts replies out of the stream and compares transaction, unit and function. What it
//! does not look at is looked at here, where the bytes pass: a reply announces a length that a reply can have, is followed
//! by nothing, and comes after a request. Whatever differs is a [`Fault`], and a connection with a fault is never used
//! again: so no byte that belongs to one request is ever taken for the reply to another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes before what the length field counts (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3).
const PREFIX: usize = 6;
/// The shortest that a reply announces: unit, function, exception code.
const MIN_LENGTH: u16 = 3;
/// The longest that a reply announces: the unit and a PDU of 253 bytes.
const MAX_LENGTH: u16 = 254;

/// Why a connection can't be used further.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("the device closed the connection")]
    Closed,
    #[error("the device closed the connection in the middle of a reply")]
    ClosedWithin,
    #[error("the connection broke ({0})")]
    Broken(io::Error),
    #[error("the device sent bytes that nobody asked for")]
    Unasked,
    #[error("the device sent more than one reply to a request")]
    Surplus,
    #[error("the device announced a reply of {0} bytes, which no reply can have")]
    Length(u16),
}

impl Fault {
    /// Whether this is what a connection looks like that the device gave up while nobody used it. Nothing of a reply
    /// was there; to ask again over a new connection is sound, since reading changes nothing.
    pub(super) fn looks_abandoned(&self) -> bool {
        matches!(self, Self::Closed | Self::Broken(_) | Self::Unasked)
    }

    /// Whether the device broke the protocol; otherwise the connection was lost.
    pub(super) fn is_protocol(&self) -> bool {
        matches!(self, Self::Unasked | Self::Surplus | Self::Length(_))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// A TCP stream that lets one reply pass for each request. All its errors hold a [`Fault`].
#[derive(Debug)]
pub(super) struct Guarded {
    stream: TcpStream,
    reply: Reply,
}

/// How much of the reply has passed.
#[derive(Debug, Clone, Copy)]
enum Reply {
    /// No request is out.
    NotAsked,
    /// So many bytes of the prefix have passed; the length so far.
    Prefix { passed: usize, length: u16 },
    /// So many bytes are still to come.
    Body { left: usize },
}

impl Reply {
    /// The state after these bytes.
    fn after(mut self, bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = bytes.iter();
        while let Self::Prefix { passed, length } = self {
            let Some(&byte) = rest.next() else { return Ok(self) };
            // Big-endian in the last two bytes of the prefix; what came before is shifted out.
            let length = length << 8 | u16::from(byte);
            let passed = passed.saturating_add(1);
            self = if passed < PREFIX {
                Self::Prefix { passed, length }
            } else if (MIN_LENGTH..=MAX_LENGTH).contains(&length) {
                Self::Body { left: length.into() }
            } else {
                return Err(Fault::Length(length));
            };
        }
        match self {
            Self::Body { left } => match left.checked_sub(rest.len()) {
                Some(0) => Ok(Self::NotAsked),
                Some(left) => Ok(Self::Body { left }),
                None => Err(Fault::Surplus),
            },
            _ => Err(Fault::Unasked),
        }
    }
}

impl Guarded {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, reply: Reply::NotAsked }
    }

    /// Before a request goes out: is the connection still there, and is there nothing in it?
    fn check_quiet(&self) -> Result<(), Fault> {
        match self.stream.try_read(&mut [0]) {
            Ok(0) => Err(Fault::Closed),
            Ok(_) => Err(Fault::Unasked),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Fault::Broken(error)),
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf)).map_err(Fault::Broken)?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            let fault = match self.reply {
                Reply::NotAsked | Reply::Prefix { passed: 0, .. } => Fault::Closed,
                _ => Fault::ClosedWithin,
            };
            return Poll::Ready(Err(fault.into()));
        }
        self.reply = self.reply.after(bytes)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Reply::NotAsked = self.reply {
            self.check_quiet()?;
            self.reply = Reply::Prefix { passed: 0, length: 0 };
        }
        Pin::new(&mut self.stream).poll_write(cx, buf).map_err(|error| Fault::Broken(error).into())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| Fault::Broken(error).into())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx).map_err(|error| Fault::Broken(error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Reply = Reply::Prefix { passed: 0, length: 0 };
    const REPLY: [u8; 9] = [0, 0, 0, 0, 0, 3, 1, 0x83, 2];

    #[test]
    fn a_reply_passes_in_any_pieces_and_nothing_passes_after_it() {
        for cut in 0..REPLY.len() {
            let (head, tail) = REPLY.split_at(cut);
            let end = ASKED.after(head).unwrap().after(tail).unwrap();
            assert!(matches!(end, Reply::NotAsked), "cut at {cut}");
            assert!(matches!(end.after(&[0]), Err(Fault::Unasked)));
        }
        let twice = [REPLY, REPLY].concat();
        assert!(matches!(ASKED.after(&twice), Err(Fault::Surplus)));
    }

    #[test]
    fn a_length_that_no_reply_has_is_a_fault_at_once() {
        for length in [0, 1, 2, 255, 256, u16::MAX] {
            let [high, low] = length.to_be_bytes();
            let outcome = ASKED.after(&[0, 0, 0, 0, high, low]);
            assert!(matches!(outcome, Err(Fault::Length(found)) if found == length));
        }
    }

    /// A connection on which the other side has done that, once it has arrived.
    async fn after(act: impl AsyncFnOnce(TcpStream)) -> Guarded {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        act(listener.accept().await.unwrap().0).await;
        stream.readable().await.unwrap();
        Guarded::new(stream)
    }

    async fn write_fault(mut guarded: Guarded) -> Fault {
        let error = tokio::io::AsyncWriteExt::write(&mut guarded, &[0; 12]).await.unwrap_err();
        error.downcast().unwrap()
    }

    #[tokio::test]
    async fn no_request_goes_out_on_a_connection_that_was_closed_meanwhile() {
        let guarded = after(async |stream| drop(stream)).await;
        assert!(matches!(write_fault(guarded).await, Fault::Closed));
    }

    #[tokio::test]
    async fn no_request_goes_out_on_a_connection_with_bytes_that_nobody_asked_for() {
        let guarded = after(async |stream| {
            stream.writable().await.unwrap();
            stream.try_write(&REPLY).unwrap();
            // Kept open: what is looked for is the bytes, not the end.
            std::mem::forget(stream);
        });
        assert!(matches!(write_fault(guarded.await).await, Fault::Unasked));
    }
}
