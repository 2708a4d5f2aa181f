//! A filter on the bytes of a connection that lets only well-formed replies through.
//!
//! The client above it (tokio-modbus) cuts replies out of the stream and compares transaction, unit
//! and function. The filter checks what the client does not: a reply has a valid form, nothing
//! follows it, and it comes after a request. Anything else is a [`Fault`], and a connection with a
//! fault is never used again. So no byte that belongs to one request is ever used as the reply to
//! another.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why a connection cannot be used any more.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("the device closed the connection")]
    Closed,
    #[error("the device closed the connection in the middle of a reply")]
    ClosedWithin,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("the device sent bytes without a request")]
    Unrequested,
    #[error("the device sent more than one reply to a request")]
    Surplus,
    #[error("the device announced a reply of {0} bytes, which is not a valid length")]
    Length(u16),
    #[error("the device sent a reply of another unit")]
    OtherUnit,
    #[error("the device replied with another function")]
    OtherFunction,
    #[error("the device replied with {found} bytes where {expected} were requested")]
    Size { found: u8, expected: u8 },
    #[error("the checksum of the reply is wrong")]
    Checksum,
}

impl Fault {
    /// Whether the device may have closed the connection because it was idle. There was no part of
    /// a reply, so the request can be sent again over a new connection: reading changes nothing.
    pub(super) fn may_be_idle_close(&self) -> bool {
        matches!(self, Self::Closed | Self::Broken(_) | Self::Unrequested)
    }

    /// Whether the device violated the protocol; otherwise the connection was lost.
    pub(super) fn is_protocol(&self) -> bool {
        !matches!(self, Self::Closed | Self::ClosedWithin | Self::Broken(_))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// The frames of a transport: checks the bytes of a reply as they arrive.
pub(super) trait Framing {
    /// A request that begins with these bytes goes out: from now on one reply is expected.
    fn begin(&mut self, request: &[u8]);
    /// Checks bytes that arrived.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// Whether a reply is expected and not complete.
    fn is_expecting(&self) -> bool;
    /// Whether a part of a reply has arrived, but not all of it.
    fn is_partial(&self) -> bool;
}

/// A stream that accepts one reply for each request. All its errors contain a [`Fault`].
#[derive(Debug)]
pub(super) struct FrameFilter<S, F> {
    stream: S,
    framing: F,
}

impl<S: AsyncRead + Unpin, F> FrameFilter<S, F> {
    pub(super) fn new(stream: S, framing: F) -> Self {
        Self { stream, framing }
    }

    /// Checks, before a request goes out, that the connection is open and contains no bytes.
    fn check_quiet(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(Fault::Broken(error)),
            Poll::Ready(Ok(())) if buf.filled().is_empty() => Err(Fault::Closed),
            Poll::Ready(Ok(())) => Err(Fault::Unrequested),
        }
    }
}

impl<S: AsyncRead + Unpin, F: Framing + Unpin> AsyncRead for FrameFilter<S, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf)).map_err(Fault::Broken)?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            let fault = if self.framing.is_partial() { Fault::ClosedWithin } else { Fault::Closed };
            return Poll::Ready(Err(fault.into()));
        }
        self.framing.take(bytes)?;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Framing + Unpin> AsyncWrite for FrameFilter<S, F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.framing.is_expecting() {
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

    /// A connection after the other side has done something, and after that has arrived here.
    async fn after(act: impl AsyncFnOnce(TcpStream)) -> FrameFilter<TcpStream, Mbap> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        act(listener.accept().await.unwrap().0).await;
        stream.readable().await.unwrap();
        FrameFilter::new(stream, Mbap::default())
    }

    async fn write_fault(mut filter: FrameFilter<TcpStream, Mbap>) -> Fault {
        let error = tokio::io::AsyncWriteExt::write(&mut filter, &[0; 12]).await.unwrap_err();
        error.downcast().unwrap()
    }

    #[tokio::test]
    async fn no_request_is_sent_on_a_connection_that_was_closed() {
        let filter = after(async |stream| drop(stream)).await;
        assert!(matches!(write_fault(filter).await, Fault::Closed));
    }

    #[tokio::test]
    async fn no_request_is_sent_on_a_connection_with_unrequested_bytes() {
        let filter = after(async |stream| {
            stream.writable().await.unwrap();
            stream.try_write(&REPLY).unwrap();
            // Kept open: the test is about the bytes, not the end.
            std::mem::forget(stream);
        });
        assert!(matches!(write_fault(filter.await).await, Fault::Unrequested));
    }
}
