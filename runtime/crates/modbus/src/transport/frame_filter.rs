//! A filter on the bytes of a connection that lets only the reply to the current request through.
//!
//! The client above it (tokio-modbus) writes and reads frames of Modbus TCP. The filter sends each
//! request in the frame of the transport, compares the bytes that arrive with it, and passes the
//! reply on as the frame that the client expects. Anything else is a [`Fault`], except for what the
//! operator tolerates, and a connection with a fault is never used again. So no byte that belongs
//! to one request is ever used as the reply to another.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU16, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    fault::Fault,
    framing::{Framing, Reply, RequestInProgress},
    link::Link,
    tcp,
};
use crate::tolerance::{Deviation, Tolerance};

/// The maximum number of bytes that are skipped before a reply, and behind it.
const MAX_PADDING: usize = 16;

/// The maximum number of datagrams that are discarded before a request.
const MAX_DATAGRAMS: u8 = 64;

/// The transaction number of the next request. All connections share the sequence, so that the late
/// reply to a request of one connection does not have the number of a request of the next.
static TRANSACTION: AtomicU16 = AtomicU16::new(1);

/// What the next request tolerates. Set by the connection, above the client.
#[derive(Debug, Clone, Default)]
pub(super) struct NextTolerance(Arc<AtomicU8>);

impl NextTolerance {
    pub(super) fn set(&self, tolerance: Tolerance) {
        self.0.store(tolerance.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> Tolerance {
        Tolerance::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A stream that accepts one reply for each request. All its errors contain a [`Fault`].
#[derive(Debug)]
pub(super) struct FrameFilter<S, F> {
    stream: S,
    framing: F,
    tolerance: NextTolerance,
    /// The request in progress, with its transaction number for the client.
    request: Option<(RequestInProgress, u16)>,
    /// The frame of the last request, and how much of it has been sent.
    sent: Vec<u8>,
    written: usize,
    /// The bytes that arrived since then.
    received: Vec<u8>,
    /// The reply for the client, and how much of it the client has read.
    reply: Vec<u8>,
    read: usize,
}

impl<S: Link, F: Framing> FrameFilter<S, F> {
    pub(super) fn new(stream: S, framing: F, tolerance: NextTolerance) -> Self {
        let (sent, received, reply) = Default::default();
        Self { stream, framing, tolerance, request: None, sent, written: 0, received, reply, read: 0 }
    }

    /// What the next request tolerates here. Datagrams can overtake each other: nothing but its
    /// number tells a reply from that to an earlier request.
    fn next_tolerance(&self) -> Tolerance {
        let tolerance = self.tolerance.get();
        if S::IS_DATAGRAMS { tolerance.without(Deviation::WrongTransaction) } else { tolerance }
    }

    /// Checks, before a request goes out, that the connection is open and contains no bytes.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let tolerance = self.next_tolerance();
        let is_numbered = F::IS_NUMBERED && !tolerance.contains(Deviation::WrongTransaction);
        let (mut skipped, mut datagrams): (usize, u8) = (0, 0);
        loop {
            let mut bytes = [0; MAX_PADDING];
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending if !is_numbered && self.stream.has_unnoticed() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::of_read(error, false))),
                Poll::Ready(Ok(())) => {}
            }
            let found = buf.filled();
            skipped = skipped.saturating_add(found.len());
            let is_tolerated = tolerance.contains(Deviation::Padding) && skipped <= MAX_PADDING;
            match found {
                [] => return Poll::Ready(Err(Fault::Closed)),
                // Datagrams that came too late, or twice.
                _ if S::IS_DATAGRAMS && datagrams < MAX_DATAGRAMS => datagrams = datagrams.saturating_add(1),
                found if is_tolerated && is_padding(found) => {}
                _ if self.sent.is_empty() => return Poll::Ready(Err(Fault::Banner)),
                _ => return Poll::Ready(Err(Fault::Unrequested)),
            }
        }
    }

    /// Makes the frame of the transport for a frame of the client.
    fn begin(&mut self, frame: &[u8]) -> Result<(), Fault> {
        let request = frame.split_first_chunk().and_then(|([high, low, _, _, _, _, unit], pdu)| {
            let transaction = TRANSACTION.fetch_add(1, Ordering::Relaxed);
            let request = RequestInProgress::new(transaction, *unit, pdu, self.next_tolerance())?;
            Some((request, u16::from_be_bytes([*high, *low]), pdu))
        });
        let Some((request, transaction, pdu)) = request else {
            return Err(Fault::Broken(io::Error::other("the client did not write a read request")));
        };
        self.sent = self.framing.encode(request, pdu);
        self.request = Some((request, transaction));
        self.written = 0;
        self.received.clear();
        Ok(())
    }

