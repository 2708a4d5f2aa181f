//! SQLite files that we keep: one thread for each, and group commit.
//!
//! Whoever has something to read or write hands it to the thread that owns the connection and waits for the answer. The
//! thread takes all that waits at that moment, does it in one transaction, and answers when that is on disk: a commit
//! costs the disk one flush however many share it, so a busy file is as durable as an idle one and hardly slower.
//!
//! Several processes may have the same file open; SQLite's own locks keep them apart.
//!
//! - `room` keeps blocks for a file from which something can be deleted on a file system that is full.
//! - `place` notices that a file was removed or replaced.

mod place;
mod room;

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};
use tokio::sync::oneshot;

pub use self::{
    place::Places,
    room::{beside, put_log_aside},
};
use crate::files;

/// How long one process waits for another that has the file locked. Each holds it for one commit at a time.
const BUSY: Duration = Duration::from_secs(20);
/// The most that is done in one transaction.
const MAX_BATCH: usize = 1024;

/// Bytes of a page. A page holds three bodies of a usual size, where SQLite's 4096 would hold one and much of nothing.
pub const PAGE: usize = 8192;

/// What to do about [`DatabaseError::Exposed`].
pub const EXPOSED_HELP: &str = "make sure that nobody put anything there, then give it to this user alone (chown, chmod 0700 the folder, 0600 the file)";

/// What a file is for, and what it holds.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// `PRAGMA application_id`, by which `file` and we tell one kind of file from another.
    pub application: i32,
    /// `PRAGMA user_version`.
    pub version: i32,
    /// What makes an empty file one of this kind.
    pub sql: &'static str,
    /// Bytes of the log that are kept allocated, so that something can be deleted on a full disk; 0 for none. Such a file is also watched:
    /// nothing is written to it any more once another one, or none, is at its path.
    pub reserve: u64,
    /// Earlier versions that can be converted to this one.
    pub upgrades: &'static [Upgrade],
}

/// How a file of an earlier version becomes one of the current version.
#[derive(Debug, Clone, Copy)]
pub struct Upgrade {
    /// `PRAGMA user_version` of the earlier version.
    pub from: i32,
    /// What made an empty file one of the earlier version.
    pub sql: &'static str,
    /// Converts a file, within a transaction.
    pub run: fn(&Connection) -> rusqlite::Result<()>,
}

/// Why a file could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The file or its folder cannot be made, opened, read or written.
    #[error("{}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite said.
        detail: String,
    },
    /// The file system is full.
    #[error("{}: there is no space left", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file is not what was written there.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// It is a file of another program, or of a later version of this one.
    #[error("{} is not for this version: {detail}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// It was made by an earlier version, and [`Database::upgrade`] converts it.
    #[error("{} was made by an earlier version", path.display())]
    Outdated {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else could put something into it or in its place.
    #[error("{} {why}", path.display())]
    Exposed {
        /// The file, or its folder.
        path: PathBuf,
        /// Who could.
        why: &'static str,
    },
    /// The file, or one beside it that belongs to it, was removed or replaced while it was open.
    #[error("{} was removed or replaced", path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The file was closed.
    #[error("{} was closed", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl DatabaseError {
    /// What SQLite reported about the file at `path`.
    pub fn new(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_DBMOVED) {
            return Self::Moved { path };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, detail: error.to_string() }
            }
            // Rows of another type than we wrote, or statements about tables that were there.
            _ if !matches!(error, rusqlite::Error::SqliteFailure(..)) => {
                Self::Damaged { path, detail: error.to_string() }
            }
            Some(ErrorCode::Unknown) => Self::Damaged { path, detail: error.to_string() },
            _ => Self::Io { path, detail: error.to_string() },
        }
    }

    /// What the system reported about the file at `path`.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            return Self::Full { path: path.to_owned() };
        }
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }
}

/// An open file. Clones share the thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Database {
    path: Arc<Path>,
    jobs: mpsc::Sender<Message>,
    thread: Arc<Mutex<Option<JoinHandle<bool>>>>,
    places: Arc<Mutex<Places>>,
    alone: Arc<AtomicBool>,
}

enum Message {
    Do(Box<dyn Job>),
    /// All that is in the log goes into the file, which gets its size.
    Checkpoint,
    Close {
        /// The log stays, for whoever opens the file next.
        keep_log: bool,
    },
}

