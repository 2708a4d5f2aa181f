//! The part of a read that is about one unit: what its answers, and its silence, mean.
//!
//! A request that gets an exception because of its addresses is halved until the bad spans are
//! known. A request that gets no reply can mean three things: the unit is dead, it ignores requests
//! for one of the addresses, or it ignores requests of this length. Each silence costs a timeout, so:
//!
//! 1. After each silence a *check* follows: a request that the unit answered before in this read, or
//!    else a single span. If that gets no reply either, the unit does not answer, and nothing more is
//!    sent to it. A unit that answered nothing in the last read is checked first of all, with another
//!    span each time, since the last one may have been one that the unit ignores.
//! 2. If the check is answered, the silence was about the addresses. A request for a single span has
//!    then failed. Another one is divided: not in halves, where each half with such an address costs
//!    a timeout again, but in about as many parts as these have spans, so that an address costs two
//!    timeouts at most; up to twelve spans are requested one by one.
//! 3. After [`MAX_SILENCES`] nothing more is sent to the unit in this read. What was found out by then
//!    is remembered in [`Learned`], and the next read continues there.
//!
//! Requests whose silence is likely are sent after all others.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{
    Learned, Piece, Request, RequestLimits,
    divided::{DividedRequests, End},
    plan,
    reading::Results,
};
use crate::{
    error::{NotSent, ReadError, RequestError},
    model::{ExceptionCode, Readable, Span, Unit, Words},
};

/// The maximum number of requests without a reply that are sent to a unit in one read, beside the
/// check that follows the last one.
pub(super) const MAX_SILENCES: u32 = 16;

/// What limits the requests of a read.
#[derive(Clone, Copy)]
pub(super) struct Planner<'a> {
    pub(super) readable: &'a Readable,
    pub(super) limits: RequestLimits,
}

impl Planner<'_> {
    fn plan(self, pieces: &[Piece], learned: &Learned) -> Vec<Request> {
        plan(pieces, self.readable, self.limits, learned)
    }

    /// The single request for these pieces, if that got no reply before; and whether it may be sent
    /// again.
    fn silent_request(self, pieces: &[Piece], learned: &Learned) -> Option<(Request, bool)> {
        let mut requests = self.plan(pieces, &Learned::default());
        let whole = requests.pop().filter(|_| requests.is_empty())?;
        let silence = learned.silence_within(whole.span)?;
        let is_whole = (whole.span.address(), whole.span.last()) == (silence.first, silence.last);
        is_whole.then_some((whole, silence.is_due))
    }
}

/// A request of the current round.
pub(super) struct Sent {
    request: Request,
    role: Role,
    /// Whether it is likely that it gets no reply.
    pub(super) is_doubtful: bool,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    /// One of the plan.
    Planned,
    /// A part of the divided request with this index.
    Part(usize),
    /// It got no reply in an earlier read.
    Retry,
    /// It only shows whether the unit answers.
    Check,
}

/// The part of a read that is about one unit.
pub(super) struct UnitReading<'a> {
    unit: Unit,
    planner: Planner<'a>,
    planned: Vec<Request>,
    parts: Vec<(Request, usize)>,
    retry: Option<Request>,
    divided: DividedRequests,
    /// Requests without a reply of which it is not known whether they or the unit are the cause.
    unexplained: Vec<(Sent, ReadError)>,
    /// A request that was answered in this read.
    answered: Option<Span>,
    /// Whether the unit is checked first of all.
    is_suspected: bool,
    /// Whether the current round is a check.
    is_checking: bool,
    /// The number of requests without a reply.
    silences: u32,
}

impl Sent {
    pub(super) fn span(&self) -> Span {
        self.request.span
    }

    /// It is not sent after all.
    pub(super) fn not_sent(&self, results: &mut Results<'_>, why: NotSent) {
        results.not_sent(&self.request.pieces, why);
    }
}

