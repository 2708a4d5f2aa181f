//! Relocation: a spool that was removed or replaced while it was open.
//!
//! As long as a file is open, nothing of it is lost, even if its name was removed. So nothing more is written to it, its
//! content is copied to its path, and the copy is used from then on. A file that is at the path instead is taken over
//! too: the payloads of another spool follow those of this one, but for those that are in both; a file that is no spool
//! is kept aside.

use std::{
    collections::HashSet,
    fs,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use pattoo_base::{
    clock::unix_millis,
    database::{Database, DatabaseError, beside},
    files,
    lock::{lock, read, write},
};
use rusqlite::types::Value;

use crate::{
    Spool, recovery, row,
    schema::SCHEMA,
    spool::{LOCKS, open_locks},
};

/// How long after an attempt that failed there is another.
const AGAIN: Duration = Duration::from_secs(1);
/// How many payloads are copied at once.
const AT_ONCE: usize = 64;

impl Spool {
    /// Checks whether the file is still at its path, and puts it back if it is not. A process that has the spool open for
    /// long calls this now and then.
    pub async fn keep_in_place(&self) {
        self.keep_locks();
        if self.database().has_moved() {
            self.put_back().await;
        }
    }

    /// Puts the spool back to its path. Returns whether what is in use now is there.
    pub(crate) async fn put_back(&self) -> bool {
        let _alone = self.0.recovering.lock().await;
        let open = self.database();
        if !open.has_moved() {
            return true;
        }
        let missing = *lock(&self.0.missing_since);
        if missing.is_some_and(|since| since.elapsed() < AGAIN) {
            return false;
        }
        let path = self.0.path.clone();
        let result = if open.places().main_is_at(&path) { self.open_again(open).await } else { self.copy(open).await };
        let mut missing_since = lock(&self.0.missing_since);
        match result {
            Ok(()) => {
                *missing_since = None;
                // Queues of another spool may have been added.
                self.0.generation.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                if missing_since.replace(Instant::now()).is_none() {
                    tracing::error!(
                        "the spool {} was removed or replaced, and cannot be put back: {error}; its content is kept as long as this process runs",
                        path.display()
                    );
                }
                false
            }
        }
    }

    /// The file is there, but not its log or index: all goes into the file, which is opened again.
    async fn open_again(&self, open: Database) -> Result<(), DatabaseError> {
        let spool = self.clone();
        in_background(move || {
            let path = &spool.0.path;
            tracing::error!("files that belong to the spool {} were removed; it is opened again", path.display());
            if !open.close() {
                tracing::warn!("{}: its log could not be moved into it completely", path.display());
            }
            *write(&spool.0.database) = Database::open(path, SCHEMA)?;
            Ok(())
        })
        .await
    }

    /// All goes into the file that is at the path now, or into a new one.
    async fn copy(&self, open: Database) -> Result<(), DatabaseError> {
        let (path, places) = (self.0.path.clone(), open.places());
        let target = in_background(move || {
            places.clear_away(&path);
            let failed = |error: std::io::Error| DatabaseError::io(&path, &error);
            let checked = |database: Database| {
                recovery::check(&path, "quick_check", &database)
                    .map(|()| database.clone())
                    .inspect_err(|_| database.close_for_good())
            };
            let opened = match Database::open_private(&path, SCHEMA) {
                Err(DatabaseError::Outdated { .. }) => {
                    Database::upgrade(&path, SCHEMA).and_then(|()| Database::open_private(&path, SCHEMA))
                }
                opened => opened,
            };
            match opened.and_then(checked) {
                Err(DatabaseError::Damaged { .. } | DatabaseError::Foreign { .. } | DatabaseError::Exposed { .. })
                    if is_private(files::folder_of(&path)) =>
                {
                    let aside = path.with_file_name(format!("replaced-{}.sqlite3", unix_millis()));
                    fs::rename(&path, &aside).map_err(failed)?;
                    for suffix in recovery::LOGS {
                        match fs::rename(beside(&path, suffix), beside(&aside, suffix)) {
                            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                            Ok(()) | Err(_) => {}
                        }
                    }
                    tracing::error!(
                        "the file in the place of the spool is no spool, and was renamed to {}",
                        aside.display()
                    );
                    Database::open_private(&path, SCHEMA)
                }
                opened => opened,
            }
        })
        .await?;
        let copied = self.copy_into(&open, &target).await;
        let count = match copied {
            Ok(count) => count,
            Err(error) => {
                let _ = in_background(move || Ok(target.close())).await;
                return Err(error);
            }
        };
        *write(&self.0.database) = target;
        let path = self.0.path.clone();
        in_background(move || {
            open.close();
            recovery::sync_folder(&path).map_err(|error| DatabaseError::io(&path, &error))
        })
        .await?;
        tracing::error!(
            "the spool {} was removed or replaced while it was in use: its {count} payloads are there again",
            self.0.path.display()
        );
        Ok(())
    }

    async fn copy_into(&self, open: &Database, target: &Database) -> Result<usize, DatabaseError> {
        // Which payloads are in both.
        let theirs: HashSet<(i64, Vec<u8>)> = target
            .read(|db| {
                let mut select = db.prepare("SELECT id, digest FROM payload NOT INDEXED")?;
                select.query_map([], |row| Ok((row.get(0)?, row::blob(row, 1)?)))?.collect()
            })
            .await?;
        let mut both = HashSet::new();
        if !theirs.is_empty() {
            let ours: Vec<(i64, Vec<u8>)> = open
                .read(|db| {
                    let mut select = db.prepare("SELECT id, digest FROM payload NOT INDEXED")?;
                    select.query_map([], |row| Ok((row.get(0)?, row::blob(row, 1)?)))?.collect()
                })
                .await?;
            both = ours.into_iter().filter(|payload| theirs.contains(payload)).map(|(id, _)| id).collect();
        }
        let last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'payload'";
        let last: i64 = open.read(move |db| db.query_row(last, [], |row| row.get(0))).await?;
        let totals: [i64; 3] = open
            .read(|db| {
                let totals = "SELECT delivered, refused, dropped FROM totals";
                db.query_row(totals, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
            })
            .await?;
        // Theirs follow ours, whatever is stored there meanwhile.
        let mut others: Vec<i64> = theirs.iter().map(|(id, _)| *id).filter(|id| !both.contains(id)).collect();
        others.sort_unstable();
        let shift = others.last().copied().unwrap_or(0).max(last);
        let others = Arc::new(others);
        target
            .write(move |db| {
                let mut update = db.prepare("UPDATE payload SET id = id + ?2, accepted_at_strike = 0 WHERE id = ?1")?;
                for id in others.iter().rev() {
                    update.execute([*id, shift])?;
                }
                let newest = if others.is_empty() { shift } else { shift.saturating_mul(2) };
                let seen = "SELECT count(*) FROM sqlite_sequence WHERE name = 'payload'";
                let sequence = if db.query_row(seen, [], |row| row.get::<_, i64>(0))? == 0 {
                    "INSERT INTO sqlite_sequence (seq, name) VALUES (?1, 'payload')"
                } else {
                    "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'payload'"
                };
                db.execute(sequence, [newest])?;
                let [delivered, refused, dropped] = totals;
                let update =
                    "UPDATE totals SET delivered = delivered + ?1, refused = refused + ?2, dropped = dropped + ?3";
                db.execute(update, [delivered, refused, dropped]).map(|_| ())
            })
            .await?;
        let (mut from, mut count) = (i64::MIN, 0usize);
        loop {
            let rows: Vec<Vec<Value>> = open
                .read(move |db| {
                    let columns = recovery::COLUMNS;
                    let mut select = db.prepare_cached(&format!(
                        "SELECT {columns} FROM payload NOT INDEXED WHERE id > ?1 ORDER BY id LIMIT {AT_ONCE}"
                    ))?;
                    select
                        .query_map([from], |row| (0..recovery::COLUMN_COUNT).map(|at| row.get(at)).collect())?
                        .collect()
                })
                .await?;
            let Some(Value::Integer(last)) = rows.last().and_then(|row| row.first()) else { return Ok(count) };
            from = *last;
            count = count.saturating_add(rows.len());
            let rows = Arc::new(rows);
            target
                .write(move |db| {
                    let places = (1..=recovery::COLUMN_COUNT).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
                    let insert = format!("INSERT OR IGNORE INTO payload ({}) VALUES ({places})", recovery::COLUMNS);
                    let mut insert = db.prepare_cached(&insert)?;
                    for row in rows.iter().filter_map(|row| recovery::intact(row)) {
                        insert.execute(rusqlite::params_from_iter(&row))?;
                    }
                    Ok(())
                })
                .await?;
        }
    }

    /// Makes the files whose locks keep processes apart again, where they were removed.
    fn keep_locks(&self) {
        let in_use = self.in_use();
        let locks = read(&self.0.locks).clone();
        let [spool_lock, sending] = LOCKS.map(|name| self.0.path.with_file_name(name));
        if is_at(&spool_lock, in_use.as_fd()) && is_at(&sending, locks.file()) {
            return;
        }
        match open_locks(&self.0.path) {
            Ok((in_use, locks)) => {
                *lock(&self.0.in_use) = Arc::new(in_use);
                *write(&self.0.locks) = locks;
            }
            Err(error) => tracing::debug!("{error}"),
        }
    }
}

fn is_private(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o022 == 0)
}

/// Whether what is open is what lies at the path.
fn is_at(path: &Path, file: std::os::fd::BorrowedFd<'_>) -> bool {
    let Ok(open) = rustix::fs::fstat(file) else { return true };
    fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (open.st_dev, open.st_ino))
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    let ended = |error: tokio::task::JoinError| DatabaseError::Io { path: "spool".into(), detail: error.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}