/// An error if a file, or the folder that it is in, is not this user's alone to write. What is not there is no error.
pub fn refuse_unless_private(path: &Path) -> Result<(), DatabaseError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    for (path, is_kind) in [(folder, Metadata::is_dir as fn(&Metadata) -> bool), (path, Metadata::is_file)] {
        let Ok(found) = fs::symlink_metadata(path) else { continue };
        let us = rustix::process::geteuid();
        let why = if !is_kind(&found) {
            "is a link, or something else than it should be"
        } else if found.mode() & 0o022 != 0 {
            "can be written by others than its owner"
        } else if found.uid() != us.as_raw() && !us.is_root() {
            "belongs to another user"
        } else {
            continue;
        };
        return Err(DatabaseError::Exposed { path: path.to_owned(), why });
    }
    // Nor could the folder have been put in another's place.
    files::refuse_exposed(folder).map_err(|exposure| {
        let why = match exposure.how {
            files::How::Owner(_) => "belongs to another user",
            _ => "can be written by every user",
        };
        DatabaseError::Exposed { path: exposure.path, why }
    })?;
    Ok(())
}

impl Database {
    /// Opens the file, which is made where there is none: readable for its owner only, in folders that only the owner can enter.
    pub fn open(path: &Path, schema: Schema) -> Result<Self, DatabaseError> {
        make(path).map_err(|error| DatabaseError::io(path, &error))?;
        let link = Link::open(path, schema, false)?;
        let (places, alone) = (Arc::clone(&link.places), Arc::clone(&link.alone));
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(move || serve(link, &waiting))
            .map_err(|error| DatabaseError::io(path, &error))?;
        Ok(Self { path: path.into(), jobs, thread: Arc::new(Mutex::new(Some(thread))), places, alone })
    }

    /// As [`open`](Self::open), where nobody else may have had a hand in it: the folder and what is in it are this user's, and only this user
    /// can write there. Whoever may write everywhere may use it as well.
    pub fn open_private(path: &Path, schema: Schema) -> Result<Self, DatabaseError> {
        refuse_unless_private(path)?;
        Self::open(path, schema)
    }

    /// Converts a file of an earlier version, in one transaction, and closes it. A file of the current version stays as it is.
    ///
    /// No other process may have it open: one of the earlier version could not use it any longer.
    pub fn upgrade(path: &Path, schema: Schema) -> Result<(), DatabaseError> {
        Link::open(path, schema, true).map(|_| ())
    }

    /// Whether both are the same open file.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.thread, &other.thread)
    }

    /// Reads. What `work` sees was committed, or is about to be together with what others do at this moment.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::Reads).await
    }

    /// Writes, all of it or nothing; durable when it returns. `work` is called again when a transaction that it shared
    /// with others failed because of one of them, so it does nothing but with the connection.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::Writes).await
    }

    /// As [`write`](Self::write), also where the file is no longer at its path: as long as it is open, nothing of it is lost.
    pub async fn write_anyway<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::WritesAnyway).await
    }

    /// Has all that is in the log go into the file, soon.
    pub fn checkpoint(&self) {
        // It is closed: then that is done.
        let _ = self.jobs.send(Message::Checkpoint);
    }

    /// Whether there is no room for what processes share, so that one at a time has the file open.
    pub fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// The files as they were when this was opened.
    pub fn places(&self) -> Places {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file, or one that belongs to it, was removed or replaced.
    pub fn has_moved(&self) -> bool {
        self.places().have_moved(&self.path)
    }

    async fn submit<T, F>(&self, work: F, kind: Kind) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let closed = || DatabaseError::Closed { path: self.path.to_path_buf() };
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { work, value: None, reply, kind });
        self.jobs.send(Message::Do(job)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?.map_err(|error| DatabaseError::new(&self.path, &error))
    }

    /// Closes the file for all clones, and returns when that is done: whether all is in the file, and nothing in its log. Blocks.
    pub fn close(&self) -> bool {
        self.end(true)
    }

    /// Closes a file that is about to be replaced: nothing is left beside it that was not needed.
    pub fn close_for_good(&self) {
        self.end(false);
    }

    fn end(&self, keep_log: bool) -> bool {
        // If the thread has ended already, the file is closed.
        let _ = self.jobs.send(Message::Close { keep_log });
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_some_and(|thread| thread.join().unwrap_or(false))
    }
}

