//! An output that gave a doubtful answer, or none, and has accepted nothing since.
//!
//! Those queues that got a doubtful answer are the *suspects*: they wait for as long as the output is left alone. The others
//! are asked first, in the order of their last doubtful answer, so that a queue which had none comes before those that have
//! them often. They wait only when enough suspects agree, and never for long.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    time::{Duration, Instant},
};

use pattoo_spool::QueueId;

/// How many queues may ask an output in doubt at the same time, when the one that asked last has no answer for so long.
const MAX_ASKING: usize = 8;
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// What is known of an output in doubt.
#[derive(Debug)]
pub(super) struct InDoubt {
    /// The queues that are asking, and when the last one began.
    pub(super) asking: HashSet<QueueId>,
    asked_at: Instant,
    /// The output cannot be reached.
    pub(super) unreachable: bool,
    pub(super) suspects: HashSet<QueueId>,
    /// How much the suspects weigh together.
    pub(super) weight: u32,
    /// How often suspects asked without success, and when one of them may ask again.
    pub(super) rounds: u32,
    pub(super) suspects_at: Instant,
    pub(super) waiting: VecDeque<QueueId>,
    /// The same for the others, which come in the order of their last doubtful answer.
    pub(super) fresh_rounds: u32,
    pub(super) fresh_at: Instant,
    pub(super) fresh: BTreeSet<(Option<Instant>, u64, QueueId)>,
}

impl InDoubt {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            asking: HashSet::new(),
            asked_at: now,
            unreachable: false,
            suspects: HashSet::new(),
            weight: 0,
            rounds: 0,
            suspects_at: now,
            waiting: VecDeque::new(),
            fresh_rounds: 0,
            fresh_at: now,
            fresh: BTreeSet::new(),
        }
    }

    /// Whether the answer counts as the output's, if so much weight is enough.
    pub(super) fn is_outputs(&self, enough: u32) -> bool {
        self.unreachable || self.weight >= enough
    }

    /// When another queue may ask beside those that are asking.
    fn may_ask_beside(&self) -> Option<Instant> {
        let more = !self.unreachable && self.asking.len() < MAX_ASKING;
        more.then(|| later(self.asked_at, SLOW_ANSWER))
    }

    /// The queue that may ask now. Beside another one that waits for its answer only those ask that got none yet.
    pub(super) fn next(&mut self, now: Instant) -> Option<QueueId> {
        let beside = !self.asking.is_empty();
        if beside && self.may_ask_beside().is_none_or(|at| at > now) {
            return None;
        }
        let fresh = (self.fresh_at <= now).then(|| self.fresh.pop_first()).flatten().map(|(_, _, queue)| queue);
        let suspect = || (!beside && self.suspects_at <= now).then(|| self.waiting.pop_front()).flatten();
        let asks = fresh.or_else(suspect)?;
        self.asking.insert(asks.clone());
        self.asked_at = now;
        Some(asks)
    }

    /// When [`next`](Self::next) may have something.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let fresh = (!self.fresh.is_empty()).then_some(self.fresh_at);
        if !self.asking.is_empty() {
            return fresh.zip(self.may_ask_beside()).map(|(fresh, beside)| fresh.max(beside));
        }
        let suspects = (!self.waiting.is_empty()).then_some(self.suspects_at);
        fresh.into_iter().chain(suspects).min()
    }
}

/// A moment so much later.
pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
