//! Plans the fewest requests that read a list of spans. Pure: nothing here waits or does I/O.
//!
//! # Rules
//!
//! A span that fits into one request is a *piece*. A longer span is cut into pieces of the maximum
//! size, counted from its first address, so that the caller knows between which addresses values
//! can be torn. A *request* reads a range of addresses of one table of one unit. It reads whole
//! pieces only and is no longer than the [`RequestLimits`] allow. Where it contains addresses of no span,
//! this gap is no wider than [`RequestLimits::gap`] and the grant allows reading it.
//!
//! So the addresses of a table form *islands*: requested addresses and the gaps that may be
//! crossed. A request lies within one island (a request that starts or ends in a gap can be
//! shortened). Any range within an island that starts and ends with a requested address, and is
//! short enough, is a possible request.
//!
//! # Algorithm
//!
//! Pieces are sorted by their first address. The open request starts at the first piece that no
//! request reads yet. Each next piece joins it if the rules allow the range from this start to the
//! end of both; otherwise the piece opens a new request.
//!
//! What was learned of the device ([`Learned`]) restricts this further: a piece that contains a
//! range which failed gets a request of its own, so that it cannot fail others. Any other request
//! contains no such range, and is no longer than the [`Lengths`] allow, unless it is a single piece.
//!
//! # Proof
//!
//! A part of a request that reads some of its pieces also follows all rules: it is no longer,
//! crosses no other gaps, and contains no other ranges. Pieces with a request of their own are
//! fixed; for the others:
//!
//! First, no piece opens a request that an earlier request could have read. Say a request that
//! starts at `s` was closed because `P` of the same island did not fit, and `Q` comes after `P` and
//! would have fitted. If `Q` ended after `P`, the range up to the end of `Q` would contain the
//! range up to the end of `P`, and break the rules as that does. So `Q` lies inside `P`, and joins
//! the request that `P` opened. If that request was closed before `Q`, by a `P'`, the same holds
//! for `P'`. So the count is the same as if each request read every piece that it could.
//!
//! Then by exchange: let `P` be the remaining piece with the smallest start `s`. Any plan has a
//! request `R` that reads it, and `R` starts at `s` or before. Every remaining piece that `R` reads
//! starts at `s` or after (`P` is the smallest), so the range from `s` to its end is a part of `R`
//! and follows the rules: the request opened here reads it too. Replace `R` by it: the plan is no
//! longer than before and reads no less. The rest is the same problem with fewer pieces. ∎
//!
//! The tests compare the count with an exhaustive search over all possible requests.

mod divided;
mod learned;
mod reading;
mod runs;
mod unit;

use self::learned::Lengths;
pub(crate) use self::{learned::Learned, reading::Reading};
use pattoo_base::invariant;

use crate::model::{MAX_BITS, MAX_REGISTERS, Readable, Span, Table};

/// The limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLimits {
    max_registers: u16,
    max_bits: u16,
    /// The maximum number of consecutive unrequested addresses in a request.
    gap: u16,
}

impl RequestLimits {
    /// The limits of requests to a device. Maxima are clamped to 1 to 125 registers and 1 to 2000 bits.
    pub(crate) fn new(max_registers: u16, max_bits: u16, gap: u16) -> Self {
        Self { max_registers: max_registers.clamp(1, MAX_REGISTERS), max_bits: max_bits.clamp(1, MAX_BITS), gap }
    }

    /// The maximum number of addresses of a table in one request.
    pub(crate) fn maximum(self, table: Table) -> u16 {
        if table.is_bits() { self.max_bits } else { self.max_registers }
    }
}

/// A range of addresses that one request reads for the span with this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The index of the span.
    pub(crate) index: usize,
    /// The whole span, or a part of it that fits into one request.
    pub(crate) span: Span,
}

/// Up to this many ranges of a request without a reply are requested one by one.
const SINGLY: usize = 12;

/// One request and the pieces that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The range on the wire: unit, table, first address, count.
    pub(crate) span: Span,
    /// The pieces, by first address; at least one.
    pub(crate) pieces: Vec<Piece>,
}

impl Request {
    /// The two halves of the pieces, to retry a request that failed; `None` when all pieces are the
    /// same range, so that this range itself has failed.
    pub(crate) fn halves(&self) -> Option<(&[Piece], &[Piece])> {
        let first = self.pieces.first()?;
        let same = |piece: &Piece| piece.span == first.span;
        if self.pieces.iter().all(same) {
            return None;
        }
        // The same range must not be in both halves: it would be requested twice.
        let middle = self.pieces.len().div_ceil(2);
        let at = self.pieces.get(middle)?.span;
        let left = self.pieces.iter().position(|piece| piece.span == at)?;
        let right = self.pieces.iter().rposition(|piece| piece.span == at)?;
        let cut = if left > 0 { left } else { right.saturating_add(1) };
        self.pieces.split_at_checked(cut)
    }