/// Makes the folders and the file where they are not there yet.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(_) | Err(_) => {}
    }
    // A new folder is durable once its parent is.
    for made in folder.ancestors().take(3).filter(|made| !made.as_os_str().is_empty()) {
        File::open(made)?.sync_all()?;
    }
    Ok(())
}

/// How long a connection that keeps others out is kept when there is nothing to do.
const ALONE_FOR: Duration = Duration::from_millis(20);
/// How long such a connection is made each time, before it is tried whether the file can be shared again.
const SHARE_AGAIN: Duration = Duration::from_secs(2);

/// The connection of a thread, which is made again and again where the file cannot be shared.
struct Link {
    path: PathBuf,
    schema: Schema,
    connection: Option<Connection>,
    /// When others were last kept out for lack of room.
    alone_since: Option<Instant>,
    alone: Arc<AtomicBool>,
    places: Arc<Mutex<Places>>,
}

impl Link {
    fn open(path: &Path, schema: Schema, upgrade: bool) -> Result<Self, DatabaseError> {
        if schema.reserve > 0 {
            room::restore_log(path);
        }
        let (places, alone) = Default::default();
        let mut link = Self { path: path.to_owned(), schema, connection: None, alone_since: None, alone, places };
        let explain = |error: rusqlite::Error| DatabaseError::new(path, &error);
        let connection = link.connect().map_err(explain)?;
        let prepared = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain).and_then(
            |transaction| {
                prepare(&transaction, path, schema, upgrade).and_then(|()| transaction.commit().map_err(explain))
            },
        );
        if matches!(prepared, Err(DatabaseError::Damaged { .. } | DatabaseError::Foreign { .. })) {
            room::let_log_go(connection);
        }
        prepared?;
        link.is_connected();
        Ok(link)
    }

    /// The connection. Where there is no room for what processes share, it keeps the others out.
    fn connect(&mut self) -> rusqlite::Result<&mut Connection> {
        if self.connection.is_none() {
            let reserves = self.schema.reserve > 0;
            let shared_again = self.alone_since.is_none_or(|since| since.elapsed() > SHARE_AGAIN);
            let shared = shared_again.then(|| connect_shared(&self.path, reserves));
            let connection = match shared {
                Some(Err(error)) if reserves && room::is_lack_of_room(&error) => {
                    let alone = connect(&self.path, true, true).map_err(|_| error)?;
                    if self.alone_since.replace(Instant::now()).is_none() {
                        tracing::warn!(
                            "{}: no room for the index that processes share; it is used by one at a time until there is",
                            self.path.display()
                        );
                    }
                    alone
                }
                Some(shared) => {
                    self.alone_since = None;
                    shared?
                }
                None => connect(&self.path, true, true)?,
            };
            self.connection = Some(connection);
            self.alone.store(self.is_alone(), Ordering::Relaxed);
            self.is_connected();
        }
        self.connection.as_mut().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Keeps room for the log, and remembers which files are open.
    fn is_connected(&self) {
        if self.schema.reserve > 0 {
            room::fill_log(&self.path, self.schema.reserve);
            *self.places.lock().unwrap_or_else(PoisonError::into_inner) = Places::of(&self.path);
        }
    }

    fn is_alone(&self) -> bool {
        self.alone_since.is_some()
    }

    /// Lets others in, where this keeps them out.
    fn rest(&mut self) {
        if self.is_alone() {
            self.connection = None;
            *self.places.lock().unwrap_or_else(PoisonError::into_inner) = Places::default();
        }
    }

    fn has_moved(&self) -> bool {
        self.schema.reserve > 0
            && self.connection.is_some()
            && self.places.lock().unwrap_or_else(PoisonError::into_inner).have_moved(&self.path)
    }

    /// Whether all is in the file, which is closed when this is dropped.
    fn end(&self, keep_log: bool) -> bool {
        if let Some(connection) = self.connection.as_ref().filter(|_| !keep_log) {
            room::let_log_go(connection);
        }
        self.schema.reserve > 0 && self.checkpoint()
    }

    /// Has the log start over, with all of it in the file. Whether that came about.
    fn checkpoint(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let all = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        match connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], all) {
            Ok((busy, log, moved)) => busy == 0 && log == moved,
            Err(error) => {
                tracing::debug!("{}: its log cannot start over: {error}", self.path.display());
                false
            }
        }
    }
}

