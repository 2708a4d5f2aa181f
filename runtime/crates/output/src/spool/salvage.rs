//! What to do with a damaged file: move it aside, and take over what is intact.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pattoo_base::{
    clock::unix_millis,
    database::{self, Database, DatabaseError, Schema, beside as with},
};
use rusqlite::{Connection, OpenFlags, Statement, types::Value};

use super::{
    SCHEMA, lane_of, number_of, pages,
    queue::{millis, to_sql},
};

/// What may lie beside the file of a database and belongs to it.
pub(super) const LOGS: [&str; 2] = ["-wal", "-shm"];

/// Runs `PRAGMA quick_check` or `integrity_check` on a connection of its own, beside that of the database.
pub(super) fn check(path: &Path, pragma: &str, beside: &Database) -> Result<(), DatabaseError> {
    let damaged = |detail: String| DatabaseError::Damaged { path: path.to_owned(), detail };
    let look = || -> rusqlite::Result<String> {
        database::look(path, beside.is_alone())?.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))
    };
    match look() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(damaged(pattoo_base::text::one_line(&answer, 200))),
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
    remove(&draft);
    Database::open(&draft, Schema { reserve: 0, ..SCHEMA })?.close();
    let count = salvage(path, &path.with_file_name("copy.sqlite3"), &draft).map_err(failed)?;
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

pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes the files of a database of ours that nobody needs.
fn remove(path: &Path) {
    for suffix in [""].into_iter().chain(LOGS) {
        // What is not there needs not be removed.
        let _ = fs::remove_file(with(path, suffix));
    }
}

pub(super) const COLUMNS: &str = "id, status, lane, server, agent, program, built, stored, datapoints, attempts, strikes, accepted_at_strike, \
                       refused_since, refusal, bytes, digest, json";
/// How many those are.
pub(super) const COLUMN_COUNT: usize = 17;

/// Puts every intact row that can be found in the database at `path` into `draft`: how many. They are looked for in a copy, `copy`, so that
/// what was found damaged stays as it is.
fn salvage(path: &Path, copy: &Path, draft: &Path) -> std::io::Result<usize> {
    let failed = |error: rusqlite::Error| std::io::Error::other(format!("{}: {error}", draft.display()));
    let mut db = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let transaction = db.transaction().map_err(failed)?;
    let mut saved = Saved::into(&transaction).map_err(failed)?;
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
        saved.all_of(copy, path);
        if let Err(error) = pages::rows(copy, COLUMN_COUNT, |row| saved.keep(&row)) {
            tracing::warn!("while looking for intact bodies in {}: {error}", path.display());
        }
        if saved.count > 0 {
            break;
        }
    }
    remove(copy);
    // An earlier recovery that was interrupted may have found more, as it still had the log.
    let earlier = self::saved(path);
    if earlier.exists() {
        saved.all_of(&earlier, &earlier);
    }
    let count = saved.count;
    drop(saved);
    transaction.commit().map_err(failed)?;
    // All into the file itself, since it is about to get another name.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    Ok(count)
}

/// What was saved so far.
struct Saved<'a> {
    insert: Statement<'a>,
    count: usize,
}

impl<'a> Saved<'a> {
    fn into(draft: &'a Connection) -> rusqlite::Result<Self> {
        let places = (1..=COLUMN_COUNT).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let insert = draft.prepare(&format!("INSERT OR IGNORE INTO body ({COLUMNS}) VALUES ({places})"))?;
        Ok(Self { insert, count: 0 })
    }

    /// What SQLite can read of `file`, which is called `name` if there is something to say.
    fn all_of(&mut self, file: &Path, name: &Path) {
        if let Err(error) = self.read(file) {
            tracing::warn!("while looking for intact bodies in {}: {error}", name.display());
        }
    }

    fn read(&mut self, file: &Path) -> rusqlite::Result<()> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.pragma_update(None, "cell_size_check", true)?;
        // All into the file itself, for whoever looks at its pages.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        // In both directions, as far as it goes.
        for direction in ["ASC", "DESC"] {
            let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM body NOT INDEXED ORDER BY id {direction}"))?;
            let mut found = select.query([])?;
            loop {
                match found.next() {
                    Ok(Some(row)) => {
                        if let Ok(row) = (0..COLUMN_COUNT).map(|at| row.get(at)).collect::<Result<Vec<_>, _>>() {
                            self.keep(&row);
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(_) => break,
                }
            }
        }
        Ok(())
    }

    /// Keeps a row whose body is what was stored.
    fn keep(&mut self, row: &[Value]) {
        if let Some(row) = sound(row) {
            match self.insert.execute(rusqlite::params_from_iter(&row)) {
                Ok(inserted) => self.count = self.count.saturating_add(inserted),
                // That one is no reason to lose those after it.
                Err(error) => tracing::warn!("a body could not be taken over: {error}"),
            }
        }
    }
}

/// A row whose body is what was stored, by its digest. What else is damaged in it becomes what it is in a fresh one.
pub(super) fn sound(row: &[Value]) -> Option<Vec<Value>> {
    let [id, status, _lane, server, agent, program, rest @ .., digest, json] = row else { return None };
    let (Value::Integer(id), Value::Text(server), Value::Text(agent)) = (id, server, agent) else { return None };
    let (Value::Blob(kept), Value::Blob(body)) = (digest, json) else { return None };
    let lane = lane_of(server, agent)?;
    let [built, stored, datapoints, attempts, strikes, _accepted, since, refusal, _bytes] = rest else { return None };
    if super::queue::digest(&lane, body) != *kept {
        return None;
    }
    let number =
        |value: &Value, usual| Value::Integer(if let Value::Integer(number) = value { *number } else { usual });
    let optional = |value: &Value, right: bool| if right { value.clone() } else { Value::Null };
    Some(vec![
        Value::Integer(*id),
        Value::Integer(i64::from(*status == Value::Integer(1))),
        Value::Integer(number_of(&lane)),
        Value::Text(server.clone()),
        Value::Text(agent.clone()),
        if matches!(program, Value::Text(_)) { program.clone() } else { Value::Text("unknown".to_owned()) },
        number(built, millis()),
        number(stored, millis()),
        number(datapoints, 0),
        number(attempts, 0),
        number(strikes, 0),
        // Of a count that begins anew with the file.
        Value::Integer(0),
        optional(since, matches!(since, Value::Integer(_))),
        optional(refusal, matches!(refusal, Value::Text(_))),
        Value::Integer(to_sql(body.len() as u64)),
        digest.clone(),
        json.clone(),
    ])
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
    Database::open(&model, Schema { reserve: 0, ..SCHEMA }).map_err(other)?.close();
    let mut page = vec![0u8; pages::PAGE];
    fs::File::open(&model)?.read_exact(&mut page)?;
    remove(&model);
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let pages = file.seek(SeekFrom::End(0))?.div_euclid(pages::PAGE as u64);
    file.write_all_at(&page, 0)?;
    // Database file format, 1.3: the size of the file in pages is at 28, the first page of the free list at 32.
    file.write_all_at(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes(), 28)?;
    file.write_all_at(&[0; 8], 32)?;
    file.flush()
}
