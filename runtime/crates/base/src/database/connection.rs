//! The connection to the file of a database: shared with other processes where possible, exclusive
//! where not.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

use super::{
    PAGE,
    error::DatabaseError,
    place::Places,
    schema::{Schema, prepare},
    space,
};
use crate::lock::lock;

/// How long to wait while another process has the file locked. Each process locks it for one commit
/// at a time.
const BUSY: Duration = Duration::from_secs(20);
/// How long a connection excludes other processes before it tries again to share the file.
const RETRY_SHARING: Duration = Duration::from_secs(2);

/// The connection to a file. Where the file cannot be shared, it is closed and opened again for
/// each burst of jobs.
pub(super) struct FileConnection {
    path: PathBuf,
    pub(super) schema: Schema,
    pub(super) open: Option<Connection>,
    /// Since when other processes are excluded for lack of space.
    exclusive_since: Option<Instant>,
    pub(super) is_exclusive: Arc<AtomicBool>,
    pub(super) places: Arc<Mutex<Places>>,
}

impl FileConnection {
    pub(super) fn open(path: &Path, schema: Schema, upgrade: bool) -> Result<Self, DatabaseError> {
        if schema.emergency_space > 0 {
            space::restore_log(path);
        }
        let (places, is_exclusive) = Default::default();
        let mut new = Self { path: path.to_owned(), schema, open: None, exclusive_since: None, is_exclusive, places };
        let explain = |error: rusqlite::Error| DatabaseError::new(path, &error);
        let connection = new.connect().map_err(explain)?;
        let prepared = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain).and_then(
            |transaction| {
                prepare(&transaction, path, schema, upgrade).and_then(|()| transaction.commit().map_err(explain))
            },
        );
        if matches!(prepared, Err(DatabaseError::Damaged { .. } | DatabaseError::Foreign { .. })) {
            space::release_log(connection);
        }
        prepared?;
        new.record_open_files();
        Ok(new)
    }

    /// The open connection. Without space for the index that processes share, it excludes other
    /// processes.
    pub(super) fn connect(&mut self) -> rusqlite::Result<&mut Connection> {
        if self.open.is_none() {
            let keeps_space = self.schema.emergency_space > 0;
            let may_share = self.exclusive_since.is_none_or(|since| since.elapsed() > RETRY_SHARING);
            let shared = may_share.then(|| connect_shared(&self.path, keeps_space));
            let connection = match shared {
                Some(Err(error)) if keeps_space && space::is_lack_of_space(&error) => {
                    let exclusive = connect(&self.path, true, true).map_err(|_| error)?;
                    if self.exclusive_since.replace(Instant::now()).is_none() {
                        tracing::warn!(
                            "{}: no space for the index that processes share: until there is space, only one process at a time uses the file",
                            self.path.display()
                        );
                    }
                    exclusive
                }
                Some(shared) => {
                    self.exclusive_since = None;
                    shared?
                }
                None => connect(&self.path, true, true)?,
            };
            self.open = Some(connection);
            self.is_exclusive.store(self.is_exclusive(), Ordering::Relaxed);
            self.record_open_files();
        }
        self.open.as_mut().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Allocates the log, and records which files are open.
    fn record_open_files(&self) {
        if self.schema.emergency_space > 0 {
            space::fill_log(&self.path, self.schema.emergency_space);
            *lock(&self.places) = Places::of(&self.path);
        }
    }

    /// Whether it excludes other processes.
    pub(super) fn is_exclusive(&self) -> bool {
        self.exclusive_since.is_some()
    }

    /// Closes the connection if it excludes other processes, so that these can use the file.
    pub(super) fn release(&mut self) {
        if self.is_exclusive() {
            self.open = None;
            *lock(&self.places) = Places::default();
        }
    }

    /// Whether an open file was removed or replaced.
    pub(super) fn has_moved(&self) -> bool {
        self.schema.emergency_space > 0 && self.open.is_some() && lock(&self.places).have_moved(&self.path)
    }

    /// Prepares closing the file, which happens when this is dropped. Returns whether it is
    /// complete without its log.
    pub(super) fn end(&self, keep_log: bool) -> bool {
        if let Some(connection) = self.open.as_ref().filter(|_| !keep_log) {
            space::release_log(connection);
        }
        self.schema.emergency_space > 0 && self.checkpoint()
    }

    /// Writes the log into the file, and restarts the log. Returns whether that succeeded
    /// completely.
    pub(super) fn checkpoint(&self) -> bool {
        let Some(connection) = &self.open else { return false };
        let all = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        match connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], all) {
            Ok((busy, log, moved)) => busy == 0 && log == moved,
            Err(error) => {
                tracing::debug!("{}: cannot restart the log: {error}", self.path.display());
                false
            }
        }
    }
}

/// Opens the file shared with other processes, if there is space for that.
fn connect_shared(path: &Path, keeps_space: bool) -> rusqlite::Result<Connection> {
    let full = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    if keeps_space && !space::can_share(path) {
        return Err(full());
    }
    let connection = connect(path, keeps_space, false)?;
    if keeps_space && let Err(error) = space::fill_index(path) {
        tracing::debug!("{}: cannot allocate its index: {error}", path.display());
        if error.kind() == io::ErrorKind::StorageFull {
            return Err(full());
        }
    }
    Ok(connection)
}

/// Opens a second connection beside a database that this process has open. `exclusive` is the value
/// of [`Database::is_alone`](super::Database::is_alone).
pub fn look(path: &Path, exclusive: bool) -> rusqlite::Result<Connection> {
    connect(path, true, exclusive)
}

/// Opens the file, shared with other processes or `exclusive`.
fn connect(path: &Path, keep_log: bool, exclusive: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    if keep_log {
        space::keep_log(&connection);
    }
    if exclusive {
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    }
    let set_up = || {
        // Incremental: the file can shrink after an outage made it grow. Only before the first
        // table: SQLite writes this setting each time, and there may be no space for that.
        if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
            connection.execute_batch(&format!("PRAGMA page_size = {PAGE}; PRAGMA auto_vacuum = INCREMENTAL"))?;
        }
        // Temporary data, for the rollback of a statement whose trigger fails, stays in memory.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
             SELECT count(*) FROM sqlite_schema;",
        )
    };
    let started = Instant::now();
    // Of two processes that create the file at the same time one gets an error here, whatever its
    // busy timeout is.
    while let Err(error) = set_up() {
        let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        if !busy || started.elapsed() > BUSY {
            if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
                space::release_log(&connection);
            }
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
