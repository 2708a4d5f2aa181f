//! Reading a response body, and never more of it than was allowed.
//!
//! Compression is negotiated and undone here and not in the HTTP library, which hides how much came over the wire. Both
//! sides are capped while the bytes come in, so that a bomb never lies in memory: what is held is the output so far and
//! one small piece more.

use std::io;

use async_compression::futures::bufread::{BrotliDecoder, GzipDecoder};
use futures_util::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt},
    stream::{Stream, StreamExt, TryStreamExt, once, try_unfold},
};
use http::{
    Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue, RANGE},
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use tokio::time::timeout;

use super::{
    error::{Cap, Error, Wait, transport_error},
    fetch_limits::Limits,
    message::Patience,
    meter::{BodyMeter, Meter},
    origin::Origin,
};

/// A coding that we asked for and can undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Brotli,
}

/// Asks for compression, unless the guest did (then it wants what it asked for) or wants a range (whose bytes count).
/// Whether we asked.
pub(super) fn negotiate(headers: &mut HeaderMap) -> bool {
    let ask = !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE);
    if ask {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
    }
    ask
}

/// The coding of a response that has a body, if it is one of ours. Anything else goes to the guest as it is.
pub(super) fn coding(method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<Coding> {
    if method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let only = codings.next().filter(|_| codings.next().is_none())?;
    match only.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        "br" => Some(Coding::Brotli),
        _ => None,
    }
}

/// Removes the headers that spoke of the body as it was on the wire.
pub(super) fn describe_decoded(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
}

/// Reads the whole body.
pub(super) async fn read(
    body: Incoming,
    coding: Option<Coding>,
    origin: &Origin,
    limits: &Limits,
    patience: Patience,
    meter: &dyn Meter,
) -> Result<Vec<u8>, Error> {
    let meter = &BodyMeter::new(meter);
    // Without a coding both caps bound the same bytes.
    let (cap, most) = if coding.is_none() && limits.response_bytes <= limits.compressed_bytes {
        (Cap::ResponseBody, limits.response_bytes)
    } else {
        (Cap::CompressedBody, limits.compressed_bytes)
    };
    // An announced length saves reading what is going to be refused.
    let length = body.size_hint().exact();
    if length.is_some_and(|announced| announced > most) {
        return Err(Error::TooLarge { cap, limit: most });
    }
    // Of a body whose length is known no more room is made than it needs.
    let announced = length.filter(|_| coding.is_none());
    let announced = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut wire = Box::pin(wire(body, origin, limits, patience, (cap, most), meter));
    // Looking at the first piece tells an empty body, which decodes to nothing in every coding.
    let Some(first) = wire.try_next().await? else {
        return Ok(Vec::new());
    };
    let wire = once(std::future::ready(Ok(first))).chain(wire);
    let mut reader = Box::pin(wire.map_err(io::Error::other)).into_async_read();
    let mut whole = Whole { bytes: Vec::new(), piece: vec![0; PIECE], announced, origin, limits, meter };
    match coding {
        None => whole.read(&mut reader).await?,
        Some(Coding::Brotli) => whole.read(&mut BrotliDecoder::new(reader)).await?,
        Some(Coding::Gzip) => loop {
            whole.read(&mut GzipDecoder::new(&mut reader)).await?;
            if !has_another_member(&mut reader).await.map_err(|error| unpacked(error, origin))? {
                break;
            }
            tokio::task::yield_now().await;
        },
    }
    whole.finish()
}

/// Whether a gzip file has another member (RFC 1952 section 2.2). Zero bytes are padding, as for `gzip` itself.
async fn has_another_member(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<bool> {
    loop {
        let next = reader.fill_buf().await?;
        let padding = next.iter().take_while(|byte| **byte == 0).count();
        let (is_over, is_padding) = (next.is_empty(), padding == next.len());
        reader.consume_unpin(padding);
        if is_over || !is_padding {
            return Ok(!is_over);
        }
    }
}

/// The body as it comes over the wire, capped and timed.
fn wire<'a>(
    body: Incoming,
    origin: &'a Origin,
    limits: &'a Limits,
    patience: Patience,
    (cap, most): (Cap, u64),
    meter: &'a BodyMeter<'a>,
) -> impl Stream<Item = Result<impl AsRef<[u8]> + Send + use<>, Error>> + Send + 'a {
    let (after, wait) = Patience::shorter(patience.pieces, limits.idle, Wait::Idle);
    try_unfold((body, 0_usize), move |(mut body, seen)| async move {
        let piece = timeout(after, next_piece(&mut body)).await.map_err(|_| Error::Timeout { wait, after })?;
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(|error| transport_error(&error, origin, limits))?;
        let seen = seen.saturating_add(piece.len());
        cap.check(seen, most)?;
        meter.came(piece.len())?;
        Ok(Some((piece, (body, seen))))
    })
}

/// The next piece of a body. Trailers are skipped.
async fn next_piece(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    loop {
        match body.frame().await?.map(Frame::into_data) {
            Ok(Ok(piece)) => return Some(Ok(piece)),
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Decoding a well-packed bomb takes no input, so it never waits; other tasks get their turn after this many pieces.
const PIECES_PER_TURN: u32 = 8;

/// How much is decoded at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// A body while it is read.
struct Whole<'a> {
    bytes: Vec<u8>,
    /// Where the next bytes are decoded to.
    piece: Vec<u8>,
    /// How many bytes it will have, if that was said.
    announced: usize,
    origin: &'a Origin,
    limits: &'a Limits,
    meter: &'a BodyMeter<'a>,
}

impl Whole<'_> {
    /// Adds what comes out of a decoder, to its end.
    async fn read(&mut self, body: &mut (impl AsyncRead + Unpin)) -> Result<(), Error> {
        let Self { bytes: whole, piece, announced, origin, limits, meter } = self;
        let mut turn = 0..PIECES_PER_TURN;
        loop {
            let read = body.read(piece).await.map_err(|error| unpacked(error, origin))?;
            let Some(got) = piece.get(..read).filter(|got| !got.is_empty()) else { return Ok(()) };
            Cap::ResponseBody.check(whole.len().saturating_add(got.len()), limits.response_bytes)?;
            if whole.capacity().saturating_sub(whole.len()) < got.len() {
                // Said before it is done: while it is moved, the old and the new are there.
                let needed = whole.len().saturating_add(got.len());
                let capacity = whole.capacity().saturating_mul(2).max(*announced).max(needed);
                meter.decoded(needed, capacity.saturating_add(whole.capacity()))?;
                whole.reserve_exact(capacity.saturating_sub(whole.len()));
            }
            whole.extend_from_slice(got);
            meter.decoded(whole.len(), whole.capacity())?;
            if turn.next().is_none() {
                turn = 0..PIECES_PER_TURN;
                tokio::task::yield_now().await;
            }
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.bytes.shrink_to_fit();
        self.meter.decoded(self.bytes.len(), self.bytes.capacity())?;
        Ok(self.bytes)
    }
}

/// The error of ours that went through the decoder, or the decoder's own.
fn unpacked(error: io::Error, origin: &Origin) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(decoders) => Error::Connection(format!("{origin}: the compressed body is damaged: {decoders}")),
    }
}
