//! When each queue has its turn: a state machine that knows the time only from its caller.
//!
//! *Whom does an answer concern?* An answer that is no success can concern the payload or all of them: a firewall answers 403 to
//! a text that it dislikes, a proxy answers 502 when a payload makes the server behind it fail, a server that is busy answers 503
//! to all. One answer does not tell, so another queue asks: when an output gives a doubtful answer it is *in doubt*, and its
//! queues have their turns one at a time ([`super::doubtful_answers`]). As soon as it accepts a payload of another queue the
//! doubt is over, and the queues that it refused back off on their own. While the others get the same answer, the output is left
//! alone for longer and longer. Where no connection can be made there is no doubt: nothing of a payload was seen. Where an answer does
//! not come within a second, the next queue asks beside. So whatever some queues are answered, and whatever `Retry-After` comes
//! with it, queues without a problem are held up for moments.
//!
//! *Slots.* A queue has one turn at a time, and a turn ends after some payloads or seconds. Queues that are slow, or that have
//! problems, leave a part of their output's slots to the others. Outputs share nothing: whatever one of them does, the queues
//! of the others have their turns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use pattoo_base::backoff::doubled;
use pattoo_spool::{OutputId, QueueId};

use super::{
    doubtful_answers::{InDoubt, later},
    turn::{Concern, Doubt, End, Turn},
};

/// Waiting doubles with each failure from here.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest that an output which does not accept our credentials is left alone: its answer changes when a person changes
/// something.
const UNAUTHORISED_LONGEST: Duration = Duration::from_mins(1);
/// The longest that queues without an answer wait for an output that refused others.
const FRESH_LONGEST: Duration = Duration::from_secs(10);
/// How long a queue's last doubtful answer is remembered.
const RECORD: Duration = Duration::from_hours(1);
/// What a suspect weighs that had no doubtful answer in [`RECORD`]. Another one weighs 1.
const CLEAN: u32 = 4;
/// How many suspects without earlier doubtful answers it takes at least, and at most, for an answer to count as the output's:
/// half of the queues of which it accepted something in [`RECENT`] or that have something for it. With fewer, some agents could
/// agree to have all others wait.
const MIN_SUSPECTS: usize = 2;
const MAX_SUSPECTS: usize = 32;
const RECENT: Duration = Duration::from_mins(10);
/// How long a queue that another process sends from is left alone.
const LOCKED_WAIT: Duration = Duration::from_millis(500);

/// A random number below 1, which spreads waiting queues out.
pub(super) type Jitter = fn() -> f64;

/// All queues that have something, and when each may have its turn.
#[derive(Debug)]
pub(super) struct QueueScheduler {
    jitter: Jitter,
    longest_wait: Duration,
    slow_slots: usize,
    outputs: BTreeMap<OutputId, OutputQueues>,
}

impl QueueScheduler {
    /// No output is left alone for longer than `longest_wait`, whatever it asks for.
    pub(super) fn new(jitter: Jitter, longest_wait: Duration) -> Self {
        Self { jitter, longest_wait, slow_slots: usize::MAX, outputs: BTreeMap::new() }
    }

    /// Where each output has so many turns at a time: a quarter of them is for queues that are neither slow nor have problems.
    pub(super) fn with_slots(mut self, slots: usize) -> Self {
        self.slow_slots = slots.saturating_sub(slots.div_euclid(4)).max(1);
        self
    }

    /// A queue has got something.
    pub(super) fn offer(&mut self, queue: QueueId) {
        self.output(&queue.output).offer(queue);
    }

    /// The queue whose turn it is. It is busy until [`ended`](Self::ended).
    #[cfg(test)]
    pub(super) fn next(&mut self, now: Instant) -> Option<QueueId> {
        self.next_of(now, |_| true)
    }

    /// The same among the outputs that have a slot.
    pub(super) fn next_of(&mut self, now: Instant, has_slot: impl Fn(&OutputId) -> bool) -> Option<QueueId> {
        self.outputs.iter_mut().filter(|(id, _)| has_slot(id)).find_map(|(_, queues)| queues.next(now))
    }