impl<'a> UnitReading<'a> {
    /// Plans the requests for the pieces, all of one unit. Pieces that got no reply before are not
    /// requested, except one for which it is time to try again.
    pub(super) fn new(
        unit: Unit,
        pieces: &[Piece],
        planner: Planner<'a>,
        learned: &Learned,
        results: &mut Results<'_>,
    ) -> Self {
        let mut reading = Self {
            unit,
            planner,
            planned: Vec::new(),
            parts: Vec::new(),
            retry: None,
            divided: DividedRequests::default(),
            unexplained: Vec::new(),
            answered: None,
            is_suspected: learned.silent_reads(unit) > 0,
            is_checking: false,
            silences: 0,
        };
        let (mut silent, mut usual) = (Vec::new(), Vec::with_capacity(pieces.len()));
        for piece in pieces {
            match learned.silence_within(piece.span) {
                Some(silence) => silent.push((*piece, silence)),
                None => usual.push(*piece),
            }
        }
        // The one that was requested longest ago.
        let due = silent.iter().filter(|(_, silence)| silence.is_due).min_by_key(|(_, silence)| silence.seen);
        let due = due.map(|(piece, _)| piece.span);
        for &(piece, _) in &silent {
            if due == Some(piece.span) {
                let retry = reading.retry.get_or_insert(Request { span: piece.span, pieces: Vec::new() });
                retry.pieces.push(piece);
            } else {
                results.not_sent(&[piece], NotSent::AddressSilent);
            }
        }
        let mut within_silence: BTreeMap<_, Vec<Piece>> = BTreeMap::new();
        usual.retain(|piece| {
            let is_open = results.is_open(piece.index);
            let silence = learned.silence_around(piece.span).filter(|_| is_open);
            if let Some(silence) = silence {
                within_silence.entry((piece.span.table(), silence)).or_default().push(*piece);
            }
            is_open && silence.is_none()
        });
        for (_, pieces) in within_silence {
            match planner.silent_request(&pieces, learned) {
                Some((whole, true)) if reading.retry.is_none() => reading.retry = Some(whole),
                Some((whole, _)) => {
                    let index = reading.divide(&whole, Role::Planned, true, learned);
                    // If a span has this range, the silence is about that.
                    if silent.iter().any(|(piece, _)| piece.span == whole.span) {
                        reading.divided.part_failed(index);
                    }
                }
                None => usual.extend(pieces),
            }
        }
        reading.planned = planner.plan(&usual, learned);
        reading.is_suspected &= reading.has_open();
        reading
    }

    /// Whether there is anything to send.
    fn has_open(&self) -> bool {
        !self.planned.is_empty() || !self.parts.is_empty() || self.retry.is_some()
    }

    /// The requests to send next.
    pub(super) fn next(&mut self, results: &mut Results<'_>, learned: &Learned) -> Vec<Sent> {
        let is_suspected = std::mem::take(&mut self.is_suspected);
        if is_suspected || !self.unexplained.is_empty() {
            self.is_checking = true;
            return Vec::from_iter(self.check(learned));
        }
        if self.silences >= MAX_SILENCES {
            self.drop_all(results, NotSent::TooManySilences);
        }
        if self.silences > 0 {
            self.plan_again(learned);
        }
        let planned = self.planned.drain(..).map(|request| Sent { request, role: Role::Planned, is_doubtful: false });
        let part =
            |(request, whole)| Sent { request, role: Role::Part(whole), is_doubtful: self.divided.was_silent(whole) };
        let mut round: Vec<_> = planned.chain(self.parts.drain(..).map(part)).collect();
        if round.is_empty() {
            round.extend(self.take_retry());
        }
        round
    }

    /// Plans with what was learned in this read.
    fn plan_again(&mut self, learned: &Learned) {
        let pieces = self.planned_pieces();
        self.planned = self.planner.plan(&pieces, learned);
        for (part, whole) in std::mem::take(&mut self.parts) {
            self.add_parts(whole, &part.pieces, learned);
            self.divided.part_ended(whole, End::Values);
        }
    }