/// Opens the file as all processes that share it do, if there is room for that.
fn connect_shared(path: &Path, reserves: bool) -> rusqlite::Result<Connection> {
    let full = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    if reserves && !room::can_share(path) {
        return Err(full());
    }
    let connection = connect(path, reserves, false)?;
    if reserves && let Err(error) = room::fill_index(path) {
        tracing::debug!("{}: no blocks for its index: {error}", path.display());
        if error.kind() == io::ErrorKind::StorageFull {
            return Err(full());
        }
    }
    Ok(connection)
}

/// Opens the file for a look, beside a database that this process has open: `alone` if that [is](Database::is_alone).
pub fn look(path: &Path, alone: bool) -> rusqlite::Result<Connection> {
    connect(path, true, alone)
}

/// Opens the file as all processes that share it do, or, `alone`, with nobody else.
fn connect(path: &Path, keep_log: bool, alone: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    if keep_log {
        room::keep_log(&connection);
    }
    if alone {
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    }
    let set_up = || {
        // Incremental: the file gives back what an outage made it grow to. It has to be said before the first table is made, and not again:
        // SQLite writes it each time, for which there may be no room.
        if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
            connection.execute_batch(&format!("PRAGMA page_size = {PAGE}; PRAGMA auto_vacuum = INCREMENTAL"))?;
        }
        // In memory: what SQLite would take a statement back with, when a trigger of it fails.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
             SELECT count(*) FROM sqlite_schema;",
        )
    };
    let begun = Instant::now();
    // Of two processes that make the file at the same time one is turned away here, however patient it is told to be.
    while let Err(error) = set_up() {
        let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        if !busy || begun.elapsed() > BUSY {
            if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
                room::let_log_go(&connection);
            }
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes an empty file one of this kind, and refuses one that is of another. One of an earlier version is converted, or refused as well.
fn prepare(transaction: &Transaction<'_>, path: &Path, schema: Schema, upgrade: bool) -> Result<(), DatabaseError> {
    let explain = |error: rusqlite::Error| DatabaseError::new(path, &error);
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(explain);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(explain)?;
    if application == 0 && version == 0 && tables == 0 {
        transaction.pragma_update(None, "application_id", schema.application).map_err(explain)?;
        transaction.pragma_update(None, "user_version", schema.version).map_err(explain)?;
        return transaction.execute_batch(schema.sql).map_err(explain);
    }
    let found = objects(transaction);
    if (application, version) == (schema.application, schema.version) && found == expected(schema.sql) {
        return Ok(());
    }
    let of_version = schema.upgrades.iter().find(|upgrade| upgrade.from == version);
    if let Some(step) = of_version
        && application == schema.application
        && found == expected(step.sql)
    {
        if !upgrade {
            return Err(DatabaseError::Outdated { path: path.to_owned() });
        }
        (step.run)(transaction).map_err(explain)?;
        transaction.pragma_update(None, "user_version", schema.version).map_err(explain)?;
        if objects(transaction) != expected(schema.sql) {
            let detail = format!("its conversion from version {version} did not result in version {}", schema.version);
            return Err(DatabaseError::Io { path: path.to_owned(), detail });
        }
        return Ok(());
    }
    // One of the two can be damage; both together are another file.
    let known = std::iter::once(schema.sql).chain(schema.upgrades.iter().map(|upgrade| upgrade.sql));
    let ours = known.into_iter().any(|sql| found == expected(sql));
    let is_version_known = version == schema.version || of_version.is_some();
    let detail = match (application == schema.application, ours) {
        (true, false) if is_version_known => {
            let detail = "its tables are not those that were made there".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (_, true) => {
            let detail = "its header is not the one that was made there".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (false, false) => format!("its application id is {application}, and not {}", schema.application),
        (true, false) if version > schema.version => {
            format!(
                "it was made by a newer version: its version is {version}, and this program knows {}",
                schema.version
            )
        }
        (true, false) => format!("its version is {version}, and this program knows {}", schema.version),
    };
    Err(DatabaseError::Foreign { path: path.to_owned(), detail })
}

/// The statements that made what is in a file, if they can be read.
fn objects(connection: &Connection) -> Option<Vec<String>> {
    let mut select =
        connection.prepare("SELECT type || name || tbl_name || sql FROM sqlite_schema WHERE sql IS NOT NULL").ok()?;
    select.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()
}

/// The statements that make what is in a file of this kind.
fn expected(sql: &str) -> Option<Vec<String>> {
    let model = Connection::open_in_memory().ok()?;
    model.execute_batch(sql).ok()?;
    objects(&model)
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    Writes,
    /// It writes, wherever the file is.
    WritesAnyway,
}

/// Something to be done with the connection, and somebody who waits for it.
trait Job: Send {
    fn kind(&self) -> Kind;
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn done(self: Box<Self>, result: rusqlite::Result<()>);
}

struct Task<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<rusqlite::Result<T>>,
    kind: Kind,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.work)(connection)?);
        Ok(())
    }

    fn done(self: Box<Self>, result: rusqlite::Result<()>) {
        let Self { value, reply, .. } = *self;
        // Nobody may wait any more: what was done is done all the same.
        let _ = reply.send(result.and_then(|()| value.ok_or(rusqlite::Error::QueryReturnedNoRows)));
    }
}

