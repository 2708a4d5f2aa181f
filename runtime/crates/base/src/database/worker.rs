//! The thread of a database: it takes all waiting jobs and commits them together.

use std::{sync::mpsc, time::Duration};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::oneshot;

use super::{connection::FileConnection, space};
use crate::invariant;

/// The maximum number of jobs in one transaction.
const MAX_BATCH: usize = 1024;
/// How long a connection that excludes other processes stays open without a job.
const EXCLUSIVE_IDLE: Duration = Duration::from_millis(20);

/// A message to the thread of a database.
pub(super) enum Message {
    Do(Box<dyn Job>),
    /// Writes the log into the file, and restarts the log.
    Checkpoint,
    Close {
        /// Whether the log stays for the next process that opens the file.
        keep_log: bool,
    },
}

/// The kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reads,
    Writes,
    /// Writes, even if the file was removed or replaced.
    WritesAnyway,
}

/// Work to do with the connection, and a receiver that waits for its result.
pub(super) trait Job: Send {
    fn kind(&self) -> Kind;
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn done(self: Box<Self>, result: rusqlite::Result<()>);
}

pub(super) struct Task<T, F> {
    pub(super) work: F,
    pub(super) value: Option<T>,
    pub(super) reply: oneshot::Sender<rusqlite::Result<T>>,
    pub(super) kind: Kind,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.work)(connection)?);
        Ok(())
    }

    fn done(self: Box<Self>, result: rusqlite::Result<()>) {
        let Self { value, reply, .. } = *self;
        // Fails if the receiver no longer waits, which is fine.
        let _ = reply.send(result.and_then(|()| {
            value.ok_or_else(|| {
                invariant::broken("a job that succeeded has a value");
                rusqlite::Error::QueryReturnedNoRows
            })
        }));
    }
}

/// The thread of a database: does jobs until it is closed. Returns whether the file is complete
/// without its log.
pub(super) fn serve(mut connection: FileConnection, waiting: &mpsc::Receiver<Message>) -> bool {
    loop {
        // Other processes get the file when there is nothing to do.
        let next = if connection.is_exclusive() && connection.open.is_some() {
            waiting.recv_timeout(EXCLUSIVE_IDLE)
        } else {
            waiting.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        };
        let first = match next {
            Ok(Message::Do(first)) => first,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                connection.release();
                continue;
            }
            Ok(Message::Checkpoint) => {
                connection.checkpoint();
                continue;
            }
            Ok(Message::Close { keep_log }) => break connection.end(keep_log),
            Err(mpsc::RecvTimeoutError::Disconnected) => break connection.end(true),
        };
        let mut batch = vec![first];
        let (mut closing, mut checkpoint) = (None, false);
        while batch.len() < MAX_BATCH {
            match waiting.try_recv() {
                Ok(Message::Do(job)) => batch.push(job),
                Ok(Message::Checkpoint) => checkpoint = true,
                Ok(Message::Close { keep_log }) => {
                    closing = Some(keep_log);
                    break;
                }
                Err(_) => break,
            }
        }
        if batch.iter().any(|job| job.kind() == Kind::Writes) && connection.has_moved() {
            let (refused, rest) = batch.into_iter().partition(|job| job.kind() == Kind::Writes);
            batch = rest;
            let moved = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), None);
            let refused: Vec<Box<dyn Job>> = refused;
            for job in refused {
                job.done(Err(moved()));
            }
        }
        if !batch.is_empty() {
            commit(&mut connection, batch);
        }
        if checkpoint {
            connection.checkpoint();
        }
        if let Some(keep_log) = closing {
            break connection.end(keep_log);
        }
    }
}

/// Does a batch in one transaction. If this fails, each job gets its own transaction, so that it
/// fails only for its own reasons. If the disk is full, the log is restarted before a job is tried
/// again.
fn commit(connection: &mut FileConnection, mut batch: Vec<Box<dyn Job>>) {
    let is_full = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    match transact(connection, &mut batch) {
        Ok(()) => batch.into_iter().for_each(|job| job.done(Ok(()))),
        Err(error) if batch.len() == 1 && !(is_full(&error) && connection.checkpoint()) => {
            if let Some(job) = batch.pop() {
                job.done(Err(error));
            }
        }
        Err(_) => {
            for mut job in batch {
                let mut result = transact(connection, std::slice::from_mut(&mut job));
                if result.as_ref().is_err_and(is_full) && connection.checkpoint() {
                    result = transact(connection, std::slice::from_mut(&mut job));
                }
                job.done(result);
            }
        }
    }
}

/// Does a batch in one transaction.
fn transact(connection: &mut FileConnection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let keeps_space = connection.schema.emergency_space > 0;
    let connection = connection.connect()?;
    let writes = batch.iter().any(|job| job.kind() != Kind::Reads);
    let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
    let transaction = connection.transaction_with_behavior(behavior)?;
    for job in batch {
        job.run(&transaction)?;
    }
    if writes && keeps_space {
        space::grow(&transaction)?;
    }
    transaction.commit()
}
