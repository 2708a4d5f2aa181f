//! The bytes of a connection or line, under guard.
//!
//! The client above (tokio-modbus) cuts replies out of the stream and compares transaction, unit and function. What it
//! does not look at is looked at here, where the bytes pass: a reply has the shape that a reply can have, is followed
//! by nothing, and comes after a request. Whatever differs is a [`Fault`], and a connection with a fault is never used
//! again: so no byte that belongs to one request is ever taken for the reply to another.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
    #[error("a reply of another unit came")]
    OtherUnit,
    #[error("the device replied with another function")]
    OtherFunction,
    #[error("the device replied with {found} bytes where {expected} were asked for")]
    Size { found: u8, expected: u8 },
    #[error("the checksum of the reply is wrong")]
    Checksum,
}

impl Fault {
    /// Whether this is what a connection looks like that the device gave up while nobody used it. Nothing of a reply
    /// was there; to ask again over a new connection is sound, since reading changes nothing.
    pub(super) fn looks_abandoned(&self) -> bool {
        matches!(self, Self::Closed | Self::Broken(_) | Self::Unasked)
    }

    /// Whether the device broke the protocol; otherwise the connection was lost.
    pub(super) fn is_protocol(&self) -> bool {
        !matches!(self, Self::Closed | Self::ClosedWithin | Self::Broken(_))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// How the frames of a transport look, and how much of the expected one has passed.
pub(super) trait Framing {
    /// A request goes out, the first bytes of which are these: from now on one reply may come.
    fn begin(&mut self, request: &[u8]);
    /// These bytes came in.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// Whether a reply is expected that is not there yet.
    fn is_asked(&self) -> bool;
    /// Whether a part of a reply has come, but not all of it.
    fn is_within(&self) -> bool;
}

/// A stream that lets one reply pass for each request. All its errors hold a [`Fault`].
#[derive(Debug)]
pub(super) struct Guarded<S, F> {
    stream: S,
    framing: F,
}

impl<S: AsyncRead + Unpin, F> Guarded<S, F> {
    pub(super) fn new(stream: S, framing: F) -> Self {
        Self { stream, framing }
    }

    /// Before a request goes out: is the connection still there, and is there nothing in it?
    fn check_quiet(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(Fault::Broken(error)),
            Poll::Ready(Ok(())) if buf.filled().is_empty() => Err(Fault::Closed),
            Poll::Ready(Ok(())) => Err(Fault::Unasked),
        }
    }
}

impl<S: AsyncRead + Unpin, F: Framing + Unpin> AsyncRead for Guarded<S, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf)).map_err(Fault::Broken)?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            let fault = if self.framing.is_within() { Fault::ClosedWithin } else { Fault::Closed };
            return Poll::Ready(Err(fault.into()));
        }
        self.framing.take(bytes)?;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing + Unpin> AsyncWrite for Guarded<S, F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.framing.is_asked() {
            self.check_quiet(cx)?;
            self.framing.begin(buf);
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
    use tokio::net::TcpStream;

    use super::{super::tcp::Mbap, *};

    const REPLY: [u8; 9] = [0, 0, 0, 0, 0, 3, 1, 0x83, 2];

    /// A connection on which the other side has done that, once it has arrived.
    async fn after(act: impl AsyncFnOnce(TcpStream)) -> Guarded<TcpStream, Mbap> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        act(listener.accept().await.unwrap().0).await;
        stream.readable().await.unwrap();
        Guarded::new(stream, Mbap::default())
    }

    async fn write_fault(mut guarded: Guarded<TcpStream, Mbap>) -> Fault {
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
