//! What became of a queue's turn.

use std::time::Duration;

/// What became of a queue's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The output accepted a payload.
    pub(crate) accepted: bool,
    /// Whether the output took long for a payload, if one was sent.
    pub(crate) slow: Option<bool>,
    /// Why the turn ended.
    pub(crate) end: End,
    /// What can be done about it.
    pub(crate) help: Option<String>,
}

impl Turn {
    /// A turn in which nothing was accepted.
    pub(crate) fn of(end: End) -> Self {
        Self { accepted: false, slow: None, end, help: None }
    }
}

/// Why a queue's turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The queue is empty.
    Empty,
    /// There may be more.
    More,
    /// Another process sends from this queue.
    Locked,
    /// A payload was refused and keeps its place.
    Refused { program: String, retry_after: Option<Duration>, text: String },
    /// A payload got an answer that can be meant for it or for all. It keeps its place.
    Doubtful { what: Doubt, program: String, retry_after: Option<Duration>, text: String },
    /// The output cannot be reached.
    Unavailable { text: String },
    /// The spool failed.
    Failed { text: String },
}

/// What a doubtful answer means if it is meant for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The output is busy, or what is behind it is unavailable.
    Busy,
    /// It does not accept our credentials.
    Unauthorised,
}

impl End {
    /// Why nothing more was sent, if that is a problem.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::More | Self::Locked => None,
            Self::Refused { text, .. }
            | Self::Doubtful { text, .. }
            | Self::Unavailable { text }
            | Self::Failed { text } => Some(text),
        }
    }
}

/// Whom an answer concerns, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// The payload, or it is not known yet.
    Payload,
    /// The output: other queues got the answer as well, or there are no others.
    Output,
}
