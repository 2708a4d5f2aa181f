//! Payloads on their way into the spool and out of it.

use std::borrow::Cow;

use crate::{QueueId, StoredId, digest::Digest};

/// A payload to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayload {
    /// The queue that it joins.
    pub queue: QueueId,
    /// The program that made it, for people.
    pub program: String,
    /// A number that the output sends with it.
    pub epoch: u64,
    /// The media type of the bytes.
    pub content_type: Cow<'static, str>,
    /// How the bytes are compressed; empty if they are not.
    pub encoding: Cow<'static, str>,
    /// How many datapoints it holds.
    pub count: u64,
    /// When it was made, in Unix milliseconds.
    pub created: i64,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// A payload in a queue, as it is sent.
#[derive(Debug, Clone)]
pub struct QueuedPayload {
    /// Its number.
    pub id: StoredId,
    /// The program that made it.
    pub program: String,
    /// As it was stored.
    pub epoch: u64,
    /// As it was stored.
    pub content_type: String,
    /// As it was stored.
    pub encoding: String,
    /// How many datapoints it holds.
    pub count: u64,
    /// When it was made, in Unix milliseconds.
    pub created: i64,
    /// When it was first refused since it is in the queue, in Unix milliseconds.
    pub refused_since: Option<i64>,
    /// How often it was refused.
    pub attempts: i64,
    /// What is sent.
    pub bytes: Vec<u8>,
    pub(crate) digest: Option<Digest>,
}

impl QueuedPayload {
    /// Whether it is what was stored in this queue. What is not must never be sent.
    pub fn is_intact(&self, queue: &QueueId) -> bool {
        self.digest == Some(Digest::of(queue, &self.bytes, self.epoch, &self.content_type, &self.encoding))
    }
}