    /// A request that shows whether the unit answers at all.
    fn check(&mut self, learned: &Learned) -> Option<Sent> {
        let check = |span| Sent { request: Request { span, pieces: Vec::new() }, role: Role::Check, is_doubtful: true };
        if let Some(span) = self.answered {
            return Some(check(span));
        }
        // The golden ratio spreads the choices of successive reads over all spans.
        let reads = usize::from(learned.silent_reads(self.unit));
        let choose = |count: usize| reads.wrapping_mul(40_503).wrapping_rem(1 << 16).wrapping_mul(count) >> 16;
        let mut pieces = self.planned_pieces();
        if let Some(chosen) = pieces.get(choose(pieces.len())).map(|piece| piece.span) {
            let pieces_of_chosen = pieces.extract_if(.., |piece| piece.span == chosen).collect();
            self.planned = self.planner.plan(&pieces, learned);
            let request = Request { span: chosen, pieces: pieces_of_chosen };
            return Some(Sent { request, role: Role::Planned, is_doubtful: true });
        }
        let spans = self.spans_of_parts();
        spans.get(choose(spans.len())).copied().map(check).or_else(|| self.take_retry())
    }

    fn planned_pieces(&mut self) -> Vec<Piece> {
        self.planned.drain(..).flat_map(|request| request.pieces).collect()
    }

    /// The spans of requests that were divided, or would be.
    fn spans_of_parts(&self) -> Vec<Span> {
        let unexplained = self.unexplained.iter().map(|(sent, _)| &sent.request);
        let shorter = unexplained.flat_map(|request| request.pieces.iter().filter(|piece| piece.span != request.span));
        let parts = self.parts.iter().flat_map(|(request, _)| &request.pieces);
        shorter.chain(parts).map(|piece| piece.span).collect()
    }

    fn take_retry(&mut self) -> Option<Sent> {
        self.retry.take().map(|request| Sent { request, role: Role::Retry, is_doubtful: true })
    }

    /// Processes the answers to the requests of a round, in the order in which they were sent. Returns
    /// the number of requests that were sent to the unit, if it became known that it answers nothing.
    pub(super) fn take(
        &mut self,
        round: Vec<(Sent, &Result<Words, RequestError>)>,
        results: &mut Results<'_>,
        learned: &mut Learned,
        now: Instant,
    ) -> Option<u32> {
        let mut is_dead = false;
        let was_checking = std::mem::take(&mut self.is_checking);
        let (mut answers, mut is_silent) = (false, false);
        for (sent, answer) in round {
            let span = sent.span();
            match answer {
                Ok(values) => {
                    answers = true;
                    // Any of its spans is good for a check.
                    self.answered = Some(sent.request.pieces.first().map_or(span, |piece| piece.span));
                    learned.answered(span);
                    results.succeeded(&sent.request, values);
                    self.part_ended(sent.role, End::Values);
                }
                Err(RequestError::Failed(ReadError::Exception(code))) => {
                    answers = true;
                    self.answered = Some(span);
                    learned.answered_exception(span);
                    self.take_exception(sent, *code, results, learned, now);
                }
                Err(RequestError::Failed(error)) => {
                    results.failed(&sent.request.pieces, error);
                    self.part_ended(sent.role, End::Failed);
                }
                Err(RequestError::NoReply(error)) => {
                    is_silent = true;
                    self.silences = self.silences.saturating_add(1);
                    self.unexplained.push((sent, error.clone()));
                }
                Err(RequestError::Skipped) => self.put_back(sent),
            }
        }
        if answers {
            learned.unit_answered(self.unit);
        }
        if was_checking && answers {
            self.explain(results, learned, now);
        } else if was_checking && !is_silent {
            // The check failed for another reason.
            self.leave_unexplained(results);
        } else if was_checking || !self.can_check() {
            learned.unit_was_silent(self.unit);
            is_dead = self.answered.is_none();
            self.leave_unexplained(results);
            self.drop_all(results, NotSent::UnitSilent);
        }
        self.divided.learn(learned, now);
        is_dead.then_some(self.silences)
    }

