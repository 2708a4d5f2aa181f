//! One read, from spans to results, apart from asking: which requests go out next, and what their answers mean.
//!
//! Pure but for what is learned on the way: nothing here waits or talks, so the tests play the device.

use tokio::time::Instant;

use super::{
    error::ReadError,
    memory::Memory,
    plan::{self, Limits, Piece, Request},
    ranges::Readable,
    span::{Span, Words},
    table::ExceptionCode,
};

/// A read that is under way.
pub(super) struct Reading<'a> {
    spans: &'a [Span],
    readable: &'a Readable,
    limits: Limits,
    results: Vec<Result<Words, ReadError>>,
    /// What is asked next, each with the request that failed before and of which it is a part.
    open: Vec<(Request, Option<usize>)>,
    /// Requests that failed and were halved.
    halved: Vec<Halved>,
}

struct Halved {
    span: Span,
    part_of: Option<usize>,
    /// Whether some part of it failed.
    spoiled: bool,
}

impl<'a> Reading<'a> {
    /// Plans the read. Spans outside `readable`, and those that `refuse` has an error for, fail without being asked for.
    pub(super) fn new(
        spans: &'a [Span],
        readable: &'a Readable,
        limits: Limits,
        memory: &Memory,
        refuse: impl Fn(&Span) -> bool,
    ) -> Self {
        let results: Vec<_> = spans
            .iter()
            .map(|span| {
                let allowed = readable.contains(span) && !refuse(span);
                allowed.then(|| Words::blank(*span)).ok_or(ReadError::Denied(*span))
            })
            .collect();
        let mut pieces = plan::pieces(spans, limits);
        pieces.retain(|piece| results.get(piece.index).is_some_and(Result::is_ok));
        let open = plan::plan(&pieces, readable, limits, memory).into_iter().map(|request| (request, None)).collect();
        Self { spans, readable, limits, results, open, halved: Vec::new() }
    }

    /// What is to be asked now; nothing when the read is done.
    pub(super) fn requests(&self) -> Vec<Span> {
        self.open.iter().map(|(request, _)| request.span).collect()
    }

    /// Takes the answers to [`Reading::requests`], in order.
    pub(super) fn take(&mut self, answers: &[Result<Words, ReadError>], memory: &mut Memory, now: Instant) {
        let asked = std::mem::take(&mut self.open);
        let silent: Vec<_> =
            asked.iter().zip(answers).filter_map(|((request, _), answer)| silence(request, answer)).collect();
        for ((request, part_of), answer) in asked.iter().zip(answers) {
            let failed = matches!(answer, Err(ReadError::Exception(code)) if code.blames_addresses());
            let Some((left, right)) = request.halves().filter(|_| failed) else {
                match answer {
                    Ok(_) => memory.answered(request.span),
                    Err(_) if failed => memory.failed_alone(request.span, now),
                    Err(_) => {}
                }
                self.settle(request, *part_of, answer);
                continue;
            };
            let whole = self.halved.len();
            self.halved.push(Halved { span: request.span, part_of: *part_of, spoiled: false });
            for half in
                [left, right].map(|half| plan::plan(half, self.readable, self.limits, memory)).into_iter().flatten()
            {
                match silent.iter().find(|(unit, _)| *unit == half.span.unit()) {
                    Some((_, error)) => self.settle(&half, Some(whole), &Err(error.clone())),
                    None => self.open.push((half, Some(whole))),
                }
            }
        }
        if self.open.is_empty() {
            let mut sound: Vec<_> =
                self.halved.iter().filter(|halved| !halved.spoiled).map(|halved| halved.span).collect();
            // The shortest says the most.
            sound.sort_by_key(Span::count);
            for span in sound {
                memory.failed_together(span, now);
            }
        }
    }

    /// One result for each span.
    pub(super) fn finish(self) -> Vec<Result<Words, ReadError>> {
        self.results
    }

    /// Gives each span that the request serves its part of the answer.
    fn settle(&mut self, request: &Request, part_of: Option<usize>, answer: &Result<Words, ReadError>) {
        if answer.is_err() {
            let mut next = part_of;
            while let Some(halved) = next.and_then(|place| self.halved.get_mut(place)) {
                halved.spoiled = true;
                next = halved.part_of;
            }
        }
        for Piece { index, span: piece } in &request.pieces {
            let (Some(result), Some(span)) = (self.results.get_mut(*index), self.spans.get(*index)) else {
                continue;
            };
            // The first failure of a span stays.
            let Ok(words) = result else { continue };
            let failure = match answer {
                Err(error) => Some(error.clone()),
                Ok(values) => {
                    let at = piece.address().saturating_sub(span.address());
                    let offset = piece.address().saturating_sub(request.span.address());
                    let copied = words.copy(at.into(), values, offset.into(), piece.count().into());
                    (!copied).then(|| ReadError::Protocol("the reply lacks values".to_owned()))
                }
            };
            if let Some(error) = failure {
                *result = Err(error);
            }
        }
    }
}

/// The unit that fell silent with this answer, if it did.
fn silence(request: &Request, answer: &Result<Words, ReadError>) -> Option<(u8, ReadError)> {
    match answer {
        Err(
            error @ (ReadError::Timeout(_)
            | ReadError::Connection(_)
            | ReadError::Exception(ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND)),
        ) => Some((request.span.unit(), error.clone())),
        _ => None,
    }
}
