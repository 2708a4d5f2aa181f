//! Durable queues of payloads in one SQLite file.
//!
//! A payload is committed to the [`Spool`] before it is sent, and deleted from it after its output has accepted it. A
//! process that is killed at any moment loses nothing that was stored. The payloads of one queue leave it oldest first;
//! different queues do not wait for each other.
//!
//! The spool knows nothing of what a payload contains, nor of the protocol by which it is sent. A queue is named by a
//! [`QueueId`]: an output and an agent, which are texts chosen by the caller.
//!
//! - [`Spool`] stores, lists and deletes payloads, and recovers what is intact of a damaged file.
//! - [`Refusal`] and [`Judgement`] decide when a payload that an output refuses goes to quarantine.
//! - [`PayloadAges`] decides when a payload is too old, without trust in the wall clock.
//! - [`QueueLock`] gives a queue to one sender at a time, across processes.
//!
//! ```
//! use pattoo_spool::{NewPayload, QueueId, Spool, SpoolLimits};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("spool.sqlite3");
//! let spool = Spool::open(&path, SpoolLimits::default())?;
//! let queue = QueueId { output: "archive".parse()?, agent: "meter-7".parse()? };
//! let payload = NewPayload {
//!     queue: queue.clone(),
//!     program: "meters".to_owned(),
//!     epoch: 0,
//!     content_type: "application/json".into(),
//!     encoding: "".into(),
//!     count: 1,
//!     created: 1_700_000_000_000,
//!     bytes: br#"{"volts":230}"#.to_vec(),
//! };
//! // It is on disk when this returns.
//! spool.store(vec![payload]).await?;
//!
//! let oldest = spool.next(&queue).await?.remove(0);
//! assert_eq!(oldest.bytes, br#"{"volts":230}"#);
//! // … send it, and delete it once the output has accepted it:
//! spool.delivered(oldest.id, &queue.output).await?;
//! assert!(spool.next(&queue).await?.is_empty());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod age;
mod damaged_pages;
mod digest;
mod error;
mod eviction;
mod id;
mod payload;
mod quarantine;
mod queue;
mod queue_lock;
mod recovery;
mod relocation;
mod row;
mod schema;
mod spool;
mod spool_limits;
mod store;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test that panics has failed, as it should")]
mod tests;

pub use self::{
    admin::{PayloadInfo, Retried, Selection, SpoolStats, StoredPayload},
    age::{Clocks, Expired, PayloadAges},
    error::SpoolError,
    id::{AgentKey, InvalidName, OutputId, QueueId, StoredId},
    payload::{NewPayload, QueuedPayload},
    quarantine::{Judgement, Refusal},
    queue_lock::QueueLock,
    spool::Spool,
    spool_limits::SpoolLimits,
};
