//! The state of one read, from spans to results: which requests to send next, and what their
//! replies mean.
//!
//! Nothing here waits or does I/O, so that tests can play the device.

use std::collections::BTreeMap;

use pattoo_base::invariant;
use tokio::time::Instant;

use super::{
    Learned, Piece, Request, RequestLimits, pieces,
    unit::{Planner, Sent, UnitReading},
};
use crate::{
    error::{NotSent, ReadError, RequestError},
    model::{Readable, Span, Unit, Words},
};

/// A read in progress.
pub(crate) struct Reading<'a> {
    results: Results<'a>,
    units: BTreeMap<Unit, UnitReading<'a>>,
    /// The requests of the current round; those that are likely to get no reply are the last.
    round: Vec<Sent>,
}

/// The results of a read.
pub(super) struct Results<'a> {
    spans: &'a [Span],
    results: Vec<Result<Words, ReadError>>,
}

impl<'a> Reading<'a> {
    /// Plans the read. Spans outside `readable`, and those that `refuse` rejects, fail without a
    /// request.
    pub(crate) fn new(
        spans: &'a [Span],
        readable: &'a Readable,
        limits: RequestLimits,
        learned: &Learned,
        refuse: impl Fn(&Span) -> bool,
    ) -> Self {
        let results: Vec<_> = spans
            .iter()
            .map(|span| {
                let allowed = readable.contains(span) && !refuse(span);
                allowed.then(|| Words::zeroed(*span)).ok_or(ReadError::Denied(*span))
            })
            .collect();
        let mut pieces = pieces(spans, limits);
        pieces.retain(|piece| results.get(piece.index).is_some_and(Result::is_ok));
        pieces.sort_by_key(|piece| piece.span.unit());
        let mut results = Results { spans, results };
        let planner = Planner { readable, limits };
        let of_one_unit = pieces.chunk_by(|one, other| one.span.unit() == other.span.unit());
        let units = of_one_unit.filter_map(|pieces| {
            let unit = pieces.first()?.span.unit();
            Some((unit, UnitReading::new(unit, pieces, planner, learned, &mut results)))
        });
        let units = units.collect();
        let mut reading = Self { results, units, round: Vec::new() };
        reading.begin_round(learned);
        reading
    }

    /// The requests to send now; none when the read is complete.
    pub(crate) fn requests(&self) -> Vec<Span> {
        self.round.iter().map(Sent::span).collect()
    }

    /// Processes the replies to [`Reading::requests`], in order. Returns the units of which they show
    /// that they answer nothing, each with the number of requests that were sent to it.
    pub(crate) fn take(
        &mut self,
        answers: &[Result<Words, RequestError>],
        learned: &mut Learned,
        now: Instant,
    ) -> Vec<(Unit, u32)> {
        let mut by_unit: BTreeMap<Unit, Vec<_>> = BTreeMap::new();
        for (sent, answer) in std::mem::take(&mut self.round).into_iter().zip(answers) {
            by_unit.entry(sent.span().unit()).or_default().push((sent, answer));
        }
        let mut silent = Vec::new();
        for (unit, answers) in by_unit {
            if let Some(reading) = self.units.get_mut(&unit) {
                let requests = reading.take(answers, &mut self.results, learned, now);
                silent.extend(requests.map(|requests| (unit, requests)));
            }
        }
        self.begin_round(learned);
        silent
    }

    fn begin_round(&mut self, learned: &Learned) {
        for unit in self.units.values_mut() {
            self.round.extend(unit.next(&mut self.results, learned));
        }
        self.round.sort_by_key(|sent| sent.is_doubtful);
    }

    /// One result for each span, at the deadline: nothing more is sent.
    pub(crate) fn stop(mut self) -> Vec<Result<Words, ReadError>> {
        for sent in self.round.drain(..) {
            sent.not_sent(&mut self.results, NotSent::Deadline);
        }
        for unit in self.units.values_mut() {
            unit.stop(&mut self.results);
        }
        self.finish()
    }

    /// One result for each span.
    pub(crate) fn finish(self) -> Vec<Result<Words, ReadError>> {
        self.results.results
    }
}

impl Results<'_> {
    /// Nothing is sent for the pieces.
    pub(super) fn not_sent(&mut self, pieces: &[Piece], why: NotSent) {
        for piece in pieces {
            self.fail(piece.index, &ReadError::NotSent(why));
        }
    }

    /// The pieces fail with the error of their request.
    pub(super) fn failed(&mut self, pieces: &[Piece], error: &ReadError) {
        for piece in pieces {
            self.fail(piece.index, error);
        }
    }

    /// A span keeps its first failure.
    fn fail(&mut self, index: usize, error: &ReadError) {
        if let Some(result @ Ok(_)) = self.results.get_mut(index) {
            *result = Err(error.clone());
        }
    }

    /// Whether the span with this index has not failed.
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.results.get(index).is_some_and(Result::is_ok)
    }

    /// Copies the part of a reply that belongs to each piece of the request into the result of its
    /// span.
    pub(super) fn succeeded(&mut self, request: &Request, values: &Words) {
        for Piece { index, span: piece } in &request.pieces {
            let (Some(Ok(words)), Some(span)) = (self.results.get_mut(*index), self.spans.get(*index)) else {
                continue;
            };
            let at = piece.address().saturating_sub(span.address());
            let offset = piece.address().saturating_sub(request.span.address());
            if !words.copy(at.into(), values, offset.into(), piece.count().into()) {
                let what = "the reply has too few values";
                invariant::broken(what);
                self.fail(*index, &ReadError::Protocol(what.to_owned()));
            }
        }
    }
}
