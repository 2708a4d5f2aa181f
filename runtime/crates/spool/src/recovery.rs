//! Recovery: a damaged file is moved aside, and what is intact in it goes into a new one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pattoo_base::{
    clock::unix_millis,
    database::{self, Database, DatabaseError, Schema, beside as with},
    files,
    text::one_line,
};
use rusqlite::{Connection, OpenFlags, Statement, types::Value};

use crate::{
    QueueId, damaged_pages,
    digest::{Digest, USUAL_CONTENT_TYPE, queue_number},
    queue,
    schema::SCHEMA,
};

/// What may lie beside the file of a database and belongs to it.
pub(crate) const LOGS: [&str; 2] = ["-wal", "-shm"];

/// Runs `PRAGMA quick_check` or `integrity_check` on a connection of its own, beside that of the database.
pub(crate) fn check(path: &Path, pragma: &str, beside: &Database) -> Result<(), DatabaseError> {
    let damaged = |detail: String| DatabaseError::Damaged { path: path.to_owned(), detail };
    let look = || -> rusqlite::Result<String> {
        database::look(path, beside.is_alone())?.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))
    };
    match look() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(damaged(one_line(&answer, 200))),
        Err(error) => Err(DatabaseError::new(path, &error)),
    }
}

/// The new file, once it holds all that was recovered.
pub(crate) fn recovered(path: &Path) -> PathBuf {
    path.with_file_name("saved.sqlite3")
}