/// Does what is asked for until nobody is left to ask. Whether all is in the file at the end.
fn serve(mut link: Link, waiting: &mpsc::Receiver<Message>) -> bool {
    loop {
        // Others have their turn when there is nothing to do.
        let next = if link.is_alone() && link.connection.is_some() {
            waiting.recv_timeout(ALONE_FOR)
        } else {
            waiting.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        };
        let first = match next {
            Ok(Message::Do(first)) => first,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                link.rest();
                continue;
            }
            Ok(Message::Checkpoint) => {
                link.checkpoint();
                continue;
            }
            Ok(Message::Close { keep_log }) => break link.end(keep_log),
            Err(mpsc::RecvTimeoutError::Disconnected) => break link.end(true),
        };
        let mut batch = vec![first];
        let (mut closing, mut checkpoint) = (None, false);
        while batch.len() < MAX_BATCH {
            match waiting.try_recv() {
                Ok(Message::Do(job)) => batch.push(job),
                Ok(Message::Checkpoint) => checkpoint = true,
                Ok(Message::Close { keep_log }) => {
                    closing = Some(keep_log);
                    break;
                }
                Err(_) => break,
            }
        }
        if batch.iter().any(|job| job.kind() == Kind::Writes) && link.has_moved() {
            let (stopped, rest) = batch.into_iter().partition(|job| job.kind() == Kind::Writes);
            batch = rest;
            let moved = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), None);
            let stopped: Vec<Box<dyn Job>> = stopped;
            for job in stopped {
                job.done(Err(moved()));
            }
        }
        if !batch.is_empty() {
            commit(&mut link, batch);
        }
        if checkpoint {
            link.checkpoint();
        }
        if let Some(keep_log) = closing {
            break link.end(keep_log);
        }
    }
}

/// Does a batch in one transaction. When that fails, each job has one of its own, so that it fails only for its own reasons; and each the
/// whole of the log, where there is no room for more.
fn commit(link: &mut Link, mut batch: Vec<Box<dyn Job>>) {
    let is_full = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    match together(link, &mut batch) {
        Ok(()) => batch.into_iter().for_each(|job| job.done(Ok(()))),
        Err(error) if batch.len() == 1 && !(is_full(&error) && link.checkpoint()) => {
            if let Some(job) = batch.pop() {
                job.done(Err(error));
            }
        }
        Err(_) => {
            for mut job in batch {
                let mut result = together(link, std::slice::from_mut(&mut job));
                if result.as_ref().is_err_and(is_full) && link.checkpoint() {
                    result = together(link, std::slice::from_mut(&mut job));
                }
                job.done(result);
            }
        }
    }
}

