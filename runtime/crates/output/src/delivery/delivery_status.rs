//! What is known of each output: whether it can be reached, and when it last accepted something.
//!
//! It is for the eyes of an operator, and decides nothing.

use std::{collections::BTreeMap, sync::Mutex};

use pattoo_base::{clock::unix_millis, lock::lock};
use pattoo_spool::{Clocks, OutputId};

use super::turn::{Concern, Doubt, End, Turn};
use crate::{NamedOutput, OutputName};

/// The configured outputs, and what is known of each.
#[derive(Debug, Default)]
pub struct DeliveryStatus(Mutex<Observed>);

#[derive(Debug, Default)]
struct Observed {
    outputs: BTreeMap<OutputId, ObservedOutput>,
    /// What the clock of a server was when this machine started (Unix milliseconds).
    server_clock: Option<i64>,
}

/// A configured output, and what is known of it.
#[derive(Debug, Clone)]
pub struct ObservedOutput {
    /// What names its queues in the spool.
    pub id: OutputId,
    /// Its name in the configuration.
    pub name: OutputName,
    /// Its type in the configuration.
    pub kind: &'static str,
    /// What is known of it.
    pub status: OutputStatus,
}

/// What is known of an output since this process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputStatus {
    /// When it was last tried to send a payload, in Unix milliseconds.
    pub last_attempt: Option<u64>,
    /// When it last accepted a payload, in Unix milliseconds.
    pub last_delivery: Option<u64>,
    /// Whether it could be reached at the last attempt.
    pub reachable: Option<bool>,
    /// Whether it accepted our credentials in its last answer.
    pub authorised: Option<bool>,
    /// Why it accepts nothing at the moment, in words.
    pub problem: Option<String>,
}

impl DeliveryStatus {
    /// These outputs and no others are configured from now on. What is known of those that were
    /// configured before is kept.
    pub fn configure(&self, outputs: &[NamedOutput]) {
        let mut observed = lock(&self.0);
        let mut before = std::mem::take(&mut observed.outputs);
        observed.outputs.extend(outputs.iter().map(|output| {
            let id = output.id();
            let status = before.remove(&id).map(|before| before.status).unwrap_or_default();
            let (name, kind) = (output.name.clone(), output.output.kind());
            (id.clone(), ObservedOutput { id, name, kind, status })
        }));
    }

    /// The configured outputs.
    pub fn all(&self) -> Vec<ObservedOutput> {
        lock(&self.0).outputs.values().cloned().collect()
    }

    /// How far the clock of this machine is ahead of the server's, by its last answer, in
    /// milliseconds; of several servers, of the one that is furthest behind.
    pub fn clock_ahead(&self) -> Option<i64> {
        lock(&self.0).server_clock.map(|server| Clocks::now().ahead_of(server))
    }

    /// What the clock of a server was when this machine started, by its last answer (Unix milliseconds).
    pub(super) fn set_server_clock(&self, server: Option<i64>) {
        lock(&self.0).server_clock = server;
    }

    /// A queue of this output had its turn.
    pub(super) fn record(&self, output: &OutputId, turn: &Turn, concern: Concern) {
        if let Some(observed) = lock(&self.0).outputs.get_mut(output) {
            observed.status.record(turn, concern, unix_millis());
        }
    }
}

impl OutputStatus {
    fn record(&mut self, turn: &Turn, concern: Concern, now: u64) {
        let is_attempt = match &turn.end {
            End::Refused { .. } | End::Doubtful { .. } | End::Unavailable { .. } => true,
            End::Empty | End::More | End::Locked | End::Failed { .. } => turn.accepted,
        };
        if !is_attempt {
            return;
        }
        self.last_attempt = Some(now);
        if turn.accepted {
            self.last_delivery = Some(now);
            self.problem = None;
        }
        self.reachable = Some(!matches!(turn.end, End::Unavailable { .. }));
        self.authorised = match &turn.end {
            End::Doubtful { what: Doubt::Unauthorised, .. } => Some(false),
            // Nothing is known of a credential that was not looked at.
            End::Doubtful { .. } | End::Unavailable { .. } if !turn.accepted => self.authorised,
            _ => Some(true),
        };
        if concern == Concern::Output
            && let Some(text) = turn.end.problem()
        {
            self.problem = Some(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Concern, Doubt, End, OutputStatus, Turn};

    fn turn(accepted: bool, end: End) -> Turn {
        Turn { accepted, ..Turn::of(end) }
    }

    fn doubtful(what: Doubt) -> End {
        End::Doubtful { what, program: "P".to_owned(), retry_after: None, text: "no".to_owned() }
    }

    #[test]
    fn status_says_what_the_last_attempt_showed() {
        let mut status = OutputStatus::default();
        status.record(&turn(false, End::Empty), Concern::Payload, 1);
        status.record(&turn(false, End::Locked), Concern::Payload, 2);
        assert_eq!(status, OutputStatus::default(), "nothing was sent");
        let text = || "refused".to_owned();
        status.record(&turn(false, End::Unavailable { text: text() }), Concern::Output, 3);
        assert_eq!((status.reachable, status.authorised, status.last_attempt), (Some(false), None, Some(3)));
        assert_eq!((status.problem.as_deref(), status.last_delivery), (Some("refused"), None));
        status.record(&turn(false, doubtful(Doubt::Unauthorised)), Concern::Output, 4);
        assert_eq!((status.reachable, status.authorised), (Some(true), Some(false)));
        status.record(&turn(false, doubtful(Doubt::Busy)), Concern::Output, 5);
        assert_eq!((status.reachable, status.authorised), (Some(true), Some(false)), "it did not look at them");
        status.record(&turn(true, End::Empty), Concern::Payload, 6);
        assert_eq!((status.reachable, status.authorised, status.problem.as_deref()), (Some(true), Some(true), None));
        assert_eq!(status.last_delivery, Some(6));
        let refused = End::Refused { program: "P".to_owned(), retry_after: None, text: text() };
        status.record(&turn(false, refused), Concern::Payload, 7);
        assert_eq!((status.problem.as_deref(), status.last_delivery), (None, Some(6)), "it concerns one payload");
    }
}
