//! Eviction: which payload makes room for a new one when the spool is at its limit of size.
//!
//! Every agent has a share that is safe: the limit divided by the number of agents that have something in the spool.
//! What some agents do not use of theirs, others may use. When there is no room, the agent that holds the most loses a
//! payload: first one in quarantine, then its oldest. At that moment all payloads together exceed the limit, so the agent
//! that holds the most holds more than its share, and one that keeps within its share loses nothing to another.
//!
//! What each agent holds is counted in temporary tables of the connection, which triggers keep up to date and which a
//! transaction that fails takes back with everything else. They are made when the limit is first reached, by one pass
//! over all payloads, and are dropped when the spool is half empty, so that storing costs nothing more until then. What
//! another process stores or deletes meanwhile shows in the version of the file: what it stored is added, and where that
//! does not explain the totals of the file, all is counted once more.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{StoredId, queue::count_dropped, row};

/// `queue_of_agent.block`: a block of the index before which the queue has nothing.
const TABLES: &str = "
    CREATE TEMP TABLE holding (agent TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX temp.holding_bytes ON holding (bytes);
    CREATE TEMP TABLE queue_of_agent (queue INTEGER PRIMARY KEY, agent TEXT NOT NULL, block INTEGER NOT NULL);
    CREATE INDEX temp.queue_agent ON queue_of_agent (agent);
    CREATE TEMP TABLE counted (version INTEGER NOT NULL, last INTEGER NOT NULL);
    CREATE TEMP TRIGGER held AFTER INSERT ON main.payload BEGIN
        INSERT INTO holding VALUES (NEW.agent, NEW.bytes) ON CONFLICT (agent) DO UPDATE SET bytes = bytes + NEW.bytes;
        INSERT OR IGNORE INTO queue_of_agent VALUES (NEW.queue, NEW.agent, NEW.id >> 12);
        UPDATE counted SET last = NEW.id;
    END;
    CREATE TEMP TRIGGER given_back AFTER DELETE ON main.payload BEGIN
        UPDATE holding SET bytes = bytes - OLD.bytes WHERE agent = OLD.agent;
    END;
";
const NO_TABLES: &str = "
    DROP TRIGGER temp.held; DROP TRIGGER temp.given_back;
    DROP TABLE temp.holding; DROP TABLE temp.queue_of_agent; DROP TABLE temp.counted;
";

/// What was evicted: how many payloads of each program.
pub(crate) type Evicted = BTreeMap<String, u64>;

/// There is no room: apart from what is being stored its agent holds nothing to evict, and the others hold so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    /// Bytes that others hold, each within its share.
    pub(crate) others: i64,
}

/// The bytes of all payloads.
pub(crate) fn total(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT queued_bytes + quarantined_bytes FROM totals")?.query_row([], |row| row.get(0))
}

/// Evicts payloads until what is left fits. Those with the number `first` and above were just inserted, have `size`
/// bytes, and stay.
pub(crate) fn make_room(
    db: &Connection,
    limit: i64,
    first: StoredId,
    size: i64,
) -> rusqlite::Result<Result<Evicted, NoRoom>> {
    let mut evicted = Evicted::new();
    let mut count = 0i64;
    while total(db)? > limit {
        let Some(id) = next_to_evict(db)? else { break };
        if id >= first {
            return Ok(Err(NoRoom { others: total(db)?.saturating_sub(size) }));
        }
        let program: Option<String> = db
            .prepare_cached("DELETE FROM payload WHERE id = ?1 RETURNING program")?
            .query_row([id.0], |row| row::text(row, 0))
            .optional()?;
        let Some(program) = program else { break };
        let of_program = evicted.entry(program).or_default();
        *of_program = of_program.saturating_add(1);
        count = count.saturating_add(1);
    }
    count_dropped(db, count)?;
    Ok(Ok(evicted))
}

/// Makes sure that what each agent holds is known, if it has to be: before anything is stored in a spool that is nearly full.
pub(crate) fn count(db: &Connection) -> rusqlite::Result<()> {
    let version: i64 = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    if !is_counted(db)? {
        db.execute_batch(TABLES)?;
        return count_all(db, version);
    }
    let seen = db
        .prepare_cached("SELECT version, last FROM temp.counted")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((seen, last)) = seen else { return count_all(db, version) };
    if seen == version {
        return Ok(());
    }
    // What others stored since, and nothing else?
    add_from(db, last)?;
    let held: i64 =
        db.prepare_cached("SELECT coalesce(sum(bytes), 0) FROM temp.holding")?.query_row([], |row| row.get(0))?;
    if held != total(db)? {
        return count_all(db, version);
    }
    db.prepare_cached("UPDATE temp.counted SET version = ?1")?.execute([version])?;
    Ok(())
}

