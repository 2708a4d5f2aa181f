//! Jobs: the requests of one round of a read, and their progress.

use std::{collections::VecDeque, sync::Arc};

use pattoo_base::invariant;
use tokio::{sync::oneshot, time::Instant};

use super::{Caller, retry::Retries};
use crate::{
    endpoint_settings::EndpointSettings,
    error::{NotSent, ReadError, RequestError},
    model::{Span, Words},
};

/// Requests that a caller submits together.
pub(super) struct Job {
    /// Each fits into one request on the wire.
    pub(super) requests: Vec<Span>,
    pub(super) settings: Arc<EndpointSettings>,
    pub(super) caller: Caller,
    /// Takes one reply for each request, in order.
    pub(super) reply: oneshot::Sender<Vec<Result<Words, RequestError>>>,
}

/// A request without a reply so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingRequest {
    /// Its index in the job.
    index: usize,
    pub(super) span: Span,
    pub(super) retries: Retries,
    pub(super) not_before: Option<Instant>,
}

/// A job in progress.
pub(super) struct JobProgress {
    pub(super) id: u64,
    pub(super) job: Job,
    replies: Vec<Option<Result<Words, RequestError>>>,
    pub(super) pending: VecDeque<PendingRequest>,
}

impl JobProgress {
    pub(super) fn new(id: u64, job: Job) -> Self {
        let pending = job.requests.iter().enumerate().map(|(index, span)| PendingRequest {
            index,
            span: *span,
            retries: Retries::default(),
            not_before: None,
        });
        Self { id, pending: pending.collect(), replies: vec![None; job.requests.len()], job }
    }

    /// Sets the reply to a request.
    pub(super) fn set_reply(&mut self, request: &PendingRequest, reply: Result<Words, RequestError>) {
        match self.replies.get_mut(request.index) {
            Some(slot) => *slot = Some(reply),
            None => invariant::broken("a pending request has a place for its reply"),
        }
    }

    /// Fails each pending request for which `error` returns an error.
    pub(super) fn fail(&mut self, error: impl Fn(&PendingRequest) -> Option<RequestError>) {
        let Self { pending, replies, .. } = self;
        pending.retain(|request| match (error(request), replies.get_mut(request.index)) {
            (Some(error), Some(slot)) => {
                *slot = Some(Err(error));
                false
            }
            _ => true,
        });
    }

    /// Sends the replies that have arrived, at the deadline of the caller.
    pub(super) fn cut(mut self) {
        let late = || RequestError::from(ReadError::Deadline);
        self.fail(|pending| {
            Some(if pending.retries.any() { late() } else { ReadError::NotSent(NotSent::Deadline).into() })
        });
        // Fails if the caller no longer waits, which is fine.
        let _ =
            self.job.reply.send(self.replies.into_iter().map(|reply| reply.unwrap_or_else(|| Err(late()))).collect());
    }

    /// Sends the replies to the caller if they are complete; otherwise returns the job.
    pub(super) fn finish(self) -> Option<Self> {
        if !self.pending.is_empty() || self.replies.iter().any(Option::is_none) {
            return Some(self);
        }
        // Fails if the caller no longer waits, which is fine.
        let _ = self.job.reply.send(self.replies.into_iter().flatten().collect());
        None
    }
}
