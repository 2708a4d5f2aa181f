//! The state of one read, from spans to results: which requests to send next, and what their
//! replies mean.
//!
//! Nothing here waits or does I/O, so that tests can play the device.

use pattoo_base::invariant;
use tokio::time::Instant;

use super::{Learned, Piece, Request, RequestLimits, pieces, plan};
use crate::{
    error::ReadError,
    model::{ExceptionCode, Readable, Span, Unit, Words},
};

/// A read in progress.
pub(crate) struct Reading<'a> {
    spans: &'a [Span],
    readable: &'a Readable,
    limits: RequestLimits,
    results: Vec<Result<Words, ReadError>>,
    /// The requests to send next, each with the index in `halved` of the failed request that it is
    /// a part of.
    open: Vec<(Request, Option<usize>)>,
    /// Requests that failed and were split in two.
    halved: Vec<Halved>,
}

struct Halved {
    span: Span,
    part_of: Option<usize>,
    /// Whether a part of it failed.
    has_failed_part: bool,
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
        let open = plan(&pieces, readable, limits, learned).into_iter().map(|request| (request, None)).collect();
        Self { spans, readable, limits, results, open, halved: Vec::new() }
    }

    /// The requests to send now; none when the read is complete.
    pub(crate) fn requests(&self) -> Vec<Span> {
        self.open.iter().map(|(request, _)| request.span).collect()
    }

    /// Processes the replies to [`Reading::requests`], in order.
    pub(crate) fn take(&mut self, answers: &[Result<Words, ReadError>], learned: &mut Learned, now: Instant) {
        let sent = std::mem::take(&mut self.open);
        let silent: Vec<_> =
            sent.iter().zip(answers).filter_map(|((request, _), answer)| silent_unit(request, answer)).collect();
        for ((request, part_of), answer) in sent.iter().zip(answers) {
            let failed = matches!(answer, Err(ReadError::Exception(code)) if code.blames_addresses());
            let Some((left, right)) = request.halves().filter(|_| failed) else {
                match answer {
                    Ok(_) => learned.answered(request.span),
                    Err(_) if failed => learned.failed_alone(request.span, now),
                    Err(_) => {}
                }
                self.settle(request, *part_of, answer);
                continue;
            };
            let whole = self.halved.len();
            self.halved.push(Halved { span: request.span, part_of: *part_of, has_failed_part: false });
            for half in [left, right].map(|half| plan(half, self.readable, self.limits, learned)).into_iter().flatten()
            {
                match silent.iter().find(|(unit, _)| *unit == half.span.unit()) {
                    Some((_, error)) => self.settle(&half, Some(whole), &Err(error.clone())),
                    None => self.open.push((half, Some(whole))),
                }
            }
        }
        if self.open.is_empty() {
            let mut intact: Vec<_> =
                self.halved.iter().filter(|halved| !halved.has_failed_part).map(|halved| halved.span).collect();
            // The shortest is the most precise.
            intact.sort_by_key(Span::count);
            for span in intact {
                learned.failed_together(span, now);
            }
        }
    }

    /// One result for each span.
    pub(crate) fn finish(self) -> Vec<Result<Words, ReadError>> {
        self.results
    }

    /// Copies the part of a reply that belongs to each piece of the request into the result of its
    /// span.
    fn settle(&mut self, request: &Request, part_of: Option<usize>, answer: &Result<Words, ReadError>) {
        if answer.is_err() {
            let mut next = part_of;
            while let Some(halved) = next.and_then(|place| self.halved.get_mut(place)) {
                halved.has_failed_part = true;
                next = halved.part_of;
            }
        }
        for Piece { index, span: piece } in &request.pieces {
            let (Some(result), Some(span)) = (self.results.get_mut(*index), self.spans.get(*index)) else {
                continue;
            };
            // A span keeps its first failure.
            let Ok(words) = result else { continue };
            let failure = match answer {
                Err(error) => Some(error.clone()),
                Ok(values) => {
                    let at = piece.address().saturating_sub(span.address());
                    let offset = piece.address().saturating_sub(request.span.address());
                    let copied = words.copy(at.into(), values, offset.into(), piece.count().into());
                    (!copied).then(|| {
                        let what = "the reply has too few values";
                        invariant::broken(what);
                        ReadError::Protocol(what.to_owned())
                    })
                }
            };
            if let Some(error) = failure {
                *result = Err(error);
            }
        }
    }
}

/// The unit that fell silent with this answer, if it did.
fn silent_unit(request: &Request, answer: &Result<Words, ReadError>) -> Option<(Unit, ReadError)> {
    match answer {
        Err(
            error @ (ReadError::Timeout(_)
            | ReadError::Connection(_)
            | ReadError::Exception(ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND)),
        ) => Some((request.span.unit(), error.clone())),
        _ => None,
    }
}
