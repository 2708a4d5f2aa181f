//! A spool that was removed or replaced while it was open.
//!
//! As long as a file is open, nothing of it is lost, whoever removed its name. So nothing more is written to it, what it holds is copied to
//! where it was, and the copy is used from then on. What lies there in its stead is taken over too: the bodies of another spool follow those
//! of ours, but for those that are in both; a file that is no spool is kept aside.

use std::{
    collections::HashSet,
    fs,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use pattoo_base::{
    clock::unix_millis,
    database::{Database, DatabaseError, beside},
};
use rusqlite::types::Value;

use super::{LOCKS, SCHEMA, Spool, open_locks, salvage};

/// How long after an attempt that failed there is another.
const AGAIN: Duration = Duration::from_secs(1);
/// How many bodies are copied at once.
const AT_ONCE: usize = 64;

impl Spool {
    /// Looks whether the spool is where it was, and puts it back if it is not.
    pub(crate) async fn stay(&self) {
        self.keep_locks();
        if self.database().has_moved() {
            self.put_back().await;
        }
    }

    /// Puts the spool back to where it was. Whether what is in use now is there.
    pub(super) async fn put_back(&self) -> bool {
        let _alone = self.0.recovering.lock().await;
        let open = self.database();
        if !open.has_moved() {
            return true;
        }
        let away = *self.0.stays_away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_some_and(|since| since.elapsed() < AGAIN) {
            return false;
        }
        let path = self.0.path.clone();
        let result = if open.places().main_is_at(&path) { self.open_again(open).await } else { self.copy(open).await };
        let mut stays_away = self.0.stays_away.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                *stays_away = None;
                // There may be others among what was there.
                self.0.generation.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(error) => {
                if stays_away.replace(Instant::now()).is_none() {
                    tracing::error!(
                        "the spool {} was removed or replaced, and cannot be put back: {error}; what is in it is kept as long as this process runs",
                        path.display()
                    );
                }
                false
            }
        }
    }

    /// The file is there, and what belongs to it is not: all goes into the file, which is opened again.
    async fn open_again(&self, open: Database) -> Result<(), DatabaseError> {
        let spool = self.clone();
        in_background(move || {
            let path = &spool.0.path;
            tracing::error!("what belongs to the spool {} was removed; it is opened again", path.display());
            if !open.close() {
                tracing::warn!("{}: not all that was in its log could be moved into it", path.display());
            }
            *spool.0.database.write().unwrap_or_else(PoisonError::into_inner) = Database::open(path, SCHEMA)?;
            Ok(())
        })
        .await
    }

    /// All goes into the file that is there now, or into a new one.
    async fn copy(&self, open: Database) -> Result<(), DatabaseError> {
        let (path, places) = (self.0.path.clone(), open.places());
        let target = in_background(move || {
            places.clear_away(&path);
            let failed = |error: std::io::Error| DatabaseError::io(&path, &error);
            let checked = |database: Database| {
                salvage::check(&path, "quick_check", &database)
                    .map(|()| database.clone())
                    .inspect_err(|_| database.close_for_good())
            };
            match Database::open_private(&path, SCHEMA).and_then(checked) {
                Err(DatabaseError::Damaged { .. } | DatabaseError::Foreign { .. } | DatabaseError::Exposed { .. })
                    if path.parent().is_some_and(is_private) =>
                {
                    let aside = path.with_file_name(format!("replaced-{}.sqlite3", unix_millis()));
                    fs::rename(&path, &aside).map_err(failed)?;
                    for suffix in salvage::LOGS {
                        match fs::rename(beside(&path, suffix), beside(&aside, suffix)) {
                            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                            Ok(()) | Err(_) => {}
                        }
                    }
                    tracing::error!("what lay in place of the spool is no spool, and is {} now", aside.display());
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
        *self.0.database.write().unwrap_or_else(PoisonError::into_inner) = target;
        let path = self.0.path.clone();
        in_background(move || {
            open.close();
            salvage::sync_folder(&path).map_err(|error| DatabaseError::io(&path, &error))
        })
        .await?;
        tracing::error!(
            "the spool {} was removed or replaced while it was in use: what was in it, {count} bodies, is there again",
            self.0.path.display()
        );
        Ok(())
    }

    async fn copy_into(&self, open: &Database, target: &Database) -> Result<usize, DatabaseError> {
        // Which bodies are in both.
        let theirs: HashSet<(i64, Vec<u8>)> = target
            .read(|db| {
                let mut select = db.prepare("SELECT id, digest FROM body NOT INDEXED")?;
                select.query_map([], |row| Ok((row.get(0)?, super::blob(row, 1)?)))?.collect()
            })
            .await?;
        let mut both = HashSet::new();
        if !theirs.is_empty() {
            let ours: Vec<(i64, Vec<u8>)> = open
                .read(|db| {
                    let mut select = db.prepare("SELECT id, digest FROM body NOT INDEXED")?;
                    select.query_map([], |row| Ok((row.get(0)?, super::blob(row, 1)?)))?.collect()
                })
                .await?;
            both = ours.into_iter().filter(|body| theirs.contains(body)).map(|(id, _)| id).collect();
        }
        let last = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'body'";
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
                let mut update = db.prepare("UPDATE body SET id = id + ?2, accepted_at_strike = 0 WHERE id = ?1")?;
                for id in others.iter().rev() {
                    update.execute([*id, shift])?;
                }
                let newest = if others.is_empty() { shift } else { shift.saturating_mul(2) };
                let seen = "SELECT count(*) FROM sqlite_sequence WHERE name = 'body'";
                let sequence = if db.query_row(seen, [], |row| row.get::<_, i64>(0))? == 0 {
                    "INSERT INTO sqlite_sequence (seq, name) VALUES (?1, 'body')"
                } else {
                    "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'body'"
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
                    let columns = salvage::COLUMNS;
                    let mut select = db.prepare_cached(&format!(
                        "SELECT {columns} FROM body NOT INDEXED WHERE id > ?1 ORDER BY id LIMIT {AT_ONCE}"
                    ))?;
                    select
                        .query_map([from], |row| (0..salvage::COLUMN_COUNT).map(|at| row.get(at)).collect())?
                        .collect()
                })
                .await?;
            let Some(Value::Integer(last)) = rows.last().and_then(|row| row.first()) else { return Ok(count) };
            from = *last;
            count = count.saturating_add(rows.len());
            let rows = Arc::new(rows);
            target
                .write(move |db| {
                    let places = (1..=salvage::COLUMN_COUNT).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
                    let insert = format!("INSERT OR IGNORE INTO body ({}) VALUES ({places})", salvage::COLUMNS);
                    let mut insert = db.prepare_cached(&insert)?;
                    for row in rows.iter().filter_map(|row| salvage::sound(row)) {
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
        let locks = self.0.locks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let [lock, posting] = LOCKS.map(|name| self.0.path.with_file_name(name));
        if is_at(&lock, in_use.as_fd()) && is_at(&posting, locks.file()) {
            return;
        }
        match open_locks(&self.0.path) {
            Ok((in_use, locks)) => {
                *self.0.in_use.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_use);
                *self.0.locks.write().unwrap_or_else(PoisonError::into_inner) = locks;
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