    fn take_exception(
        &mut self,
        sent: Sent,
        code: ExceptionCode,
        results: &mut Results<'_>,
        learned: &mut Learned,
        now: Instant,
    ) {
        let Sent { request, role, .. } = sent;
        if matches!(role, Role::Check) {
            return;
        }
        if code.blames_addresses() && request.halves().is_some() {
            self.divide(&request, role, false, learned);
            return;
        }
        if code.blames_addresses() {
            learned.failed_alone(request.span, now);
        }
        results.failed(&request.pieces, &ReadError::Exception(code));
        self.part_ended(role, End::Exception);
    }

    /// Whether there is a request that shows whether the unit answers, if that is in question.
    fn can_check(&self) -> bool {
        self.unexplained.is_empty() || self.answered.is_some() || self.has_open() || !self.spans_of_parts().is_empty()
    }

    fn put_back(&mut self, sent: Sent) {
        match sent.role {
            Role::Planned => self.planned.push(sent.request),
            Role::Part(whole) => self.parts.push((sent.request, whole)),
            Role::Retry => self.retry = Some(sent.request),
            Role::Check => {}
        }
    }

    /// The unit answers: what got no reply did so because of its addresses.
    fn explain(&mut self, results: &mut Results<'_>, learned: &mut Learned, now: Instant) {
        for (sent, error) in std::mem::take(&mut self.unexplained) {
            let Sent { mut request, role, .. } = sent;
            learned.was_silent(request.span, now);
            // Pieces of the whole range have failed; shorter ones may succeed.
            let whole = request.span;
            let failed: Vec<_> = request.pieces.extract_if(.., |piece| piece.span == whole).collect();
            results.failed(&failed, &error);
            if request.pieces.is_empty() {
                self.part_ended(role, End::Failed);
            } else {
                let whole = self.divide(&request, role, true, learned);
                if !failed.is_empty() {
                    self.divided.part_failed(whole);
                }
            }
        }
    }

    /// Nothing more is sent, because the deadline is near.
    pub(super) fn stop(&mut self, results: &mut Results<'_>) {
        self.leave_unexplained(results);
        self.drop_all(results, NotSent::Deadline);
    }

    /// It stays unknown why requests got no reply.
    fn leave_unexplained(&mut self, results: &mut Results<'_>) {
        for (sent, error) in std::mem::take(&mut self.unexplained) {
            results.failed(&sent.request.pieces, &error);
            self.part_ended(sent.role, End::Failed);
        }
    }

    /// Sends none of the requests that are open.
    fn drop_all(&mut self, results: &mut Results<'_>, why: NotSent) {
        let parts = self.parts.drain(..).map(|(request, _)| request);
        for request in self.planned.drain(..).chain(parts).chain(self.retry.take()) {
            results.not_sent(&request.pieces, why);
        }
    }

    /// Sends a request that failed once more, in parts. Returns its index.
    fn divide(&mut self, request: &Request, role: Role, was_silent: bool, learned: &Learned) -> usize {
        let parts = if was_silent {
            request.parts()
        } else {
            request.halves().map_or_else(Vec::new, |(left, right)| vec![left, right])
        };
        let whole = self.divided.add(request.span, was_silent);
        for part in parts {
            let is_silent =
                |(request, _): &(Request, bool)| request.pieces.iter().all(|piece| piece.span != request.span);
            match self.planner.silent_request(part, learned).filter(is_silent) {
                Some((request, _)) => {
                    self.divided.parts_begin(whole, 1);
                    self.divide(&request, Role::Part(whole), true, learned);
                }
                None => self.add_parts(whole, part, learned),
            }
        }
        self.part_ended(role, if was_silent { End::Failed } else { End::Exception });
        whole
    }

    /// Adds the requests for these pieces to a divided request.
    fn add_parts(&mut self, whole: usize, pieces: &[Piece], learned: &Learned) {
        let requests = self.planner.plan(pieces, learned);
        self.divided.parts_begin(whole, requests.len());
        self.parts.extend(requests.into_iter().map(|request| (request, whole)));
    }

    fn part_ended(&mut self, role: Role, end: End) {
        if let Role::Part(whole) = role {
            self.divided.part_ended(whole, end);
        }
    }
}

#[cfg(test)]
#[path = "tests/silence.rs"]
mod tests;