    /// The parts in which a request without a reply is sent once more.
    fn parts(&self) -> Vec<&[Piece]> {
        let groups: Vec<_> = self.pieces.chunk_by(|one, other| one.span == other.span).map(<[_]>::len).collect();
        let size = if groups.len() <= SINGLY { 1 } else { groups.len().isqrt().saturating_add(1) };
        let mut rest = self.pieces.as_slice();
        let lengths =
            groups.chunks(size).map(|groups| groups.iter().fold(0_usize, |sum, len| sum.saturating_add(*len)));
        let part = |length| {
            let (part, others) = rest.split_at_checked(length)?;
            rest = others;
            Some(part)
        };
        lengths.map_while(part).collect()
    }
}

/// Cuts spans into pieces that fit into one request each.
pub(crate) fn pieces(spans: &[Span], limits: RequestLimits) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        let maximum = limits.maximum(span.table());
        let mut address = span.address();
        let mut left = span.count();
        while left > 0 {
            let count = left.min(maximum);
            match Span::of_unit(span.unit(), span.table(), address, count) {
                Ok(span) => pieces.push(Piece { index, span }),
                Err(error) => invariant::broken(format_args!("a part of a span is a span: {error}")),
            }
            left = left.saturating_sub(count);
            address = address.saturating_add(count);
        }
    }
    pieces
}

/// The fewest requests for these pieces, by unit, table and address.
///
/// The pieces are those of [`pieces`] with the same limits. Requests cross gaps only inside
/// `readable`; the caller has checked that the pieces themselves may be read.
pub(crate) fn plan(pieces: &[Piece], readable: &Readable, limits: RequestLimits, learned: &Learned) -> Vec<Request> {
    let mut sorted = pieces.to_vec();
    let place = |span: Span| (span.unit(), span.table(), span.address(), span.count());
    sorted.sort_by_key(|piece| (place(piece.span), piece.index));
    let (alone, shared): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|piece| learned.is_bad(piece.span));
    let same = |open: Span, next: Span| (open == next).then_some(open);
    let mut requests = gather(&alone, same);
    let is_same_table = |one: &Piece, other: &Piece| one.span.is_same_table(other.span);
    for pieces in shared.chunk_by(is_same_table) {
        requests.extend(gather_within_lengths(pieces, readable, limits, learned));
    }
    requests.sort_by_key(|request| place(request.span));
    requests
}

/// The fewest requests for pieces of one table that are no longer than the device is known to
/// accept, or that find out more about that.
fn gather_within_lengths(
    pieces: &[Piece],
    readable: &Readable,
    limits: RequestLimits,
    learned: &Learned,
) -> Vec<Request> {
    let Some(first) = pieces.first() else { return Vec::new() };
    let Lengths { proven, attempt, too_long } = learned.lengths(first.span.unit(), first.span.table());
    let gather_up_to = |maximum| {
        let mut refused: Option<u16> = None;
        let requests = gather(pieces, |open, next| {
            let whole = join(open, next, readable, limits, learned)?;
            if whole.count() <= maximum || whole == open || whole == next {
                return Some(whole);
            }
            refused = Some(refused.map_or(whole.count(), |shortest| shortest.min(whole.count())));
            None
        });
        (requests, refused)
    };
    let (requests, refused) = gather_up_to(attempt);
    let finds_out_more = requests.iter().any(|request| request.span.count() > proven);
    match refused.filter(|count| !finds_out_more && *count < too_long) {
        // No request of these pieces has a length between `proven` and `attempt`: the search for
        // the maximum of the device goes on at the next length that they can have.
        Some(count) => gather_up_to(count).0,
        None => requests,
    }
}

/// Adds each piece to the last request that was opened if `join` allows it, otherwise opens a
/// request for it.
fn gather(pieces: &[Piece], mut join: impl FnMut(Span, Span) -> Option<Span>) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for &piece in pieces {
        let joined = requests.last().and_then(|request| join(request.span, piece.span));
        match (joined, requests.last_mut()) {
            (Some(span), Some(request)) => {
                request.span = span;
                request.pieces.push(piece);
            }
            _ => requests.push(Request { span: piece.span, pieces: vec![piece] }),
        }
    }
    requests
}

/// The range from the start of `open` to the end of both, if one request may read it. `next` is of
/// the same table and does not start before `open`.
fn join(open: Span, next: Span, readable: &Readable, limits: RequestLimits, learned: &Learned) -> Option<Span> {
    let table = open.table();
    if next.last() <= open.last() {
        return Some(open);
    }
    let count = next.last().checked_sub(open.address())?.checked_add(1)?;
    let whole = Span::of_unit(open.unit(), table, open.address(), count).ok()?;
    // A piece with the same start that ends later is allowed like any other single piece.
    if next == whole {
        return Some(whole);
    }
    if count > limits.maximum(table) || learned.is_bad(whole) {
        return None;
    }
    let gap_start = open.last().saturating_add(1);
    if let Some(gap @ 1..) = next.address().checked_sub(gap_start) {
        let gap_end = next.address().saturating_sub(1);
        if gap > limits.gap || !readable.ranges(table).contains_run(gap_start, gap_end) {
            return None;
        }
    }
    Some(whole)
}

#[cfg(test)]
#[path = "tests/plan.rs"]
mod tests;