/// Puts a new file with what is intact in the place of a damaged one, which is kept aside. No other process has it open.
///
/// At each moment either the damaged file is where it was, or what was recovered of it is complete in [`recovered`]: if
/// this process is killed, the next one does it again.
pub(crate) fn replace(path: &Path) -> Result<Database, DatabaseError> {
    let failed = |error: std::io::Error| DatabaseError::io(path, &error);
    let (draft, complete) = (path.with_file_name("draft.sqlite3"), recovered(path));
    remove(&draft);
    Database::open(&draft, Schema { emergency_space: 0, ..SCHEMA })?.close();
    let count = recover(path, &path.with_file_name("copy.sqlite3"), &draft).map_err(failed)?;
    fs::rename(&draft, &complete).map_err(failed)?;
    sync_folder(path).map_err(failed)?;

    let aside = path.with_file_name(format!("damaged-{}.sqlite3", unix_millis()));
    if path.exists() {
        files::link_or_copy(path, &aside).map_err(failed)?;
    }
    // A log that stayed would be treated as one of the new file.
    for suffix in LOGS {
        match fs::rename(with(path, suffix), with(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(&complete, path).map_err(failed)?;
    sync_folder(path).map_err(failed)?;
    tracing::error!(
        "{count} intact payloads were recovered into a new spool; the damaged one is kept as {}",
        aside.display()
    );
    Database::open(path, SCHEMA)
}

pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(files::folder_of(path))?.sync_all()
}

/// Removes the files of a database that is not needed any more.
fn remove(path: &Path) {
    for suffix in [""].into_iter().chain(LOGS) {
        // What is not there needs not be removed.
        let _ = fs::remove_file(with(path, suffix));
    }
}

/// The columns of a row, in the order in which the file stores them.
pub(crate) const COLUMNS: &str = "id, status, queue, output, agent, program, created, stored, count, attempts, strikes, \
                                  accepted_at_strike, refused_since, refusal, bytes, digest, content, epoch, content_type, encoding";
/// How many those are.
pub(crate) const COLUMN_COUNT: usize = 20;
/// How many of them a row of version 2 has.
const VERSION_2_COUNT: usize = 17;
// words: keep from here, the names of version 2
/// The same as [`COLUMNS`] in a file of version 2.
const VERSION_2_COLUMNS: &str = "id, status, lane, server, agent, program, built, stored, datapoints, attempts, strikes, \
                                 accepted_at_strike, refused_since, refusal, bytes, digest, json, 0, 'application/json', ''";
/// The tables that can hold payloads, with their columns.
const TABLES: [(&str, &str); 2] = [("payload", COLUMNS), ("body", VERSION_2_COLUMNS)];
// words: keep until here

/// Puts every intact row that can be found in the database at `path` into `draft`, and returns how many. They are read
/// from a copy, `copy`, so that the damaged file stays as it is.
fn recover(path: &Path, copy: &Path, draft: &Path) -> std::io::Result<usize> {
    let failed = |error: rusqlite::Error| std::io::Error::other(format!("{}: {error}", draft.display()));
    let mut db = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let transaction = db.transaction().map_err(failed)?;
    let mut found = Recovered::into(&transaction).map_err(failed)?;
    for with_new_first_page in [false, true] {
        remove(copy);
        for suffix in [""].into_iter().chain(LOGS) {
            match fs::copy(with(path, suffix), with(copy, suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        if with_new_first_page {
            // It holds the header and the list of tables, which are the same in every file of the spool.
            replace_first_page(copy)?;
        }
        found.read_all_of(copy, path);
        if let Err(error) = damaged_pages::rows(copy, VERSION_2_COUNT..=COLUMN_COUNT, |row| found.keep(&completed(row)))
        {
            tracing::warn!("while looking for intact payloads in {}: {error}", path.display());
        }
        if found.count > 0 {
            break;
        }
    }
    remove(copy);
    // An earlier recovery that was interrupted may have found more, as it still had the log.
    let earlier = recovered(path);
    if earlier.exists() {
        found.read_all_of(&earlier, &earlier);
    }
    let count = found.count;
    drop(found);
    transaction.commit().map_err(failed)?;
    // All into the file itself, since it is about to get another name.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    Ok(count)
}

/// A row of version 2, which ends before the last columns, with what they are by default.
fn completed(mut row: Vec<Value>) -> Vec<Value> {
    if row.len() == VERSION_2_COUNT {
        row.extend([Value::Integer(0), Value::Text(USUAL_CONTENT_TYPE.to_owned()), Value::Text(String::new())]);
    }
    row
}

/// What was recovered so far.
struct Recovered<'a> {
    insert: Statement<'a>,
    count: usize,
}

impl<'a> Recovered<'a> {
    fn into(draft: &'a Connection) -> rusqlite::Result<Self> {
        let places = (1..=COLUMN_COUNT).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let insert = draft.prepare(&format!("INSERT OR IGNORE INTO payload ({COLUMNS}) VALUES ({places})"))?;
        Ok(Self { insert, count: 0 })
    }

    /// What SQLite can read of `file`, which is called `name` in the log.
    fn read_all_of(&mut self, file: &Path, name: &Path) {
        if let Err(error) = self.read(file) {
            tracing::warn!("while looking for intact payloads in {}: {error}", name.display());
        }
    }

    fn read(&mut self, file: &Path) -> rusqlite::Result<()> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.pragma_update(None, "cell_size_check", true)?;
        // All into the file itself, which may be read page by page afterwards.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        for (table, columns) in TABLES {
            let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
            if db.query_row(there, [table], |row| row.get::<_, i64>(0))? > 0 {
                self.read_table(&db, table, columns)?;
            }
        }
        Ok(())
    }

    /// In both directions, as far as each goes.
    fn read_table(&mut self, db: &Connection, table: &str, columns: &str) -> rusqlite::Result<()> {
        for direction in ["ASC", "DESC"] {
            let mut select =
                db.prepare(&format!("SELECT {columns} FROM {table} NOT INDEXED ORDER BY id {direction}"))?;
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

    /// Keeps a row whose payload is what was stored.
    fn keep(&mut self, row: &[Value]) {
        if let Some(row) = intact(row) {
            match self.insert.execute(rusqlite::params_from_iter(&row)) {
                Ok(inserted) => self.count = self.count.saturating_add(inserted),
                // That one is no reason to lose those after it.
                Err(error) => tracing::warn!("a payload could not be recovered: {error}"),
            }
        }
    }
}

/// A row whose payload is what was stored, by its digest. Other columns that are damaged get the value that they have in
/// a new row.
pub(crate) fn intact(row: &[Value]) -> Option<Vec<Value>> {
    let [id, status, _queue, output, agent, program, rest @ .., digest, content, epoch, content_type, encoding] = row
    else {
        return None;
    };
    let (Value::Integer(id), Value::Text(output), Value::Text(agent)) = (id, output, agent) else { return None };
    let (Value::Blob(stored_digest), Value::Blob(bytes)) = (digest, content) else { return None };
    let (Value::Integer(sent_epoch), Value::Text(sent_type), Value::Text(sent_encoding)) =
        (epoch, content_type, encoding)
    else {
        return None;
    };
    let [created, stored, count, attempts, strikes, _accepted, since, refusal, _bytes] = rest else { return None };
    let queue = QueueId::of(output, agent)?;
    let of_row = Digest::of(&queue, bytes, sent_epoch.cast_unsigned(), sent_type, sent_encoding);
    if Digest::from_stored(stored_digest) != Some(of_row) {
        return None;
    }
    let number =
        |value: &Value, usual| Value::Integer(if let Value::Integer(number) = value { *number } else { usual });
    let optional = |value: &Value, right: bool| if right { value.clone() } else { Value::Null };
    Some(vec![
        Value::Integer(*id),
        Value::Integer(i64::from(*status == Value::Integer(1))),
        Value::Integer(queue_number(&queue)),
        Value::Text(output.clone()),
        Value::Text(agent.clone()),
        if matches!(program, Value::Text(_)) { program.clone() } else { Value::Text("unknown".to_owned()) },
        number(created, queue::unix_millis()),
        number(stored, queue::unix_millis()),
        number(count, 0),
        number(attempts, 0),
        number(strikes, 0),
        // It refers to a count that starts at 0 in the new file.
        Value::Integer(0),
        optional(since, matches!(since, Value::Integer(_))),
        optional(refusal, matches!(refusal, Value::Text(_))),
        Value::Integer(queue::to_sql(bytes.len() as u64)),
        digest.clone(),
        content.clone(),
        epoch.clone(),
        content_type.clone(),
        encoding.clone(),
    ])
}

/// Puts the first page of a new, empty file in place of that of the file at `path`.
fn replace_first_page(path: &Path) -> std::io::Result<()> {
    use std::{
        io::{Read as _, Seek as _, SeekFrom, Write as _},
        os::unix::fs::FileExt as _,
    };
    let model = with(path, "-model");
    remove(&model);
    let other = |error: DatabaseError| std::io::Error::other(error.to_string());
    Database::open(&model, Schema { emergency_space: 0, ..SCHEMA }).map_err(other)?.close();
    let mut page = vec![0u8; damaged_pages::PAGE];
    fs::File::open(&model)?.read_exact(&mut page)?;
    remove(&model);
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let pages = file.seek(SeekFrom::End(0))?.div_euclid(damaged_pages::PAGE as u64);
    file.write_all_at(&page, 0)?;
    // Database file format, 1.3: the size of the file in pages is at 28, the first page of the free list at 32.
    file.write_all_at(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes(), 28)?;
    file.write_all_at(&[0; 8], 32)?;
    file.flush()
}