    /// Whatever waits has its turn at once, as if nothing had failed before.
    pub(super) fn retry_now(&mut self) {
        self.outputs.values_mut().for_each(OutputQueues::retry_now);
    }

    /// A queue had its turn. Returns whom its last answer concerns.
    pub(super) fn ended(&mut self, queue: QueueId, turn: &Turn, now: Instant) -> Concern {
        self.output(&queue.output).ended(queue, turn, now)
    }

    /// When [`next`](Self::next) may have something that it does not have now.
    #[cfg(test)]
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at_of(|_| true)
    }

    /// The same for the outputs that have a slot.
    pub(super) fn wake_at_of(&self, has_slot: impl Fn(&OutputId) -> bool) -> Option<Instant> {
        self.outputs.iter().filter(|(id, _)| has_slot(id)).filter_map(|(_, queues)| queues.wake_at()).min()
    }

    fn output(&mut self, id: &OutputId) -> &mut OutputQueues {
        let (jitter, longest_wait, slow_slots) = (self.jitter, self.longest_wait, self.slow_slots);
        self.outputs.entry(id.clone()).or_insert_with(|| OutputQueues::new(jitter, longest_wait, slow_slots))
    }
}

/// The queues of one output.
#[derive(Debug)]
struct OutputQueues {
    jitter: Jitter,
    longest_wait: Duration,
    /// How many turns of slow queues there may be at a time.
    slow_slots: usize,
    slow_turns: usize,
    ready: VecDeque<QueueId>,
    /// Slow ones that wait for a turn of another slow one to end.
    held_back: VecDeque<QueueId>,
    delayed: BTreeSet<(Instant, QueueId)>,
    known: HashMap<QueueId, State>,
    /// Those for whose last payloads the output took long.
    slow: HashSet<QueueId>,
    /// When queues last had a doubtful answer.
    records: HashMap<QueueId, Instant>,
    /// When something of queues was last accepted.
    accepted: HashMap<QueueId, Instant>,
    doubt: Option<InDoubt>,
    tickets: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Something came since its turn began.
    again: bool,
    /// In a row, while others were accepted.
    failures: u32,
    /// Its turn counts as one of a slow queue.
    takes_slow_slot: bool,
    /// Somebody asked for an attempt since its turn began.
    retry: bool,
}

impl OutputQueues {
    fn new(jitter: Jitter, longest_wait: Duration, slow_slots: usize) -> Self {
        Self {
            jitter,
            longest_wait,
            slow_slots,
            slow_turns: 0,
            ready: VecDeque::new(),
            held_back: VecDeque::new(),
            delayed: BTreeSet::new(),
            known: HashMap::new(),
            slow: HashSet::new(),
            records: HashMap::new(),
            accepted: HashMap::new(),
            doubt: None,
            tickets: 0,
        }
    }

    fn offer(&mut self, queue: QueueId) {
        if let Some(state) = self.known.get_mut(&queue) {
            state.again = true;
        } else {
            self.known.insert(queue.clone(), State::default());
            self.ready.push_back(queue);
        }
    }

    fn retry_now(&mut self) {
        let delayed = std::mem::take(&mut self.delayed);
        self.ready.extend(delayed.into_iter().map(|(_, queue)| queue));
        if let Some(doubt) = self.doubt.take() {
            self.ready.extend(doubt.fresh.into_iter().map(|(_, _, queue)| queue));
            self.ready.extend(doubt.waiting);
        }
        for state in self.known.values_mut() {
            state.failures = 0;
            state.retry = true;
        }
    }

    fn next(&mut self, now: Instant) -> Option<QueueId> {
        while let Some((due, queue)) = self.delayed.pop_first() {
            if due > now {
                self.delayed.insert((due, queue));
                break;
            }
            self.ready.push_back(queue);
        }
        let queue = self.asks(now).or_else(|| self.free()).or_else(|| self.asks(now))?;
        let takes_slow_slot = self.is_slow(&queue);
        self.slow_turns = self.slow_turns.saturating_add(usize::from(takes_slow_slot));
        let state = self.known.entry(queue.clone()).or_default();
        *state = State { again: false, takes_slow_slot, retry: false, failures: state.failures };
        Some(queue)
    }

