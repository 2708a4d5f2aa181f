//! Payloads out of their queues: the next ones, and what became of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::Ordering,
    time::Duration,
};

use pattoo_base::invariant::Invariant as _;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::{
    Expired, OutputId, QueueId, QueuedPayload, Spool, SpoolError, StoredId, digest::queue_number, eviction, row,
};

/// How many payloads are fetched at once, at most.
const MAX_FETCHED: usize = 32;
/// How many bytes are fetched at once; one payload is fetched however large it is.
const MAX_FETCHED_BYTES: usize = 1 << 20;
/// Gives pages back to the file system.
const VACUUM: &str = "PRAGMA incremental_vacuum(25)";
/// How often that is done in one sweep, at most.
const VACUUM_STEPS: usize = 80;

/// Queues, and how many payloads each holds.
type CountedQueues = Vec<(QueueId, u64)>;

/// The time now, in Unix milliseconds.
pub(crate) fn unix_millis() -> i64 {
    to_sql(pattoo_base::clock::unix_millis())
}

/// A number of ours as SQLite stores it. None comes near the largest.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).or_broken("numbers in the spool fit", i64::MAX)
}

impl Spool {
    /// The next payloads of a queue, oldest first: up to 32 of them and 1 MiB, but at least one if there is one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn next(&self, queue: &QueueId) -> Result<Vec<QueuedPayload>, SpoolError> {
        let queue = queue.clone();
        self.read(move |db| {
            let (mut payloads, mut bytes) = (Vec::new(), 0usize);
            first(db, &queue, |row| {
                let payload = queued(row)?;
                bytes = bytes.saturating_add(payload.bytes.len());
                let fits = bytes <= MAX_FETCHED_BYTES || payloads.is_empty();
                if fits {
                    payloads.push(payload);
                }
                Ok((!fits || payloads.len() >= MAX_FETCHED).then_some(()))
            })?;
            Ok(payloads)
        })
        .await
    }

    /// Deletes a payload that `output` accepted, and counts that it accepts payloads.
    ///
    /// # Errors
    ///
    /// When it could not be deleted: then it is still in its queue.
    pub async fn delivered(&self, id: StoredId, output: &OutputId) -> Result<(), SpoolError> {
        let output = output.clone();
        self.write(move |db| {
            db.prepare_cached("DELETE FROM payload WHERE id = ?1")?.execute([id.0])?;
            db.prepare_cached("UPDATE totals SET delivered = delivered + 1")?.execute([])?;
            let accepted = "INSERT INTO output VALUES (?1, 1) ON CONFLICT DO UPDATE SET accepted = accepted + 1";
            db.prepare_cached(accepted)?.execute([output.as_str()])?;
            Ok(())
        })
        .await
    }

    /// Every queue that holds something. Payloads whose queue is unknown because of damage go to quarantine.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn queues(&self) -> Result<Vec<QueueId>, SpoolError> {
        Ok(self.counted_queues().await?.into_iter().map(|(queue, _)| queue).collect())
    }

    /// How many payloads wait for each output.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn queued_by_output(&self) -> Result<BTreeMap<OutputId, u64>, SpoolError> {
        let mut outputs = BTreeMap::new();
        for (queue, count) in self.counted_queues().await? {
            let sum: &mut u64 = outputs.entry(queue.output).or_default();
            *sum = sum.saturating_add(count);
        }
        Ok(outputs)
    }

    /// Every queue that holds something, and how many payloads.
    async fn counted_queues(&self) -> Result<CountedQueues, SpoolError> {
        let (queues, unknown) = self.read(find_queues).await?;
        for id in unknown {
            tracing::error!("payload {id} is damaged on disk and in quarantine: its queue is unknown");
            self.quarantine(id, "damaged on disk: its queue is unknown").await?;
        }
        Ok(queues)
    }

    /// Numbers that change when another process has written, or another file took the place of this one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn foreign_changes(&self) -> Result<(u64, i64), SpoolError> {
        let generation = self.0.generation.load(Ordering::Relaxed);
        Ok((generation, self.read(|db| db.query_row("PRAGMA data_version", [], |row| row.get(0))).await?))
    }

    /// The newest number that a payload has had; 0 if there was none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn newest(&self) -> Result<i64, SpoolError> {
        self.read(|db| {
            let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'payload'";
            db.prepare_cached(newest)?.query_row([], |row| row.get(0))
        })
        .await
    }

    /// Deletes what has expired, and gives free space back to the file system. Returns how many payloads were deleted.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn sweep(&self, expired: Expired) -> Result<i64, SpoolError> {
        let deleted = self
            .write(move |db| {
                let mut deleted = 0i64;
                // What was stored first has the smallest number, so this ends at the first that is young enough.
                let first = "SELECT id, stored FROM payload NOT INDEXED ORDER BY id LIMIT 1";
                let mut first = db.prepare_cached(first)?;
                let mut delete = db.prepare_cached("DELETE FROM payload WHERE id = ?1")?;
                let oldest = |row: &Row<'_>| Ok((StoredId(row.get(0)?), row::number(row, 1)?.unwrap_or(i64::MAX)));
                while let Some((id, stored)) = first.query_row([], oldest).optional()? {
                    if !expired.contains(id, stored) {
                        break;
                    }
                    delete.execute([id.0])?;
                    deleted = deleted.saturating_add(1);
                }
                count_dropped(db, deleted)?;
                Ok(deleted)
            })
            .await?;
        let half = to_sql(self.0.limits.bytes).div_euclid(2);
        let mut all = 0u32;
        for _ in 0..VACUUM_STEPS {
            let freed = self
                .write(move |db| {
                    if eviction::total(db)? < half {
                        eviction::forget(db)?;
                    }
                    // The pragma frees a page for each row that is fetched of it. A few at a time, for which there is
                    // room in any case.
                    let mut vacuum = db.prepare_cached(VACUUM)?;
                    let (mut pages, mut freed) = (vacuum.query([])?, 0u32);
                    while pages.next()?.is_some() {
                        freed = freed.saturating_add(1);
                    }
                    Ok(freed)
                })
                .await?;
            if freed == 0 {
                break;
            }
            all = all.saturating_add(freed);
        }
        if all > 0 {
            // Only then the file is smaller.
            self.database().checkpoint();
        }
        Ok(deleted)
    }

    /// How long a payload is kept.
    pub fn longest_age(&self) -> Duration {
        self.0.limits.age
    }
}

