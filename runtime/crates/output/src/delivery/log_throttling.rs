//! Log throttling: what is worth a line of the log about outputs is what changes, and not each attempt.
//!
//! An output that is unavailable is one line when that begins and one when it is over, whatever the number of agents. So is an
//! output that refuses some payloads and accepts others: that is over when it has accepted something of each queue that it refused.

use std::collections::{HashMap, HashSet};

use pattoo_spool::{OutputId, QueueId};

use super::turn::{Concern, Doubt, End, Turn};

/// How many different reasons are said between two moments without problems. A server may put something else into each answer.
const MOST_REASONS: usize = 8;

/// The problems that there are, by output.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(HashMap<OutputId, Problems>);

#[derive(Debug, Default)]
struct Problems {
    /// Why it accepts nothing at all.
    unavailable: Option<Reason>,
    /// The queues whose payloads it does not accept.
    held_up: HashSet<QueueId>,
    /// What was logged of it.
    reasons: Vec<Reason>,
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
    pub(super) fn of(&mut self, queue: &QueueId, turn: &Turn, concern: Concern) -> Option<Line> {
        let of_payload = |program: &str, text: &str| {
            Line::Warning(format!("a payload of {program} is not accepted, and stays in the spool: {text}"))
        };
        let kept = |text: &str| Line::Warning(format!("not delivered, and kept in the spool: {text}"));
        match &turn.end {
            End::Locked => None,
            End::Empty | End::More => self.accepted(queue, turn.accepted),
            End::Refused { program, text, .. } => self.held_up(queue, text, of_payload(program, text)),
            End::Doubtful { program, text, .. } if concern == Concern::Payload => {
                self.held_up(queue, text, of_payload(program, text))
            }
            End::Doubtful { what: Doubt::Unauthorised, text, .. } => self.unavailable(
                queue,
                text,
                Line::Error(format!("not delivered, and the queue waits until the token is corrected: {text}")),
            ),
            End::Doubtful { what: Doubt::Busy, text, .. } | End::Unavailable { text } => {
                self.unavailable(queue, text, kept(text))
            }
            End::Failed { text } => self.held_up(queue, text, kept(text)),
        }
    }

    fn accepted(&mut self, queue: &QueueId, accepted: bool) -> Option<Line> {
        let problems = self.0.get_mut(&queue.output)?;
        problems.held_up.remove(queue);
        let was_unavailable = if accepted { problems.unavailable.take() } else { None };
        if problems.held_up.is_empty() && problems.unavailable.is_none() {
            self.0.remove(&queue.output);
            return Some(Line::Info(format!("delivery to {} resumed", queue.output)));
        }
        let was_unavailable = was_unavailable?;
        // If it is unavailable again for the same reason, that is logged again.
        problems.reasons.retain(|reason| *reason != was_unavailable);
        Some(Line::Info(format!("delivery to {} resumed, but not for every agent", queue.output)))
    }

    fn held_up(&mut self, queue: &QueueId, reason: &str, line: Line) -> Option<Line> {
        let problems = self.0.entry(queue.output.clone()).or_default();
        problems.held_up.insert(queue.clone());
        problems.log((false, reason.to_owned()), line)
    }

    fn unavailable(&mut self, queue: &QueueId, reason: &str, line: Line) -> Option<Line> {
        let problems = self.0.entry(queue.output.clone()).or_default();
        let reason = (true, reason.to_owned());
        problems.unavailable = Some(reason.clone());
        problems.log(reason, line)
    }
}

impl Problems {
    fn log(&mut self, reason: Reason, line: Line) -> Option<Line> {
        if self.reasons.len() >= MOST_REASONS || self.reasons.contains(&reason) {
            return None;
        }
        self.reasons.push(reason);
        Some(line)
    }
}