/// Forgets what each agent holds. It is counted again when it has to be known.
pub(crate) fn forget(db: &Connection) -> rusqlite::Result<()> {
    if is_counted(db)? { db.execute_batch(NO_TABLES) } else { Ok(()) }
}

fn is_counted(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT count(*) FROM temp.sqlite_schema WHERE name = 'counted'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(|count| count > 0)
}

fn count_all(db: &Connection, version: i64) -> rusqlite::Result<()> {
    db.execute_batch("DELETE FROM temp.holding; DELETE FROM temp.queue_of_agent; DELETE FROM temp.counted")?;
    db.execute("INSERT INTO temp.counted VALUES (?1, 0)", [version])?;
    add_from(db, 0)
}

/// Adds the payloads with numbers above `last`.
fn add_from(db: &Connection, last: i64) -> rusqlite::Result<()> {
    // In the table itself, and of each row no more than its first page.
    let mut select =
        db.prepare_cached("SELECT id, agent, queue, bytes FROM payload NOT INDEXED WHERE id > ?1 ORDER BY id")?;
    let mut holding = db.prepare_cached(
        "INSERT INTO temp.holding VALUES (?1, ?2) ON CONFLICT (agent) DO UPDATE SET bytes = bytes + excluded.bytes",
    )?;
    let mut queue_of = db.prepare_cached("INSERT OR IGNORE INTO temp.queue_of_agent VALUES (?1, ?2, ?3 >> 12)")?;
    let mut held: BTreeMap<String, i64> = BTreeMap::new();
    let (mut last, mut known) = (last, std::collections::HashSet::new());
    let mut rows = select.query([last])?;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let agent = row::text(row, 1)?;
        let queue = row::number(row, 2)?.unwrap_or(0);
        if known.insert(queue) {
            queue_of.execute(params![queue, agent, last])?;
        }
        let bytes = held.entry(agent).or_default();
        *bytes = bytes.saturating_add(row::number(row, 3)?.unwrap_or(0));
    }
    for (agent, bytes) in held {
        holding.execute(params![agent, bytes])?;
    }
    db.prepare_cached("UPDATE temp.counted SET last = ?1")?.execute([last])?;
    Ok(())
}

/// The payload that is evicted next: of the agent that holds the most one in quarantine, or its oldest.
fn next_to_evict(db: &Connection) -> rusqlite::Result<Option<StoredId>> {
    let most = "SELECT agent FROM temp.holding ORDER BY bytes DESC LIMIT 1";
    let agent: Option<String> = db.prepare_cached(most)?.query_row([], |row| row.get(0)).optional()?;
    if let Some(agent) = agent {
        for status in [1, 0] {
            if let Some(id) = oldest(db, &agent, status)? {
                return Ok(Some(id));
            }
        }
    }
    // Only where damage hides what an agent holds: the oldest of all.
    let oldest = "SELECT min(id) FROM payload NOT INDEXED";
    Ok(db.prepare_cached(oldest)?.query_row([], |row| row.get::<_, Option<i64>>(0))?.map(StoredId))
}

/// The oldest payload of an agent with this status.
fn oldest(db: &Connection, agent: &str, status: i64) -> rusqlite::Result<Option<StoredId>> {
    let queues: Vec<(i64, i64)> = db
        .prepare_cached("SELECT queue, block FROM temp.queue_of_agent WHERE agent = ?1")?
        .query_map([agent], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut blocks = db.prepare_cached("SELECT min(block) FROM payload WHERE status = ?1 AND block >= ?2")?;
    let mut first = db.prepare_cached("SELECT min(id) FROM payload WHERE status = ?1 AND block = ?2 AND queue = ?3")?;
    let mut found: Option<i64> = None;
    for (queue, from) in queues {
        let mut from = from;
        while let Some(block) = blocks.query_row([status, from], |row| row.get::<_, Option<i64>>(0))? {
            if let Some(id) = first.query_row([status, block, queue], |row| row.get::<_, Option<i64>>(0))? {
                found = Some(found.map_or(id, |found| found.min(id)));
                // What is in quarantine now may be in the queue again later, in front of this.
                if status == 0 && quarantined(db)? == 0 {
                    let update = "UPDATE temp.queue_of_agent SET block = ?2 WHERE queue = ?1 AND block < ?2";
                    db.prepare_cached(update)?.execute([queue, block])?;
                }
                break;
            }
            from = block.saturating_add(1);
        }
    }
    Ok(found.map(StoredId))
}

fn quarantined(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT quarantined FROM totals")?.query_row([], |row| row.get(0))
}
