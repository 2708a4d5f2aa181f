//! The spool as a person sees it: counts, lists, single payloads, and what can be done to them.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use pattoo_base::lock::read;
use rusqlite::{OptionalExtension as _, Row, ToSql, params_from_iter};

use crate::{
    OutputId, QueueId, Spool, SpoolError, StoredId,
    digest::Digest,
    queue::{count_dropped, to_sql, unix_millis},
    row,
};

/// How many payloads there are, and what became of the others. The last three count over the life of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpoolStats {
    /// Payloads in the queues.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// How long ago the oldest of them was stored.
    pub oldest: Option<Duration>,
    /// Payloads in quarantine.
    pub quarantined: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// Payloads that an output accepted.
    pub delivered: u64,
    /// Answers that were refusals.
    pub refused: u64,
    /// Payloads that were evicted, expired, or were deleted by a person.
    pub dropped: u64,
}

/// What is known of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadInfo {
    /// Its number.
    pub id: StoredId,
    /// Whether it is in quarantine; otherwise it is queued.
    pub quarantined: bool,
    /// The output that it is for.
    pub output: String,
    /// The agent that it is from.
    pub agent: String,
    /// The program that made it.
    pub program: String,
    /// When it was made, in Unix milliseconds.
    pub created: i64,
    /// When it was stored, in Unix milliseconds.
    pub stored: i64,
    /// How many datapoints it holds.
    pub count: u64,
    /// Its size.
    pub bytes: u64,
    /// How often it was refused.
    pub attempts: i64,
    /// What the output answered the last time.
    pub refusal: Option<String>,
}

/// A payload with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayload {
    /// What is known of it.
    pub info: PayloadInfo,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// The media type of the bytes.
    pub content_type: String,
    /// How the bytes are compressed; empty if they are not.
    pub encoding: String,
    /// Whether it is what was stored.
    pub intact: bool,
}

/// What became of payloads that were put back into their queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// How many are queued now.
    pub queued: u64,
    /// Those that are not what was stored. They stay as they were.
    pub damaged: Vec<StoredId>,
}

/// A choice of payloads. What is not given does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these numbers.
    pub ids: Vec<StoredId>,
    /// Only those in quarantine, or only those that are not.
    pub quarantined: Option<bool>,
    /// Only those of this program.
    pub program: Option<String>,
    /// Only those for this output.
    pub output: Option<OutputId>,
}

impl Selection {
    /// As the condition of a statement, with its values.
    fn condition(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let mut parts = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
            parts.push(format!("id IN ({})", ids.join(", ")));
        }
        if let Some(quarantined) = self.quarantined {
            parts.push(format!("status = {}", i32::from(quarantined)));
        }
        if let Some(program) = &self.program {
            parts.push("program = ?".to_owned());
            values.push(Box::new(program.clone()));
        }
        if let Some(output) = &self.output {
            parts.push("output = ?".to_owned());
            values.push(Box::new(output.to_string()));
        }
        (parts.join(" AND "), values)
    }
}

/// The columns of [`info`].
const INFO: &str = "id, status, output, agent, program, created, stored, count, bytes, attempts, refusal";
/// Those of [`info`], and after them those of [`intact`].
const ALL: &str = "id, status, output, agent, program, created, stored, count, bytes, attempts, refusal, digest, content, \
                   epoch, content_type, encoding";

fn info(row: &Row<'_>) -> rusqlite::Result<PayloadInfo> {
    Ok(PayloadInfo {
        id: StoredId(row.get(0)?),
        quarantined: row::number(row, 1)? == Some(1),
        output: row::text(row, 2)?,
        agent: row::text(row, 3)?,
        program: row::text(row, 4)?,
        created: row::number(row, 5)?.unwrap_or(0),
        stored: row::number(row, 6)?.unwrap_or(0),
        count: row::count(row, 7)?,
        bytes: row::count(row, 8)?,
        attempts: row::number(row, 9)?.unwrap_or(0),
        refusal: Some(row::text(row, 10)?).filter(|text| !text.is_empty()),
    })
}

/// The queue of a payload, if it is what was stored there.
fn intact(row: &Row<'_>) -> rusqlite::Result<Option<QueueId>> {
    let Some(queue) = QueueId::of(&row::text(row, 2)?, &row::text(row, 3)?) else { return Ok(None) };
    let epoch = row::number(row, 13)?.unwrap_or(0).cast_unsigned();
    let digest = Digest::of(&queue, &row::blob(row, 12)?, epoch, &row::text(row, 14)?, &row::text(row, 15)?);
    Ok((row::digest(row, 11)? == Some(digest)).then_some(queue))
}