/// Counts payloads that were deleted without being delivered.
pub(crate) fn count_dropped(db: &Connection, dropped: i64) -> rusqlite::Result<()> {
    if dropped > 0 {
        db.prepare_cached("UPDATE totals SET dropped = dropped + ?1")?.execute([dropped])?;
    }
    Ok(())
}

/// Every queue that holds something, with the number of its payloads, and payloads whose queue is unknown.
fn find_queues(db: &Connection) -> rusqlite::Result<(CountedQueues, Vec<StoredId>)> {
    // In the index alone, but for one payload of each queue.
    let mut select = db.prepare_cached("SELECT queue, id FROM payload WHERE status = 0 ORDER BY block, queue")?;
    let mut names = db.prepare_cached("SELECT output, agent, queue FROM payload WHERE id = ?1")?;
    let (mut queues, mut known, mut unknown) = (Vec::new(), HashMap::new(), Vec::new());
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (number, id): (i64, i64) = (row.get(0)?, row.get(1)?);
        if let Some(at) = known.get(&number) {
            if let Some((_, count)) = queues.get_mut(*at) {
                *count = u64::saturating_add(*count, 1);
            }
            continue;
        }
        let of_row = |row: &Row<'_>| Ok((row::text(row, 0)?, row::text(row, 1)?, row::number(row, 2)?));
        let (output, agent, own) = names.query_row([id], of_row)?;
        if own != Some(number) {
            // It is the index that is damaged, which shows when the whole file is checked.
            continue;
        }
        // If the names of this one are damaged, those of another may not be.
        if let Some(found) = QueueId::of(&output, &agent).filter(|found| queue_number(found) == number) {
            known.insert(number, queues.len());
            queues.push((found, 1));
        } else {
            unknown.push((number, StoredId(id)));
        }
    }
    let unknown = unknown.into_iter().filter(|(number, _)| !known.contains_key(number)).map(|(_, id)| id).collect();
    Ok((queues, unknown))
}

/// The first that `found` finds among the payloads of a queue, oldest first. Columns that it does not ask for are not read.
pub(crate) fn first<T>(
    db: &Connection,
    queue: &QueueId,
    mut found: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    let mut blocks = db.prepare_cached("SELECT min(block) FROM payload WHERE status = 0 AND block > ?1")?;
    let mut select = db.prepare_cached(
        "SELECT id, program, count, refused_since, digest, content, attempts, created, epoch, content_type, encoding FROM payload
            WHERE status = 0 AND block = ?1 AND queue = ?2 ORDER BY id",
    )?;
    let (mut block, number) = (i64::MIN, queue_number(queue));
    while let Some(next) = blocks.query_row([block], |row| row.get(0))? {
        block = next;
        let mut rows = select.query([block, number])?;
        while let Some(row) = rows.next()? {
            if let Some(it) = found(row)? {
                return Ok(Some(it));
            }
        }
    }
    Ok(None)
}

/// The column of [`first`] with the digest.
pub(crate) const DIGEST: usize = 4;

fn queued(row: &Row<'_>) -> rusqlite::Result<QueuedPayload> {
    Ok(QueuedPayload {
        id: StoredId(row.get(0)?),
        program: row::text(row, 1)?,
        count: row::count(row, 2)?,
        refused_since: row::number(row, 3)?,
        digest: row::digest(row, DIGEST)?,
        bytes: row::blob(row, 5)?,
        attempts: row::number(row, 6)?.unwrap_or(0),
        created: row::number(row, 7)?.unwrap_or(0),
        epoch: row::number(row, 8)?.unwrap_or(0).cast_unsigned(),
        content_type: row::text(row, 9)?,
        encoding: row::text(row, 10)?,
    })
}