    /// Takes the reply from the bytes that arrived, if it is complete.
    fn take_reply(&mut self) -> Result<(), Fault> {
        let Some((request, transaction)) = self.request else { return Err(Fault::Surplus) };
        let Some((Reply { pdu, .. }, rest)) = self.find_reply(request)? else { return Ok(()) };
        match rest {
            [] => {}
            rest if is_padding(rest) && rest.len() <= MAX_PADDING => {
                if !request.tolerates(Deviation::Padding) {
                    return Err(Fault::Padding);
                }
            }
            _ => return Err(Fault::Surplus),
        }
        // Where another unit is tolerated, the client expects that of its request nevertheless.
        self.reply = tcp::frame(transaction, request.unit, &pdu);
        self.read = 0;
        self.request = None;
        Ok(())
    }

    /// The complete reply in the bytes that arrived, and what follows it.
    fn find_reply(&self, request: RequestInProgress) -> Result<Option<(Reply<'_>, &[u8])>, Fault> {
        let mut bytes = self.received.as_slice();
        match bytes.strip_prefix(self.sent.as_slice()) {
            Some(rest) if request.tolerates(Deviation::Echo) => bytes = rest,
            Some(_) if !request.can_equal_its_reply() => return Err(Fault::Echo),
            None if request.tolerates(Deviation::Echo) && self.sent.starts_with(bytes) => return Ok(None),
            _ => {}
        }
        let found = self.decode_at(request, bytes, 0);
        let Err(fault) = found else { return found };
        if request.tolerates(Deviation::Padding) {
            let padding = bytes.iter().take(MAX_PADDING).take_while(|byte| is_padding(&[**byte])).count();
            if let Some(found) = (1..=padding).find_map(|start| self.decode_at(request, bytes, start).ok()) {
                return Ok(found);
            }
        }
        // It is an echo if the rest of the request follows.
        if self.sent.starts_with(bytes) { Ok(None) } else { Err(fault) }
    }

    fn decode_at<'a>(
        &self,
        request: RequestInProgress,
        bytes: &'a [u8],
        start: usize,
    ) -> Result<Option<(Reply<'a>, &'a [u8])>, Fault> {
        let bytes = bytes.get(start..).unwrap_or_default();
        let reply = self.framing.decode(request, bytes)?;
        Ok(reply.and_then(|reply| bytes.get(reply.length..).map(|rest| (reply, rest))))
    }
}

/// Whether these are bytes that devices send without a meaning: those of an idle line, and those
/// with which packets are filled up.
fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, 0 | 0xFF))
}

impl<S: Link, F: Framing> AsyncRead for FrameFilter<S, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let unread = this.reply.get(this.read..).unwrap_or_default();
            let unread = unread.get(..buf.remaining()).unwrap_or(unread);
            if !unread.is_empty() {
                buf.put_slice(unread);
                this.read = this.read.saturating_add(unread.len());
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 512];
            let mut arrived = ReadBuf::new(&mut bytes);
            let is_within = !this.received.is_empty();
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut arrived))
                .map_err(|error| Fault::of_read(error, is_within))?;
            if arrived.filled().is_empty() {
                return Poll::Ready(Err(Fault::closed(is_within).into()));
            }
            if S::IS_DATAGRAMS {
                this.received.clear();
            }
            this.received.extend(arrived.filled());
            match this.take_reply() {
                // The reply to an earlier request that was sent again, or that came twice.
                Err(Fault::OtherTransaction { .. }) if S::IS_DATAGRAMS => {}
                taken => taken?,
            }
        }
    }
}

impl<S: Link, F: Framing> AsyncWrite for FrameFilter<S, F> {
    /// Takes whole frames, as the client writes them.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, frame: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.request.is_none() {
            ready!(this.poll_quiet(cx))?;
            this.begin(frame)?;
        }
        while let Some(unsent @ [_, ..]) = this.sent.get(this.written..) {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, unsent)).map_err(Fault::Broken)?;
            if written == 0 {
                return Poll::Ready(Err(Fault::Closed.into()));
            }
            this.written = this.written.saturating_add(written);
        }
        Poll::Ready(Ok(frame.len()))
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
        FrameFilter::new(stream, Mbap, NextTolerance::default())
    }

    async fn write_fault(filter: &mut FrameFilter<TcpStream, Mbap>) -> Fault {
        let error = tokio::io::AsyncWriteExt::write(filter, &[0; 12]).await.unwrap_err();
        error.downcast().unwrap()
    }

    #[tokio::test]
    async fn no_request_is_sent_on_a_connection_that_was_closed() {
        let mut filter = after(async |stream| drop(stream)).await;
        assert!(matches!(write_fault(&mut filter).await, Fault::Closed));
    }

    #[tokio::test]
    async fn no_request_is_sent_on_a_connection_with_unrequested_bytes() {
        let unrequested = async |stream: TcpStream| {
            stream.writable().await.unwrap();
            stream.try_write(&REPLY).unwrap();
            // Kept open: the test is about the bytes, not the end.
            std::mem::forget(stream);
        };
        let mut unused = after(unrequested).await;
        assert!(matches!(write_fault(&mut unused).await, Fault::Banner));
        let mut used = after(unrequested).await;
        used.sent = vec![0; 12];
        // Padding is tolerated, a reply is not.
        used.tolerance.set(Deviation::ALL.into_iter().collect());
        assert!(matches!(write_fault(&mut used).await, Fault::Unrequested));
    }
}
