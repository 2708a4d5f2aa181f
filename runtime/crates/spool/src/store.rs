//! Payloads into the spool.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use pattoo_base::{invariant::Invariant as _, lock::lock, text::one_line};
use rusqlite::{Connection, params};

use crate::{
    NewPayload, QueueId, Spool, SpoolError, StoredId,
    digest::{Digest, queue_number},
    eviction::{self, Evicted},
    quarantine::MAX_REFUSAL,
    queue::{DIGEST, first, to_sql, unix_millis},
    row,
};

/// How often evictions are logged, at most.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// A payload with what the file knows it by.
struct Prepared {
    number: i64,
    digest: Digest,
    bytes: i64,
    payload: NewPayload,
}

impl Prepared {
    fn of(payload: NewPayload) -> Self {
        let NewPayload { queue, epoch, content_type, encoding, bytes, .. } = &payload;
        let digest = Digest::of(queue, bytes, *epoch, content_type, encoding);
        Self { number: queue_number(queue), digest, bytes: to_sql(bytes.len() as u64), payload }
    }

    fn insert(&self, db: &Connection) -> rusqlite::Result<StoredId> {
        let Self { number, digest, bytes, payload } = self;
        let insert = "INSERT INTO payload
            (queue, output, agent, program, created, stored, count, bytes, digest, content, epoch, content_type, encoding)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        db.prepare_cached(insert)?.execute(params![
            number,
            payload.queue.output.as_str(),
            payload.queue.agent.as_str(),
            payload.program,
            payload.created,
            unix_millis(),
            to_sql(payload.count),
            bytes,
            digest,
            payload.bytes,
            payload.epoch.cast_signed(),
            payload.content_type,
            payload.encoding,
        ])?;
        Ok(StoredId(db.last_insert_rowid()))
    }

    /// The number of a payload in the queue that is the same.
    fn find(&self, db: &Connection) -> rusqlite::Result<Option<StoredId>> {
        first(db, &self.payload.queue, |row| {
            let same = row::digest(row, DIGEST)? == Some(self.digest);
            same.then(|| row.get(0).map(StoredId)).transpose()
        })
    }
}

/// What became of payloads that were to be stored: their numbers and what was evicted for them, or that others hold so
/// many bytes that there is no room.
type Stored = Result<(Vec<StoredId>, Evicted), eviction::NoRoom>;

impl Spool {
    /// Stores payloads in one transaction: all of them are on disk when this returns, or none is stored.
    ///
    /// When the spool is at its limit, older payloads are evicted, but none of these.
    ///
    /// # Errors
    ///
    /// When they could not be stored.
    pub async fn store(&self, payloads: Vec<NewPayload>) -> Result<Vec<StoredId>, SpoolError> {
        self.insert(payloads, false).await
    }

    /// Stores a payload, unless the same one is in its queue already. Returns its number in either case.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn store_once(&self, payload: NewPayload) -> Result<StoredId, SpoolError> {
        let stored = self.insert(vec![payload], true).await?;
        Ok(stored.first().copied().or_broken("one payload has one number", StoredId(0)))
    }

    async fn insert(&self, payloads: Vec<NewPayload>, once: bool) -> Result<Vec<StoredId>, SpoolError> {
        let limit = self.0.limits.bytes;
        let size = payloads.iter().map(|payload| payload.bytes.len() as u64).sum();
        if size > limit {
            return Err(SpoolError::TooLarge { bytes: size, limit });
        }
        for payload in &payloads {
            tracing::trace!("{}: storing a payload", payload.program);
        }
        let queues: BTreeSet<QueueId> = payloads.iter().map(|payload| payload.queue.clone()).collect();
        let prepared: Arc<[Prepared]> = payloads.into_iter().map(Prepared::of).collect();
        let stored = self.write(move |db| insert_all(db, &prepared, to_sql(size), to_sql(limit), once)).await?;
        let (ids, evicted) = stored.map_err(|eviction::NoRoom { others }| SpoolError::NoRoom {
            bytes: size,
            left: limit.saturating_sub(u64::try_from(others).unwrap_or(0)),
        })?;
        for id in &ids {
            tracing::trace!("payload {id} is stored");
        }
        self.log_evicted(evicted);
        for queue in queues {
            self.notify(queue);
        }
        Ok(ids)
    }

    /// Logs what was evicted, at once and then once in [`LOG_EVERY`]: in an outage each payload that is stored evicts another.
    fn log_evicted(&self, evicted: Evicted) {
        if evicted.is_empty() {
            return;
        }
        let mut evictions = lock(&self.0.evictions);
        for (program, count) in evicted {
            let sum = evictions.unlogged.entry(program).or_default();
            *sum = sum.saturating_add(count);
        }
        if evictions.logged.is_some_and(|logged| logged.elapsed() < LOG_EVERY) {
            return;
        }
        evictions.logged = Some(Instant::now());
        let unlogged = std::mem::take(&mut evictions.unlogged);
        drop(evictions);
        let of: Vec<String> = unlogged.iter().map(|(program, count)| format!("{count} of {program}")).collect();
        let limit = self.0.limits.bytes;
        tracing::error!(
            "the spool is at its limit of {limit} bytes: payloads were evicted, {}; the agent that holds the most loses its oldest",
            one_line(&of.join(", "), MAX_REFUSAL)
        );
    }
}

fn insert_all(db: &Connection, payloads: &[Prepared], size: i64, limit: i64, once: bool) -> rusqlite::Result<Stored> {
    if once
        && let [payload] = payloads
        && let Some(id) = payload.find(db)?
    {
        return Ok(Ok((vec![id], Evicted::new())));
    }
    let is_full = eviction::total(db)?.saturating_add(size) > limit;
    if is_full {
        eviction::count(db)?;
        // So that what was evicted for these is back if they find no room all the same.
        db.prepare_cached("SAVEPOINT room")?.execute([])?;
    }
    let ids = payloads.iter().map(|payload| payload.insert(db)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = ids.first().copied().filter(|_| is_full) else { return Ok(Ok((ids, Evicted::new()))) };
    let made = eviction::make_room(db, limit, first, size)?;
    if made.is_err() {
        db.prepare_cached("ROLLBACK TO room")?.execute([])?;
    }
    db.prepare_cached("RELEASE room")?.execute([])?;
    Ok(made.map(|evicted| (ids, evicted)))
}