fn together(link: &mut Link, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let reserves = link.schema.reserve > 0;
    let connection = link.connect()?;
    let writes = batch.iter().any(|job| job.kind() != Kind::Reads);
    let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
    let transaction = connection.transaction_with_behavior(behavior)?;
    for job in batch {
        job.run(&transaction)?;
    }
    if writes && reserves {
        room::grow(&transaction)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::{Database, DatabaseError, Schema};

    const SCHEMA: Schema = Schema {
        application: 7,
        version: 1,
        sql: "CREATE TABLE number (value INTEGER NOT NULL UNIQUE) STRICT",
        reserve: 0,
        upgrades: &[],
    };

    async fn put(database: &Database, value: i64) -> Result<(), DatabaseError> {
        database.write(move |db| db.execute("INSERT INTO number VALUES (?1)", [value]).map(|_| ())).await
    }

    async fn all(database: &Database) -> Vec<i64> {
        database
            .read(|db| {
                db.prepare("SELECT value FROM number ORDER BY value")?.query_map([], |row| row.get(0))?.collect()
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn of_those_who_share_a_commit_only_the_one_that_fails_fails() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a/b/numbers.sqlite3"), SCHEMA).unwrap();
        put(&database, 3).await.unwrap();
        let results = futures_util::future::join_all((0..8).map(|value| put(&database, value))).await;
        let failed: Vec<_> =
            results.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(at, _)| at).collect();
        assert_eq!(failed, [3]);
        assert_eq!(all(&database).await, (0..8).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_file_and_its_folders_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/numbers.sqlite3");
        let database = Database::open(&path, SCHEMA).unwrap();
        put(&database, 1).await.unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.path().join("a"))), (0o600, 0o700));
        assert_eq!(mode(&folder.path().join("a/numbers.sqlite3-wal")), 0o600);
    }

    #[tokio::test]
    async fn what_is_committed_is_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("numbers.sqlite3"), SCHEMA).unwrap();
        let settings = database.read(|db| {
            let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            Ok((synchronous, db.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?))
        });
        // FULL: each commit flushes the log. NORMAL would do so now and then.
        assert_eq!(settings.await.unwrap(), (2, "wal".to_owned()));
    }

    #[test]
    fn what_others_could_have_written_is_not_opened() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (own, path) = (folder.path().join("own"), folder.path().join("own/numbers.sqlite3"));
        Database::open_private(&path, SCHEMA).unwrap().close();
        let refused = || match Database::open_private(&path, SCHEMA) {
            Err(DatabaseError::Exposed { path, why }) => (path, why),
            other => panic!("{other:?}"),
        };
        for (what, mode, usual) in [(&path, 0o620, 0o600), (&own, 0o702, 0o700)] {
            let set = |mode| std::fs::set_permissions(what, std::fs::Permissions::from_mode(mode)).unwrap();
            set(mode);
            assert_eq!(refused(), (what.clone(), "can be written by others than its owner"));
            set(usual);
        }
        Database::open_private(&path, SCHEMA).unwrap().close();
        // The file in another place, and a folder that leads to another place.
        std::fs::rename(&path, folder.path().join("elsewhere.sqlite3")).unwrap();
        symlink(folder.path().join("elsewhere.sqlite3"), &path).unwrap();
        assert_eq!(refused().0, path);
        std::fs::rename(&own, folder.path().join("moved")).unwrap();
        symlink(folder.path().join("moved"), &own).unwrap();
        assert_eq!(refused().0, own);
    }

    #[tokio::test]
    async fn a_file_of_another_kind_is_refused_and_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.sqlite3");
        let database = Database::open(&path, SCHEMA).unwrap();
        put(&database, 1).await.unwrap();
        database.close();
        let sql = "CREATE TABLE word (value TEXT) STRICT";
        for other in [Schema { application: 8, sql, ..SCHEMA }, Schema { version: 2, sql, ..SCHEMA }] {
            assert!(matches!(Database::open(&path, other), Err(DatabaseError::Foreign { .. })));
        }
        std::fs::write(folder.path().join("notes.txt"), "x".repeat(5000)).unwrap();
        let error = Database::open(&folder.path().join("notes.txt"), SCHEMA).unwrap_err();
        assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
        assert_eq!(all(&Database::open(&path, SCHEMA).unwrap()).await, [1]);
    }

    #[tokio::test]
    async fn whoever_asks_after_the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("numbers.sqlite3"), SCHEMA).unwrap();
        let clone = database.clone();
        database.close();
        assert!(matches!(put(&clone, 1).await, Err(DatabaseError::Closed { .. })));
    }
}
