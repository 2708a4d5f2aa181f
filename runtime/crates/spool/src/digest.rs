//! Digests: of payloads, by which damage is detected, and of queue names, by which the file knows a queue.

use pattoo_base::invariant::Invariant as _;
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};
use sha2::{Digest as _, Sha256};

use crate::QueueId;

/// What a payload of version 2 implies. These values are not part of the digest, so that payloads of both versions have
/// one rule.
pub(crate) const USUAL_CONTENT_TYPE: &str = "application/json";

/// The SHA-256 of a stored payload and its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(queue: &QueueId, bytes: &[u8], epoch: u64, content_type: &str, encoding: &str) -> Self {
        let mut hash = of_name(queue).chain_update(bytes);
        if (epoch, content_type, encoding) != (0, USUAL_CONTENT_TYPE, "") {
            hash.update(format!("\n{epoch}\n{content_type}\n{encoding}"));
        }
        Self(hash.finalize().into())
    }

    /// A digest from a file, if the bytes are one.
    pub(crate) fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

/// The number by which the file knows a queue: 64 bits of the SHA-256 of its name, so no two queues share one.
pub(crate) fn queue_number(queue: &QueueId) -> i64 {
    first_bytes(of_name(queue))
}

/// The offset of a queue's byte in the lock file: two bits less than an offset has, so that it is not negative, nor is
/// the end of the byte.
pub(crate) fn lock_offset(queue: &QueueId) -> i64 {
    let hash = Sha256::new().chain_update(queue.agent.as_str()).chain_update(queue.output.as_str());
    first_bytes(hash) & (i64::MAX >> 1)
}

fn of_name(queue: &QueueId) -> Sha256 {
    Sha256::new()
        .chain_update(queue.agent.as_str())
        .chain_update("\n")
        .chain_update(queue.output.as_str())
        .chain_update("\n")
}

fn first_bytes(hash: Sha256) -> i64 {
    let digest: [u8; 32] = hash.finalize().into();
    let (number, _) = digest.split_first_chunk().or_broken("a digest has 32 bytes", (&[0; 8], &[]));
    i64::from_be_bytes(*number)
}