    /// Whether its turn may be a long one.
    fn is_slow(&self, queue: &QueueId) -> bool {
        self.slow.contains(queue) || self.known.get(queue).is_some_and(|state| state.failures > 0)
    }

    /// The queue that asks an output in doubt.
    fn asks(&mut self, now: Instant) -> Option<QueueId> {
        self.doubt.as_mut()?.next(now)
    }

    /// The next queue, if the output is not in doubt. If it is, the queues wait until it may be asked.
    fn free(&mut self) -> Option<QueueId> {
        while let Some(queue) = self.ready.pop_front() {
            if let Some(doubt) = &mut self.doubt {
                if doubt.suspects.contains(&queue) {
                    doubt.waiting.push_back(queue);
                } else {
                    self.tickets = self.tickets.saturating_add(1);
                    doubt.fresh.insert((self.records.get(&queue).copied(), self.tickets, queue));
                }
                continue;
            }
            if self.slow_turns >= self.slow_slots && self.is_slow(&queue) {
                self.held_back.push_back(queue);
                continue;
            }
            return Some(queue);
        }
        None
    }

    fn ended(&mut self, queue: QueueId, turn: &Turn, now: Instant) -> Concern {
        let (jitter, longest) = (self.jitter, self.longest_wait);
        let wait = |failures, retry_after| wait(failures, retry_after, longest, jitter);
        let state = self.known.entry(queue.clone()).or_default();
        if std::mem::take(&mut state.takes_slow_slot) {
            self.slow_turns = self.slow_turns.saturating_sub(1);
            self.ready.extend(self.held_back.pop_front());
        }
        if turn.accepted {
            state.failures = 0;
        }
        match turn.slow {
            Some(true) => _ = self.slow.insert(queue.clone()),
            Some(false) => _ = self.slow.remove(&queue),
            None => {}
        }
        if turn.accepted || matches!(turn.end, End::Refused { .. }) {
            self.answers(&queue, now);
        } else if let Some(doubt) = &mut self.doubt
            && !matches!(turn.end, End::Doubtful { .. } | End::Unavailable { .. })
        {
            // If it was to ask, it asked nothing.
            doubt.asking.remove(&queue);
        }
        let state = self.known.entry(queue.clone()).or_default();
        if std::mem::take(&mut state.retry) && turn.end.problem().is_some() {
            // The answer may be to what was sent before somebody repaired something.
            self.ready.push_back(queue);
            return Concern::Payload;
        }
        match &turn.end {
            End::Empty => {
                let again = state.again;
                self.known.remove(&queue);
                if again {
                    self.offer(queue);
                }
            }
            End::More => self.ready.push_back(queue),
            End::Locked => {
                self.delayed.insert((later(now, LOCKED_WAIT), queue));
            }
            End::Refused { retry_after, .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, *retry_after);
                self.delayed.insert((later(now, wait), queue));
            }
            End::Failed { .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, None);
                self.delayed.insert((later(now, wait), queue));
            }
            End::Unavailable { .. } => {
                let doubt = self.suspect(&queue, None, None, now);
                doubt.waiting.push_back(queue);
                return Concern::Output;
            }
            End::Doubtful { what, retry_after, .. } => {
                let wait = wait(state.failures.saturating_add(1), *retry_after).min(longest_of(*what, longest));
                self.suspect(&queue, Some(*what), *retry_after, now);
                let alone = !self.known.keys().any(|other| *other != queue);
                self.delayed.insert((later(now, wait), queue));
                let enough = self.enough(now);
                let outputs = self.doubt.as_ref().is_some_and(|doubt| doubt.is_outputs(enough));
                return if outputs || alone { Concern::Output } else { Concern::Payload };
            }
        }
        Concern::Payload
    }

    fn wake_at(&self) -> Option<Instant> {
        let doubt = self.doubt.as_ref().and_then(InDoubt::wake_at);
        self.delayed.first().map(|(due, _)| *due).into_iter().chain(doubt).min()
    }

    /// The output gave a queue a doubtful answer; none if it cannot be reached.
    fn suspect(
        &mut self,
        queue: &QueueId,
        what: Option<Doubt>,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> &mut InDoubt {
        let enough = self.enough(now);
        let clean = self.records.get(queue).is_none_or(|last| now.saturating_duration_since(*last) > RECORD);
        if what.is_some() {
            self.records.insert(queue.clone(), now);
        }
        let doubt = self.doubt.get_or_insert_with(|| InDoubt::new(now));
        let asked = doubt.asking.remove(queue);
        doubt.unreachable |= what.is_none();
        let is_fresh = doubt.suspects.insert(queue.clone());
        if is_fresh {
            doubt.weight = doubt.weight.saturating_add(if clean { CLEAN } else { 1 });
        }
        let longest = what.map_or(self.longest_wait, |what| longest_of(what, self.longest_wait));
        // Of those whose turns ran together, the first counts.
        if asked || doubt.rounds == 0 {
            doubt.rounds = doubt.rounds.saturating_add(1);
            doubt.suspects_at = later(now, wait(doubt.rounds, retry_after, longest, self.jitter));
        }
        if doubt.unreachable {
            doubt.fresh_at = doubt.suspects_at;
        } else if doubt.is_outputs(enough) && is_fresh && (asked || doubt.fresh_rounds == 0) {
            doubt.fresh_rounds = doubt.fresh_rounds.saturating_add(1);
            let wait = wait(doubt.fresh_rounds, retry_after, longest, self.jitter).min(FRESH_LONGEST);
            doubt.fresh_at = later(now, wait);
        }
        doubt
    }

    /// How much the suspects have to weigh for an answer to count as the output's.
    fn enough(&self, now: Instant) -> u32 {
        let is_recent = |at: &&Instant| now.saturating_duration_since(**at) <= RECENT;
        let queues = self.accepted.values().filter(is_recent).count().max(self.known.len());
        let suspects = queues.div_euclid(2).clamp(MIN_SUSPECTS, MAX_SUSPECTS);
        u32::try_from(suspects).unwrap_or(u32::MAX).saturating_mul(CLEAN)
    }

    /// The output accepted a payload of this queue, or refused that one in particular: the doubt is over.
    fn answers(&mut self, by: &QueueId, now: Instant) {
        match self.accepted.get_mut(by) {
            Some(at) => *at = now,
            None => _ = self.accepted.insert(by.clone(), now),
        }
        let Some(doubt) = self.doubt.take() else { return };
        self.records.retain(|_, last| now.saturating_duration_since(*last) <= RECORD);
        self.accepted.retain(|_, last| now.saturating_duration_since(*last) <= RECENT);
        for queue in doubt.suspects.iter().filter(|queue| *queue != by) {
            // What others were accepted with, these were refused with.
            if let Some(state) = self.known.get_mut(queue).filter(|_| !doubt.unreachable) {
                state.failures = state.failures.saturating_add(1);
            }
        }
        self.ready.extend(doubt.fresh.into_iter().map(|(_, _, queue)| queue));
        // These have backed off already.
        self.ready.extend(doubt.waiting);
    }
}

/// The longest wait after a doubtful answer.
fn longest_of(what: Doubt, longest: Duration) -> Duration {
    match what {
        Doubt::Unauthorised => longest.min(UNAUTHORISED_LONGEST),
        Doubt::Busy => longest,
    }
}

/// Full jitter: anything from nothing to a bound that doubles; but never less than the output asked for, within the longest
/// wait.
pub(super) fn wait(failures: u32, retry_after: Option<Duration>, longest: Duration, jitter: Jitter) -> Duration {
    let bound = doubled(FIRST_WAIT, failures.max(1), longest);
    let wait = bound.mul_f64(jitter().clamp(0.0, 1.0)).max(Duration::from_millis(10));
    let asked = retry_after.unwrap_or_default().min(longest);
    // Behind what was asked for they are spread out too.
    if asked.is_zero() { wait } else { asked.saturating_add(wait.min(FIRST_WAIT)) }
}
