//! Log throttling: what is worth a line of the log about outputs is what changes, and not each attempt.
//!
//! An output that is unavailable is one line when that begins and one when it is over, whatever the number of agents. So is an
//! output that refuses some payloads and accepts others: that is over when it has accepted something of each queue that it refused.
//! What lasts is logged once an hour. What comes and goes has to be absent for some time to be over.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use pattoo_base::log_folding::{Calm, REPEAT, rounded};
use pattoo_spool::{OutputId, QueueId};

use super::turn::{Concern, Doubt, End, Turn};

/// How many different reasons are said between two moments without problems. A server may put something else into each answer.
const MOST_REASONS: usize = 8;

/// The problems that there are, by output.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(HashMap<OutputId, Problems>);

#[derive(Debug)]
struct Problems {
    /// Why it accepts nothing at all.
    unavailable: Option<Reason>,
    /// The queues whose payloads it does not accept.
    held_up: HashSet<QueueId>,
    /// What was logged of it.
    reasons: Vec<Reason>,
    /// When it began, when it occurred last, and when it was logged last.
    since: Instant,
    seen: Instant,
    logged: Instant,
    /// How long it has to be absent to be over.
    calm: Calm,
    is_over: bool,
    /// Whether the output accepts payloads again, but not of every queue.
    is_partly_over: bool,
}

/// Whether it concerned the output, and what was answered.
type Reason = (bool, String);

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Something an operator has to fix.
    Error(String),
    /// A problem.
    Warning(String),
    /// That it is over.
    Info(String),
}

impl LogThrottle {
    /// A queue had its turn, and it is known whom its last answer concerns: what is to be logged.
    pub(super) fn of(&mut self, now: Instant, queue: &QueueId, turn: &Turn, concern: Concern) -> Option<Line> {
        let of_payload = |program: &str, text: &str| {
            Line::Warning(format!("a payload of {program} is not accepted, and stays in the spool: {text}"))
        };
        let kept = |text: &str| Line::Warning(format!("not delivered, and kept in the spool: {text}"));
        match &turn.end {
            End::Locked => None,
            End::Empty | End::More => self.accepted(now, queue, turn.accepted),
            End::Refused { program, text, .. } => self.held_up(now, queue, text, of_payload(program, text)),
            End::Doubtful { program, text, .. } if concern == Concern::Payload => {
                self.held_up(now, queue, text, of_payload(program, text))
            }
            End::Doubtful { what: Doubt::Unauthorised, text, .. } => self.unavailable(
                now,
                queue,
                text,
                Line::Error(format!("not delivered, and the queue waits until the token is corrected: {text}")),
            ),
            End::Doubtful { what: Doubt::Busy, text, .. } | End::Unavailable { text } => {
                self.unavailable(now, queue, text, kept(text))
            }
            End::Failed { text } => self.held_up(now, queue, text, kept(text)),
        }
    }

    fn accepted(&mut self, now: Instant, queue: &QueueId, accepted: bool) -> Option<Line> {
        let problems = self.0.get_mut(&queue.output)?;
        let absent = now.saturating_duration_since(problems.seen);
        if problems.is_over {
            self.0.retain(|_, problems| !problems.is_forgotten(now));
            return None;
        }
        problems.held_up.remove(queue);
        let was_unavailable = if accepted { problems.unavailable.take() } else { None };
        if problems.held_up.is_empty() && problems.unavailable.is_none() {
            if !problems.calm.is_enough(absent) {
                return None;
            }
            problems.is_over = true;
            let lasted = rounded(now.saturating_duration_since(problems.since));
            return Some(Line::Info(format!("delivery to {} resumed after {lasted}", queue.output)));
        }
        let was_unavailable = was_unavailable?;
        if !problems.calm.is_enough(absent) {
            return None;
        }
        // If it is unavailable again for the same reason, that is logged again.
        problems.reasons.retain(|reason| *reason != was_unavailable);
        problems.is_partly_over = true;
        Some(Line::Info(format!("delivery to {} resumed, but not for every agent", queue.output)))
    }

    /// The problems of the output, to which one more is added.
    fn problems(&mut self, now: Instant, queue: &QueueId) -> &mut Problems {
        let problems = self.0.entry(queue.output.clone()).or_insert_with(|| Problems::new(now));
        if problems.is_forgotten(now) {
            *problems = Problems::new(now);
        } else if problems.is_over {
            *problems = Problems { calm: problems.calm, ..Problems::new(now) };
            problems.calm.comes_back();
        }
        problems.seen = now;
        problems
    }

    fn held_up(&mut self, now: Instant, queue: &QueueId, reason: &str, line: Line) -> Option<Line> {
        let problems = self.problems(now, queue);
        problems.held_up.insert(queue.clone());
        problems.log(now, (false, reason.to_owned()), line)
    }

    fn unavailable(&mut self, now: Instant, queue: &QueueId, reason: &str, line: Line) -> Option<Line> {
        let problems = self.problems(now, queue);
        if std::mem::take(&mut problems.is_partly_over) {
            problems.calm.comes_back();
        }
        let reason = (true, reason.to_owned());
        problems.unavailable = Some(reason.clone());
        problems.log(now, reason, line)
    }
}

impl Problems {
    fn new(now: Instant) -> Self {
        Self {
            unavailable: None,
            held_up: HashSet::new(),
            reasons: Vec::new(),
            since: now,
            seen: now,
            logged: now,
            calm: Calm::default(),
            is_over: false,
            is_partly_over: false,
        }
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.is_over && now.saturating_duration_since(self.seen) >= REPEAT
    }

    fn log(&mut self, now: Instant, reason: Reason, line: Line) -> Option<Line> {
        let is_new = self.reasons.len() < MOST_REASONS && !self.reasons.contains(&reason);
        if is_new {
            self.reasons.push(reason);
        } else if now.saturating_duration_since(self.logged) < REPEAT {
            return None;
        }
        self.logged = now;
        Some(line)
    }
}
