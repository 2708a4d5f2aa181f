//! Into the queue, and out of it.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::pattoo::Body;
use pattoo_base::clock::unix_millis;
use pattoo_measurement::Program;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use super::{Lane, Spool, SpoolError, StoredId, blob, lane_of, number, number_of, share, text};
use crate::ServerUrl;

/// How many bodies are fetched at once for posting, at most.
const MAX_FETCHED: usize = 32;
/// How many bytes of bodies are fetched at once; one body is fetched however large it is.
const MAX_FETCHED_BYTES: usize = 1 << 20;
/// How often it is said that bodies were dropped to make room, at most.
const SAID_EVERY: Duration = Duration::from_mins(1);
/// Gives pages back to the file system.
const VACUUM: &str = "PRAGMA incremental_vacuum(25)";
/// How often that is done at most, one after the other.
const VACUUM_STEPS: usize = 80;
/// How much of a refusal's text is kept, in bytes.
const MAX_REFUSAL: usize = 1000;

/// A body in the queue, as it is posted.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) id: StoredId,
    pub(crate) program: String,
    pub(crate) datapoints: i64,
    /// Unix milliseconds.
    pub(crate) refused_since: Option<i64>,
    pub(crate) attempts: i64,
    pub(crate) json: Vec<u8>,
    digest: Vec<u8>,
}

impl Queued {
    /// Whether it is what was stored.
    pub(crate) fn is_intact(&self, lane: &Lane) -> bool {
        self.digest == digest(lane, &self.json)
    }
}

/// Which bodies are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Old {
    /// All up to this number.
    pub(crate) up_to: i64,
    /// And those up to this number
    pub(crate) found: i64,
    /// that were stored before this time, in Unix milliseconds.
    pub(crate) stored_before: i64,
}

impl Old {
    /// Whether the body with this number, which was stored at that time, is one of them.
    pub(crate) fn is_old(self, number: i64, stored: i64) -> bool {
        number <= self.up_to || (number <= self.found && stored < self.stored_before)
    }
}

/// A refusal, and by what rule it counts.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// What the server said.
    pub(crate) text: String,
    /// Whether it can mean the body, so that it may lead to quarantine.
    pub(crate) of_the_body: bool,
    /// Whether the first one counts, before which nothing can have been accepted.
    pub(crate) first_counts: bool,
    /// How many such refusals, each with another body accepted since the one before, are enough.
    pub(crate) strikes: u32,
}

/// What became of a body that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It stays in the queue.
    Kept,
    /// It is in quarantine now.
    Quarantined,
}

/// What a stored body is known again by.
pub(super) fn digest(lane: &Lane, json: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(lane.to_string()).chain_update(json).finalize().to_vec()
}

pub(super) fn millis() -> i64 {
    i64::try_from(unix_millis()).unwrap_or(i64::MAX)
}

impl Spool {
    /// Stores a body for `server`. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it could not be stored: then it is not in the spool.
    pub async fn store(&self, body: &Body, program: &Program, server: &ServerUrl) -> Result<StoredId, SpoolError> {
        let lane = Lane { server: server.clone(), agent: body.agent_id().clone() };
        self.insert(lane, program, body.timestamp(), body.datapoints(), body.json(), false).await
    }

