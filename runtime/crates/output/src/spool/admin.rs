//! The spool as a person sees it: counts, lists, single bodies, and what can be done to them.

use std::{collections::BTreeSet, time::Duration};

use rusqlite::{OptionalExtension as _, Row, ToSql, params_from_iter};

use super::{
    Lane, Spool, SpoolError, StoredId, blob, number,
    queue::{digest, millis},
    text,
};
use crate::ServerUrl;

/// What there is, and what was. The last three count over the life of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bodies that wait to be posted.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// How long the oldest of them has been waiting.
    pub oldest: Option<Duration>,
    /// Bodies in quarantine.
    pub quarantined: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// Bodies that a server took.
    pub delivered: u64,
    /// Answers that were refusals.
    pub refused: u64,
    /// Bodies that fell off at a limit on size or age, or were dropped by a person.
    pub dropped: u64,
}

/// One body, without its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: StoredId,
    /// Whether it is in quarantine; else it is queued.
    pub quarantined: bool,
    /// Where it goes.
    pub server: String,
    /// Whose it is.
    pub agent: String,
    /// What collected it.
    pub program: String,
    /// When it was built, in Unix milliseconds.
    pub built: i64,
    /// When it was stored, in Unix milliseconds.
    pub stored: i64,
    /// Its datapoints.
    pub datapoints: i64,
    /// Its size.
    pub bytes: i64,
    /// How often it was refused.
    pub attempts: i64,
    /// What the server said the last time.
    pub refusal: Option<String>,
}

/// A body with its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is known of it.
    pub entry: Entry,
    /// What is posted.
    pub json: Vec<u8>,
    /// Whether it is what was stored.
    pub intact: bool,
}

/// What became of bodies that were to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// How many are in the queue now.
    pub queued: u64,
    /// Those that are not what was stored. They stay as they were.
    pub damaged: Vec<StoredId>,
}

/// Which bodies are meant. What is not given does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These numbers only.
    pub ids: Vec<StoredId>,
    /// Those in quarantine, or those that are not.
    pub quarantined: Option<bool>,
    /// Those of this program only.
    pub program: Option<String>,
    /// Those for this server only.
    pub server: Option<ServerUrl>,
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
        if let Some(server) = &self.server {
            parts.push("server = ?".to_owned());
            values.push(Box::new(server.to_string()));
        }
        (parts.join(" AND "), values)
    }
}

const ENTRY: &str =
    "id, status, server, agent, program, built, stored, datapoints, bytes, attempts, refusal, digest, json";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: StoredId(row.get(0)?),
        quarantined: number(row, 1)? == Some(1),
        server: text(row, 2)?,
        agent: text(row, 3)?,
        program: text(row, 4)?,
        built: number(row, 5)?.unwrap_or(0),
        stored: number(row, 6)?.unwrap_or(0),
        datapoints: number(row, 7)?.unwrap_or(0),
        bytes: number(row, 8)?.unwrap_or(0),
        attempts: number(row, 9)?.unwrap_or(0),
        refusal: Some(text(row, 10)?).filter(|text| !text.is_empty()),
    })
}

/// Whose body a row of [`ENTRY`] is, if it is what was stored.
fn intact_lane(row: &Row<'_>) -> rusqlite::Result<Option<Lane>> {
    let (server, agent) = (text(row, 2)?, text(row, 3)?);
    let (kept, json) = (blob(row, 11)?, blob(row, 12)?);
    Ok(super::lane_of(&server, &agent).filter(|lane| digest(lane, &json) == kept))
}

impl Spool {
    /// What there is, and what was.
    pub async fn stats(&self) -> Result<Stats, SpoolError> {
        self.read(|db| {
            let totals =
                "SELECT queued, queued_bytes, quarantined, quarantined_bytes, delivered, refused, dropped FROM totals";
            let mut stats = db.prepare_cached(totals)?.query_row([], |row| {
                let number = |at| row.get::<_, i64>(at).map(|number| u64::try_from(number).unwrap_or(0));
                Ok(Stats {
                    queued: number(0)?,
                    queued_bytes: number(1)?,
                    oldest: None,
                    quarantined: number(2)?,
                    quarantined_bytes: number(3)?,
                    delivered: number(4)?,
                    refused: number(5)?,
                    dropped: number(6)?,
                })
            })?;
            let oldest = "SELECT stored FROM body NOT INDEXED WHERE status = 0 ORDER BY id LIMIT 1";
            let stored = db.prepare_cached(oldest)?.query_row([], |row| number(row, 0)).optional()?.flatten();
            stats.oldest =
                stored.map(|stored| Duration::from_millis(u64::try_from(millis().saturating_sub(stored)).unwrap_or(0)));
            Ok(stats)
        })
        .await
    }

    /// The bodies that are meant, oldest first, at most `limit` of them.
    pub async fn list(&self, selection: Selection, limit: u32) -> Result<Vec<Entry>, SpoolError> {
        self.read(move |db| {
            let (condition, values) = selection.condition();
            let mut select =
                db.prepare(&format!("SELECT {ENTRY} FROM body WHERE {condition} ORDER BY id LIMIT {limit}"))?;
            select.query_map(params_from_iter(&values), entry)?.collect()
        })
        .await
    }

    /// One body, if it is there.
    pub async fn show(&self, id: StoredId) -> Result<Option<Found>, SpoolError> {
        self.read(move |db| {
            let mut select = db.prepare(&format!("SELECT {ENTRY} FROM body WHERE id = ?1"))?;
            let found = select.query_row([id.0], |row| {
                Ok(Found { entry: entry(row)?, json: blob(row, 12)?, intact: intact_lane(row)?.is_some() })
            });
            found.optional()
        })
        .await
    }

    /// Puts the bodies that are meant back into the queue, with nothing held against them, but for those that are not what was
    /// stored: no server is to get these.
    pub async fn retry(&self, selection: Selection) -> Result<Retried, SpoolError> {
        let (retried, lanes) = self
            .write(move |db| {
                let (condition, values) = selection.condition();
                let mut select = db.prepare(&format!("SELECT {ENTRY} FROM body WHERE {condition} ORDER BY id"))?;
                let mut rows = select.query(params_from_iter(&values))?;
                let (mut intact, mut lanes, mut damaged) = (Vec::new(), BTreeSet::new(), Vec::new());
                while let Some(row) = rows.next()? {
                    let (entry, lane) = (entry(row)?, intact_lane(row)?);
                    if let Some(lane) = lane {
                        intact.push(entry.id);
                        lanes.insert(lane);
                    } else {
                        damaged.push(entry.id);
                    }
                }
                let mut update = db.prepare(
                    "UPDATE body SET status = 0, strikes = 0, accepted_at_strike = 0, refused_since = NULL WHERE id = ?1",
                )?;
                for id in &intact {
                    update.execute([id.0])?;
                }
                Ok((Retried { queued: intact.len() as u64, damaged }, lanes))
            })
            .await?;
        for lane in lanes {
            self.tell(lane);
        }
        Ok(retried)
    }

    /// Deletes the bodies that are meant. Returns how many.
    pub async fn drop_bodies(&self, selection: Selection) -> Result<u64, SpoolError> {
        self.write(move |db| {
            let (condition, values) = selection.condition();
            let count = db.execute(&format!("DELETE FROM body WHERE {condition}"), params_from_iter(&values))?;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            super::queue::count_dropped(db, count)?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }
}