impl Spool {
    /// Counts payloads.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn stats(&self) -> Result<SpoolStats, SpoolError> {
        self.read(|db| {
            let totals =
                "SELECT queued, queued_bytes, quarantined, quarantined_bytes, delivered, refused, dropped FROM totals";
            let mut stats = db.prepare_cached(totals)?.query_row([], |row| {
                Ok(SpoolStats {
                    queued: row::count(row, 0)?,
                    queued_bytes: row::count(row, 1)?,
                    oldest: None,
                    quarantined: row::count(row, 2)?,
                    quarantined_bytes: row::count(row, 3)?,
                    delivered: row::count(row, 4)?,
                    refused: row::count(row, 5)?,
                    dropped: row::count(row, 6)?,
                })
            })?;
            let oldest = "SELECT stored FROM payload NOT INDEXED WHERE status = 0 ORDER BY id LIMIT 1";
            let stored = db.prepare_cached(oldest)?.query_row([], |row| row::number(row, 0)).optional()?.flatten();
            // The wall clock may have been set back since.
            let age = |stored| u64::try_from(unix_millis().saturating_sub(stored)).unwrap_or(0);
            stats.oldest = stored.map(|stored| Duration::from_millis(age(stored)));
            Ok(stats)
        })
        .await
    }

    /// The selected payloads, oldest first, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn list(&self, selection: Selection, limit: u32) -> Result<Vec<PayloadInfo>, SpoolError> {
        self.read(move |db| {
            let (condition, values) = selection.condition();
            let mut select =
                db.prepare(&format!("SELECT {INFO} FROM payload WHERE {condition} ORDER BY id LIMIT {limit}"))?;
            select.query_map(params_from_iter(&values), info)?.collect()
        })
        .await
    }

    /// One payload, if it is there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn show(&self, id: StoredId) -> Result<Option<StoredPayload>, SpoolError> {
        self.read(move |db| {
            let mut select = db.prepare(&format!("SELECT {ALL} FROM payload WHERE id = ?1"))?;
            let found = select.query_row([id.0], |row| {
                Ok(StoredPayload {
                    info: info(row)?,
                    bytes: row::blob(row, 12)?,
                    content_type: row::text(row, 14)?,
                    encoding: row::text(row, 15)?,
                    intact: intact(row)?.is_some(),
                })
            });
            found.optional()
        })
        .await
    }

    /// Puts the selected payloads back into their queues and forgets their refusals, but for those that are not what was
    /// stored: these must not be sent. Processes that send from this spool are asked to try at once whatever waits: see
    /// [`retry_asked`](Self::retry_asked).
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn retry(&self, selection: Selection) -> Result<Retried, SpoolError> {
        let (retried, queues) = self
            .write(move |db| {
                let (condition, values) = selection.condition();
                let mut select = db.prepare(&format!("SELECT {ALL} FROM payload WHERE {condition} ORDER BY id"))?;
                let mut rows = select.query(params_from_iter(&values))?;
                let (mut retried, mut queues, mut damaged) = (Vec::new(), BTreeSet::new(), Vec::new());
                while let Some(row) = rows.next()? {
                    let id = StoredId(row.get(0)?);
                    if let Some(queue) = intact(row)? {
                        retried.push(id);
                        queues.insert(queue);
                    } else {
                        damaged.push(id);
                    }
                }
                let mut update = db.prepare(
                    "UPDATE payload SET status = 0, strikes = 0, accepted_at_strike = 0, refused_since = NULL WHERE id = ?1",
                )?;
                for id in &retried {
                    update.execute([id.0])?;
                }
                Ok((Retried { queued: retried.len() as u64, damaged }, queues))
            })
            .await?;
        for queue in queues {
            self.notify(queue);
        }
        if let Err(error) = read(&self.0.locks).ask() {
            tracing::warn!(
                "the payloads are queued, but a running daemon cannot be told to send them at once: {error}"
            );
        }
        Ok(retried)
    }

    /// When payloads were last [put back into their queues](Self::retry), by any process. Each change of it asks that waiting
    /// payloads are tried at once.
    pub fn retry_asked(&self) -> Option<SystemTime> {
        read(&self.0.locks).asked().ok()
    }

    /// Deletes the selected payloads. Returns how many.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn delete(&self, selection: Selection) -> Result<u64, SpoolError> {
        self.write(move |db| {
            let (condition, values) = selection.condition();
            let count = db.execute(&format!("DELETE FROM payload WHERE {condition}"), params_from_iter(&values))?;
            let count = count as u64;
            count_dropped(db, to_sql(count))?;
            Ok(count)
        })
        .await
    }
}