    /// Stores a body; with `once` not one that is queued already.
    pub(crate) async fn insert(
        &self,
        lane: Lane,
        program: &Program,
        built: u64,
        datapoints: usize,
        json: &[u8],
        once: bool,
    ) -> Result<StoredId, SpoolError> {
        let limit = self.0.limits.bytes;
        if json.len() as u64 > limit {
            return Err(SpoolError::TooLarge { bytes: json.len() as u64, limit });
        }
        let size = json.len() as u64;
        let row = Arc::new((lane.clone(), program.clone(), digest(&lane, json), json.to_vec()));
        let (built, datapoints) = (to_sql(built), to_sql(datapoints as u64));
        tracing::trace!("{program}: storing a body");
        let stored = self
            .write(move |db| {
                let (lane, program, digest, json) = &*row;
                if once {
                    let same = |row: &Row<'_>| -> rusqlite::Result<_> {
                        let same = blob(row, DIGEST)? == *digest;
                        same.then(|| row.get(0).map(StoredId)).transpose()
                    };
                    if let Some(there) = first(db, lane, same)? {
                        return Ok(Ok((there, share::Evicted::new())));
                    }
                }
                let (bytes, limit) = (to_sql(json.len() as u64), to_sql(limit));
                let full = share::total(db)?.saturating_add(bytes) > limit;
                if full {
                    share::count(db)?;
                    // So that what was dropped for this one is back if it finds no room all the same.
                    db.prepare_cached("SAVEPOINT room")?.execute([])?;
                }
                let insert =
                    "INSERT INTO body (lane, server, agent, program, built, stored, datapoints, bytes, digest, json)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
                db.prepare_cached(insert)?.execute(params![
                    number_of(lane),
                    lane.server.to_string(),
                    lane.agent.as_str(),
                    program.as_str(),
                    built,
                    millis(),
                    datapoints,
                    bytes,
                    digest,
                    json
                ])?;
                let id = StoredId(db.last_insert_rowid());
                if !full {
                    return Ok(Ok((id, share::Evicted::new())));
                }
                let made = share::make_room(db, limit, id)?;
                if made.is_err() {
                    db.prepare_cached("ROLLBACK TO room")?.execute([])?;
                }
                db.prepare_cached("RELEASE room")?.execute([])?;
                Ok(made.map(|evicted| (id, evicted)))
            })
            .await?;
        let (id, evicted) = stored.map_err(|share::NoRoom { others }| SpoolError::NoRoom {
            bytes: size,
            left: limit.saturating_sub(u64::try_from(others).unwrap_or(0)),
        })?;
        tracing::trace!("body {id} is stored");
        self.say_evicted(evicted);
        self.tell(lane);
        Ok(id)
    }

    /// Says what was dropped to make room, at once and then once in [`SAID_EVERY`]: in an outage each body that is stored drops another.
    fn say_evicted(&self, evicted: share::Evicted) {
        if evicted.is_empty() {
            return;
        }
        let mut evictions = self.0.evictions.lock().unwrap_or_else(PoisonError::into_inner);
        for (program, count) in evicted {
            let sum = evictions.unsaid.entry(program).or_default();
            *sum = sum.saturating_add(count);
        }
        if evictions.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return;
        }
        evictions.said = Some(Instant::now());
        let unsaid = std::mem::take(&mut evictions.unsaid);
        drop(evictions);
        let of: Vec<String> = unsaid.iter().map(|(program, count)| format!("{count} of {program}")).collect();
        let limit = self.0.limits.bytes;
        tracing::error!(
            "the spool is at its limit of {limit} bytes: bodies were dropped, {}; the agent that holds the most gives up its oldest",
            pattoo_base::text::one_line(&of.join(", "), MAX_REFUSAL)
        );
    }

    /// The next bodies of a lane, oldest first.
    pub(crate) async fn next(&self, lane: &Lane) -> Result<Vec<Queued>, SpoolError> {
        let lane = lane.clone();
        self.read(move |db| {
            let (mut bodies, mut bytes) = (Vec::new(), 0usize);
            first(db, &lane, |row| {
                let body = queued(row)?;
                bytes = bytes.saturating_add(body.json.len());
                let fits = bytes <= MAX_FETCHED_BYTES || bodies.is_empty();
                if fits {
                    bodies.push(body);
                }
                Ok((!fits || bodies.len() >= MAX_FETCHED).then_some(()))
            })?;
            Ok(bodies)
        })
        .await
    }

    /// Deletes a body that `server` took, and remembers that it takes bodies.
    pub(crate) async fn delivered(&self, id: StoredId, server: &ServerUrl) -> Result<(), SpoolError> {
        let server = server.to_string();
        self.write(move |db| {
            db.prepare_cached("DELETE FROM body WHERE id = ?1")?.execute([id.0])?;
            db.prepare_cached("UPDATE totals SET delivered = delivered + 1")?.execute([])?;
            let accepted = "INSERT INTO server VALUES (?1, 1) ON CONFLICT DO UPDATE SET accepted = accepted + 1";
            db.prepare_cached(accepted)?.execute([&server])?;
            Ok(())
        })
        .await
    }

    /// Writes down that a body was refused, and puts it into quarantine if that was once too often.
    pub(crate) async fn refused(
        &self,
        id: StoredId,
        server: &ServerUrl,
        refusal: Refusal,
    ) -> Result<Judgement, SpoolError> {
        let server = server.to_string();
        self.write(move |db| {
            let text = pattoo_base::text::one_line(&refusal.text, MAX_REFUSAL);
            let update =
                "UPDATE body SET attempts = attempts + 1, refusal = ?2, refused_since = coalesce(refused_since, ?3)
                WHERE id = ?1";
            db.prepare_cached(update)?.execute(params![id.0, text, millis()])?;
            db.prepare_cached("UPDATE totals SET refused = refused + 1")?.execute([])?;
            if !refusal.of_the_body && refusal.first_counts {
                return Ok(Judgement::Kept);
            }
            let accepted = db
                .prepare_cached("SELECT accepted FROM server WHERE url = ?1")?
                .query_row([&server], |row| row.get::<_, i64>(0))
                .optional()?
                .unwrap_or(0);
            if !refusal.first_counts {
                // What is accepted from now on is company.
                let begin = "UPDATE body SET accepted_at_strike = ?2
                    WHERE id = ?1 AND strikes = 0 AND accepted_at_strike = 0";
                let begun = db.prepare_cached(begin)?.execute(params![id.0, accepted])? > 0;
                if begun || !refusal.of_the_body {
                    return Ok(Judgement::Kept);
                }
            }
            // The first refusal counts as it is, each further one only if the server took something else since.
            let strike = "UPDATE body SET strikes = strikes + 1, accepted_at_strike = ?2
                WHERE id = ?1 AND (accepted_at_strike < ?2 OR (strikes = 0 AND ?3))";
            db.prepare_cached(strike)?.execute(params![id.0, accepted, refusal.first_counts])?;
            let quarantine = "UPDATE body SET status = 1 WHERE id = ?1 AND status = 0 AND strikes >= ?2";
            match db.prepare_cached(quarantine)?.execute(params![id.0, refusal.strikes])? {
                0 => Ok(Judgement::Kept),
                _ => Ok(Judgement::Quarantined),
            }
        })
        .await
    }

    /// Puts a body into quarantine at once, for a reason of our own.
    pub(crate) async fn quarantine(&self, id: StoredId, reason: &'static str) -> Result<(), SpoolError> {
        self.write(move |db| {
            let update = "UPDATE body SET status = 1, refusal = ?2 WHERE id = ?1";
            db.prepare_cached(update)?.execute(params![id.0, reason]).map(|_| ())
        })
        .await
    }

    /// Every lane that has something queued. Bodies of which nothing tells whose they are any more go to quarantine.
    pub(crate) async fn lanes(&self) -> Result<Vec<Lane>, SpoolError> {
        let (lanes, nobodys) = self
            .read(|db| {
                // In the index alone, but for one body of each.
                let mut select =
                    db.prepare_cached("SELECT lane, id FROM body WHERE status = 0 ORDER BY block, lane")?;
                let mut whose = db.prepare_cached("SELECT server, agent, lane FROM body WHERE id = ?1")?;
                let (mut lanes, mut known, mut nobodys) = (Vec::new(), HashSet::new(), Vec::new());
                let mut rows = select.query([])?;
                while let Some(row) = rows.next()? {
                    let (lane, id): (i64, i64) = (row.get(0)?, row.get(1)?);
                    if known.contains(&lane) {
                        continue;
                    }
                    let names = |row: &Row<'_>| Ok((text(row, 0)?, text(row, 1)?, number(row, 2)?));
                    let (server, agent, own) = whose.query_row([id], names)?;
                    if own != Some(lane) {
                        // It is the index that is damaged, which shows when the file is looked through.
                        continue;
                    }
                    // If the names of this one are damaged, those of another may not be.
                    if let Some(found) = lane_of(&server, &agent).filter(|found| number_of(found) == lane) {
                        known.insert(lane);
                        lanes.push(found);
                    } else {
                        nobodys.push((lane, StoredId(id)));
                    }
                }
                nobodys.retain(|(lane, _)| !known.contains(lane));
                Ok((lanes, nobodys))
            })
            .await?;
        for (_, id) in nobodys {
            tracing::error!("body {id} is damaged on disk and set aside: nothing tells whose it is");
            self.quarantine(id, "damaged on disk: nothing tells whose it is").await?;
        }
        Ok(lanes)
    }

    /// Numbers that change when another process has written, or the file is another.
    pub(crate) async fn foreign_changes(&self) -> Result<(u64, i64), SpoolError> {
        let generation = self.0.generation.load(Ordering::Relaxed);
        Ok((generation, self.read(|db| db.query_row("PRAGMA data_version", [], |row| row.get(0))).await?))
    }

    /// The newest number that a body has had.
    pub(crate) async fn newest(&self) -> Result<i64, SpoolError> {
        self.read(|db| {
            let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'body'";
            db.prepare_cached(newest)?.query_row([], |row| row.get(0))
        })
        .await
    }

    /// How long a body may lie here.
    pub(crate) fn longest_age(&self) -> Duration {
        self.0.limits.age
    }

    /// Drops what is too old, and gives free space back to the file system. Returns how many were dropped.
    pub(crate) async fn sweep(&self, old: Old) -> Result<i64, SpoolError> {
        let dropped = self
            .write(move |db| {
                let mut dropped = 0i64;
                // What was stored first has the smallest number, so this ends at the first that is young enough.
                let first = "SELECT id, stored FROM body NOT INDEXED ORDER BY id LIMIT 1";
                let mut first = db.prepare_cached(first)?;
                let mut delete = db.prepare_cached("DELETE FROM body WHERE id = ?1")?;
                let oldest_row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, number(row, 1)?.unwrap_or(i64::MAX)));
                while let Some((id, stored)) = first.query_row([], oldest_row).optional()? {
                    if !old.is_old(id, stored) {
                        break;
                    }
                    delete.execute([id])?;
                    dropped = dropped.saturating_add(1);
                }
                count_dropped(db, dropped)?;
                Ok(dropped)
            })
            .await?;
        let half = to_sql(self.0.limits.bytes).div_euclid(2);
        let mut all = 0u32;
        for _ in 0..VACUUM_STEPS {
            let freed = self
                .write(move |db| {
                    if share::total(db)? < half {
                        share::forget(db)?;
                    }
                    // The pragma does a page for each row that is fetched of it. A few at a time, for which there is room in any case.
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
        Ok(dropped)
    }
}

pub(super) fn count_dropped(db: &Connection, dropped: i64) -> rusqlite::Result<()> {
    if dropped > 0 {
        db.prepare_cached("UPDATE totals SET dropped = dropped + ?1")?.execute([dropped])?;
    }
    Ok(())
}

/// The first that `found` finds among the queued bodies of a lane, oldest first. Of what it does not ask for nothing is read.
fn first<T>(
    db: &Connection,
    lane: &Lane,
    mut found: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    let mut blocks = db.prepare_cached("SELECT min(block) FROM body WHERE status = 0 AND block > ?1")?;
    let mut select = db.prepare_cached(
        "SELECT id, program, datapoints, refused_since, digest, json, attempts FROM body
            WHERE status = 0 AND block = ?1 AND lane = ?2 ORDER BY id",
    )?;
    let (mut block, number) = (i64::MIN, number_of(lane));
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
const DIGEST: usize = 4;

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    Ok(Queued {
        id: StoredId(row.get(0)?),
        program: text(row, 1)?,
        datapoints: number(row, 2)?.unwrap_or(0),
        refused_since: number(row, 3)?,
        digest: blob(row, DIGEST)?,
        json: blob(row, 5)?,
        attempts: number(row, 6)?.unwrap_or(0),
    })
}

pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
