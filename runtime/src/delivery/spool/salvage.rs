//! What to do with a damaged file: move it aside, and take over what is intact.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, Row, config::DbConfig};

use super::{SCHEMA, lane_of, queue::digest};
use crate::{
    capability::unix_millis,
    database::{Database, DatabaseError},
};

/// What may lie beside the file of a database and belongs to it.
const LOGS: [&str; 2] = ["-wal", "-shm"];
/// How many numbers beyond the last one that was found are tried.
const BEYOND: i64 = 100_000;

/// Runs `PRAGMA quick_check` or `integrity_check` on a connection of its own.
pub(super) fn check(path: &Path, pragma: &str) -> Result<(), DatabaseError> {
    let damaged = |detail: String| DatabaseError::Damaged { path: path.to_owned(), detail };
    let look = || -> rusqlite::Result<String> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.busy_timeout(std::time::Duration::from_secs(20))?;
        db.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))
    };
    match look() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(damaged(crate::text::one_line(&answer, 200))),
        Err(error) => Err(DatabaseError::new(path, &error)),
    }
}

/// The new file, once it holds all that was saved.
pub(super) fn saved(path: &Path) -> PathBuf {
    path.with_file_name("saved.sqlite3")
}

/// Puts a new file with what is intact in its place, and keeps the damaged one aside. Nobody else has it open.
///
/// At each moment either the damaged file is where it was, or what was saved of it is complete in [`saved`]: a process that is killed
/// here has the next one do it again.
pub(super) fn replace(path: &Path) -> Result<Database, DatabaseError> {
    let failed = |error: std::io::Error| DatabaseError::io(path, &error);
    let (draft, saved) = (path.with_file_name("draft.sqlite3"), saved(path));
    let rows = salvage(path, &path.with_file_name("copy.sqlite3")).map_err(failed)?;
    remove(&draft);
    Database::open(&draft, SCHEMA)?.close();
    let count = fill(&draft, rows).map_err(|error| DatabaseError::new(&draft, &error))?;
    fs::rename(&draft, &saved).map_err(failed)?;
    sync_folder(path).map_err(failed)?;

    let aside = path.with_file_name(format!("damaged-{}.sqlite3", unix_millis()));
    if path.exists() {
        fs::hard_link(path, &aside).map_err(failed)?;
    }
    // A log that stayed would be taken for one of the new file.
    for suffix in LOGS {
        match fs::rename(with(path, suffix), with(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(&saved, path).map_err(failed)?;
    sync_folder(path).map_err(failed)?;
    tracing::error!(
        "{count} intact bodies were taken over into a new spool; what is left of the damaged one is {}",
        aside.display()
    );
    Database::open(path, SCHEMA)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes the files of a database of ours that nobody needs.
fn remove(path: &Path) {
    for suffix in [""].into_iter().chain(LOGS) {
        // What is not there needs not be removed.
        let _ = fs::remove_file(with(path, suffix));
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A row of `body`, as it is inserted again.
type Values = Vec<rusqlite::types::Value>;

const COLUMNS: &str = "id, status, server, agent, program, built, stored, datapoints, attempts, strikes, accepted_at_strike, \
                       refused_since, refusal, bytes, digest, json";

/// Every intact row that can be found in the database at `path`, by its number. It is looked for in a copy, `copy`, so that what was
/// found damaged stays as it is.
fn salvage(path: &Path, copy: &Path) -> std::io::Result<BTreeMap<i64, Values>> {
    let mut rows = BTreeMap::new();
    for mended in [false, true] {
        remove(copy);
        for suffix in [""].into_iter().chain(LOGS) {
            match fs::copy(with(path, suffix), with(copy, suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if mended {
            // The first page holds the header and the list of tables, which are the same in every file of ours.
            mend_first_page(copy)?;
        }
        if let Err(error) = collect(copy, &mut rows) {
            tracing::warn!("while looking for intact bodies in {}: {error}", path.display());
        }
        if !rows.is_empty() {
            break;
        }
    }
    remove(copy);
    // An earlier recovery that was interrupted may have found more, as it still had the log.
    let saved = saved(path);
    if saved.exists()
        && let Err(error) = collect(&saved, &mut rows)
    {
        tracing::warn!("while looking for intact bodies in {}: {error}", saved.display());
    }
    Ok(rows)
}

fn collect(path: &Path, rows: &mut BTreeMap<i64, Values>) -> rusqlite::Result<()> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "cell_size_check", true)?;
    // In both directions, as far as it goes; then number by number for what lies between two damaged places.
    let mut last = 0;
    for direction in ["ASC", "DESC"] {
        let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM body NOT INDEXED ORDER BY id {direction}"))?;
        let mut found = select.query([])?;
        let mut whole = true;
        loop {
            match found.next() {
                Ok(Some(row)) => {
                    last = last.max(row.get(0).unwrap_or(0));
                    keep(row, rows);
                }
                Ok(None) => break,
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        if whole {
            return Ok(());
        }
    }
    for source in ["SELECT seq FROM sqlite_sequence", "SELECT max(id) FROM body INDEXED BY lane WHERE status = 0"] {
        last = last.max(db.query_row(source, [], |row| row.get(0)).unwrap_or(0));
    }
    let first = rows.keys().next().copied().unwrap_or(1).min(last);
    let mut one = db.prepare(&format!("SELECT {COLUMNS} FROM body NOT INDEXED WHERE id = ?1"))?;
    for id in first..=last.min(first.saturating_add(BEYOND.saturating_mul(100))) {
        if rows.contains_key(&id) {
            continue;
        }
        if let Ok(mut found) = one.query([id])
            && let Ok(Some(row)) = found.next()
        {
            keep(row, rows);
        }
    }
    Ok(())
}

/// Keeps a row that is what was stored.
fn keep(row: &Row<'_>, rows: &mut BTreeMap<i64, Values>) {
    let intact = || -> Option<(i64, Values)> {
        let (server, agent): (String, String) = (row.get(2).ok()?, row.get(3).ok()?);
        let (kept, json): (Vec<u8>, Vec<u8>) = (row.get(14).ok()?, row.get(15).ok()?);
        let lane = lane_of(&server, &agent)?;
        if digest(&lane.agent, &lane.server, &json) != kept {
            return None;
        }
        let values = (0..16).map(|at| row.get::<_, rusqlite::types::Value>(at).ok()).collect::<Option<_>>()?;
        Some((row.get(0).ok()?, values))
    };
    if let Some((id, values)) = intact() {
        rows.entry(id).or_insert(values);
    }
}

/// Inserts rows into a new file.
fn fill(path: &Path, rows: BTreeMap<i64, Values>) -> rusqlite::Result<usize> {
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let transaction = db.transaction()?;
    let mut saved = 0usize;
    {
        let places = (1..=16).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO body ({COLUMNS}) VALUES ({places})"))?;
        for values in rows.into_values() {
            // A row whose other columns are not what they should be is no reason to lose those after it.
            match insert.execute(rusqlite::params_from_iter(&values)) {
                Ok(_) => saved = saved.saturating_add(1),
                Err(error) => tracing::warn!("a body could not be taken over: {error}"),
            }
        }
    }
    transaction.commit()?;
    // All into the file itself, since it is about to get another name.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(saved)
}

/// Puts the first page of a new, empty file in place of that of the file at `path`.
fn mend_first_page(path: &Path) -> std::io::Result<()> {
    use std::{
        io::{Read as _, Seek as _, SeekFrom, Write as _},
        os::unix::fs::FileExt as _,
    };
    let model = with(path, "-model");
    remove(&model);
    let other = |error: DatabaseError| std::io::Error::other(error.to_string());
    Database::open(&model, SCHEMA).map_err(other)?.close();
    let mut page = vec![0u8; 4096];
    fs::File::open(&model)?.read_exact(&mut page)?;
    remove(&model);
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let pages = file.seek(SeekFrom::End(0))?.div_euclid(4096);
    file.write_all_at(&page, 0)?;
    // Database file format, 1.3: the size of the file in pages is at 28, the first page of the free list at 32.
    file.write_all_at(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes(), 28)?;
    file.write_all_at(&[0; 8], 32)?;
    file.flush()
}
