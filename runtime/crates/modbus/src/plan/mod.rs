//! The fewest requests that read a list of spans. Pure: nothing here waits or talks.
//!
//! # What is planned
//!
//! A span that a single request can ask for is a *piece*; a longer one is cut into pieces of exactly that size, counted
//! from its first address, so that whoever asks knows where a value could tear. A *request* asks for a run of addresses
//! of one table of one unit. It serves whole pieces only, is no longer than the [`Limits`] allow, and where it runs over
//! addresses that no span wants, that gap is no wider than [`Limits::gap`] and may be read.
//!
//! So the addresses of one table fall into *islands*: wanted addresses and the gaps that may be crossed. A request lies
//! within one island (one that starts or ends in a gap can be shortened), and any run within an island that starts and
//! ends with a wanted address, and is short enough, is a possible request.
//!
//! # How
//!
//! Pieces are taken by their first address. The open request starts at the first piece that is not served yet; each next
//! piece joins it if the rules allow the run from that start to the end of both; else a new
//! request is opened with it.
//!
//! What was learned of the device (the module `memory`) narrows this further: a piece that contains a run of addresses
//! which failed is asked for alone, so that it costs only itself; any other request contains no such run, and is no
//! longer than what the device was seen to answer, unless it is just one piece.
//!
//! # Why these are the fewest
//!
//! All rules are kept by any shorter part of a request that serves some of its pieces: it is no longer, crosses no other
//! gaps, and contains no other runs. Pieces that are asked for alone have no choice; of the others:
//!
//! First: no request is opened for a piece that an earlier request could have served. Say a request that starts at `s`
//! was closed, because `P` of the same island did not fit, and `Q` comes after `P` and would have fitted. If `Q` ended behind
//! `P`, the run up to the end of `Q` would hold the run up to the end of `P`, and break the rules as that does. So `Q` lies inside `P`, and joins the request that `P` opened. If that one is closed
//! too when `Q` comes, by a `P'`, the same holds of `P'`. So the count is the same as if
//! each request served all that it could.
//!
//! Then by exchange: let `P` be the unserved piece with the smallest start `s`. Any plan has a request `R` that serves
//! it. `R` starts at `s` or before. Every unserved piece that `R` serves starts at `s` or behind (`P` is the smallest), so
//! the run from `s` to its end is a part of `R` and keeps the rules: the request that is opened here serves it too. Replace `R` by it; the plan is no longer than before and serves no less. What is left
//! is the same problem with fewer pieces. ∎
//!
//! The tests hold the count against an exhaustive search over all possible requests.

use super::{
    memory::Memory,
    ranges::Readable,
    span::Span,
    table::{MAX_BITS, MAX_REGISTERS, Table},
};

/// What bounds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    max_registers: u16,
    max_bits: u16,
    /// How many addresses in a row that no span wants are read along to save a request.
    gap: u16,
}

impl Limits {
    /// Limits of a device. Maxima outside 1 to 125 registers and 1 to 2000 bits become the nearest of these.
    pub(super) fn new(max_registers: u16, max_bits: u16, gap: u16) -> Self {
        Self { max_registers: max_registers.clamp(1, MAX_REGISTERS), max_bits: max_bits.clamp(1, MAX_BITS), gap }
    }

    /// The most addresses of that table that one request asks for.
    pub(super) fn maximum(self, table: Table) -> u16 {
        if table.is_bits() { self.max_bits } else { self.max_registers }
    }
}

/// A run of addresses that is asked for as one, for the sake of the span with this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the spans that were planned for.
    pub(super) index: usize,
    /// The whole span, or the part of it that one request can ask for.
    pub(super) span: Span,
}

/// One request and the pieces that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// What is asked for: unit, table, first address, count.
    pub(super) span: Span,
    /// What is served by it, by first address; at least one.
    pub(super) pieces: Vec<Piece>,
}

impl Request {
    /// The two halves of what this request serves, for trying again what failed as a whole; none when it serves only
    /// one run of addresses, so that the failure is that run's own.
    pub(super) fn halves(&self) -> Option<(&[Piece], &[Piece])> {
        let first = self.pieces.first()?;
        let same = |piece: &Piece| piece.span == first.span;
        if self.pieces.iter().all(same) {
            return None;
        }
        // The same span wanted twice must not end up on both sides: it would be asked for twice.
        let middle = self.pieces.len().div_ceil(2);
        let at = self.pieces.get(middle)?.span;
        let left = self.pieces.iter().position(|piece| piece.span == at)?;
        let right = self.pieces.iter().rposition(|piece| piece.span == at)?;
        let cut = if left > 0 { left } else { right.saturating_add(1) };
        self.pieces.split_at_checked(cut)
    }
}

/// Cuts spans into pieces that one request each can ask for.
pub(super) fn pieces(spans: &[Span], limits: Limits) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        let maximum = limits.maximum(span.table());
        let mut address = span.address();
        let mut left = span.count();
        while left > 0 {
            let count = left.min(maximum);
            // Always sound: a part of a span is a span.
            if let Ok(span) = Span::new(span.unit(), span.table(), address, count) {
                pieces.push(Piece { index, span });
            }
            left = left.saturating_sub(count);
            address = address.saturating_add(count);
        }
    }
    pieces
}

/// The fewest requests for these pieces, by unit, table and address.
///
/// Pieces are those that [`pieces`] made with the same limits. Gaps are filled only inside `readable`; the pieces
/// themselves are taken as allowed.
pub(super) fn plan(pieces: &[Piece], readable: &Readable, limits: Limits, memory: &Memory) -> Vec<Request> {
    let mut sorted = pieces.to_vec();
    let place = |span: Span| (span.unit(), span.table(), span.address(), span.count());
    sorted.sort_by_key(|piece| (place(piece.span), piece.index));
    let (alone, shared): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|piece| memory.is_bad(piece.span));
    let same = |open: Span, next: Span| (open == next).then_some(open);
    let mut requests = gather(alone, same);
    requests.extend(gather(shared, |open, next| join(open, next, readable, limits, memory)));
    requests.sort_by_key(|request| place(request.span));
    requests
}

/// Puts each piece into the last request that was opened, if `join` allows it, else into one of its own.
fn gather(pieces: Vec<Piece>, join: impl Fn(Span, Span) -> Option<Span>) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for piece in pieces {
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

/// The run from the start of `open` to the end of both, if one request may ask for it. `next` starts at or behind the
/// start of `open`.
fn join(open: Span, next: Span, readable: &Readable, limits: Limits, memory: &Memory) -> Option<Span> {
    if (open.unit(), open.table()) != (next.unit(), next.table()) {
        return None;
    }
    let table = open.table();
    if next.last() <= open.last() {
        return Some(open);
    }
    let count = next.last().checked_sub(open.address())?.checked_add(1)?;
    let whole = Span::new(open.unit(), table, open.address(), count).ok()?;
    // A piece that starts with the open one and ends behind it is a piece like any other.
    if next == whole {
        return Some(whole);
    }
    if count > limits.maximum(table).min(memory.maximum(open.unit(), table)) || memory.is_bad(whole) {
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
