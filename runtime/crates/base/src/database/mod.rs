//! SQLite databases: one thread for each, and group commit.
//!
//! A caller hands its reads and writes to the thread that owns the connection, and waits for the
//! result. The thread takes all jobs that wait at that moment, does them in one transaction, and
//! returns the results when this is on disk. However many jobs share a commit, it costs one flush
//! of the disk, so that a busy database is as durable as an idle one.
//!
//! Several processes may open the same file; SQLite's locks keep them apart.
//!
//! - `connection` opens the file, `schema` checks what is in it, `private` who can write to it;
//! - `worker` is the thread;
//! - `space` keeps emergency space, so that rows can be deleted on a full file system;
//! - `place` detects that a file was removed or replaced.
//!
//! ```
//! use pattoo_base::database::{Database, DatabaseError, Schema};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), DatabaseError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("numbers.sqlite3");
//! let sql = "CREATE TABLE number (value INTEGER NOT NULL) STRICT";
//! let database = Database::open(&path, Schema { application: 7, version: 1, sql, emergency_space: 0, upgrades: &[] })?;
//! database.write(|db| db.execute("INSERT INTO number VALUES (42)", []).map(drop)).await?;
//! let sum: i64 = database.read(|db| db.query_row("SELECT sum(value) FROM number", [], |row| row.get(0))).await?;
//! assert_eq!(sum, 42);
//! # Ok(())
//! # }
//! ```

mod connection;
mod error;
mod place;
mod private;
mod schema;
mod space;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use self::{
    connection::FileConnection,
    private::create,
    worker::{Kind, Message, Task, serve},
};
pub use self::{
    connection::look,
    error::{DatabaseError, EXPOSED_HELP},
    place::Places,
    private::refuse_unless_private,
    schema::{Schema, Upgrade},
    space::{beside, put_log_aside},
};
use crate::lock::lock;

/// The page size in bytes. A page holds three payloads of a usual size; SQLite's default of 4096
/// holds one and wastes the rest.
pub const PAGE: usize = 8192;

/// An open database. Clones share the thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Database {
    path: Arc<Path>,
    jobs: mpsc::Sender<Message>,
    thread: Arc<Mutex<Option<JoinHandle<bool>>>>,
    places: Arc<Mutex<Places>>,
    is_exclusive: Arc<AtomicBool>,
}

impl Database {
    /// Opens the file. A missing file is created, readable for its owner only, in folders that only
    /// the owner can enter.
    pub fn open(path: &Path, schema: Schema) -> Result<Self, DatabaseError> {
        create(path).map_err(|error| DatabaseError::io(path, &error))?;
        let connection = FileConnection::open(path, schema, false)?;
        let (places, is_exclusive) = (Arc::clone(&connection.places), Arc::clone(&connection.is_exclusive));
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite".into())
            .spawn(move || serve(connection, &waiting))
            .map_err(|error| DatabaseError::io(path, &error))?;
        Ok(Self { path: path.into(), jobs, thread: Arc::new(Mutex::new(Some(thread))), places, is_exclusive })
    }

    /// The same as [`open`](Self::open), for a file that no other user may have changed: it and its
    /// folder have to belong to this user, and only this user may have write permission. Root may
    /// use the files of any user.
    pub fn open_private(path: &Path, schema: Schema) -> Result<Self, DatabaseError> {
        refuse_unless_private(path)?;
        Self::open(path, schema)
    }

    /// Converts a file of an earlier version, in one transaction, and closes it. A file of the
    /// current version stays as it is.
    ///
    /// No other process may have it open: one of the earlier version could not use it any longer.
    pub fn upgrade(path: &Path, schema: Schema) -> Result<(), DatabaseError> {
        FileConnection::open(path, schema, true).map(|_| ())
    }

    /// Whether both are clones of the same database.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.thread, &other.thread)
    }

    /// Reads. `work` sees what is committed, and what earlier jobs of the same transaction have
    /// written.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::Reads).await
    }

    /// Writes all or nothing; durable when it returns. `work` is called again if a transaction that
    /// it shared with other jobs failed because of one of them, so it must have no effects outside
    /// the connection.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::Writes).await
    }

    /// The same as [`write`](Self::write), also after the file was removed or replaced: while it is
    /// open, nothing is lost.
    pub async fn write_anyway<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(work, Kind::WritesAnyway).await
    }

    /// Writes the log into the file, soon.
    pub fn checkpoint(&self) {
        // Fails after the database was closed, which wrote the log.
        let _ = self.jobs.send(Message::Checkpoint);
    }

    /// Whether there is no space for the index that processes share, so that one process at a time
    /// has the file open.
    pub fn is_alone(&self) -> bool {
        self.is_exclusive.load(Ordering::Relaxed)
    }

    /// The files as they were when the database was opened.
    pub fn places(&self) -> Places {
        *lock(&self.places)
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

    /// Closes the database for all clones, and waits until that is done. Returns whether the file
    /// is complete without its log. Blocks.
    pub fn close(&self) -> bool {
        self.end(true)
    }

    /// Closes a database whose file is about to be replaced: its log is removed.
    pub fn close_for_good(&self) {
        self.end(false);
    }

    fn end(&self, keep_log: bool) -> bool {
        // Fails if the thread has ended, which closed the file.
        let _ = self.jobs.send(Message::Close { keep_log });
        let thread = lock(&self.thread).take();
        thread.is_some_and(|thread| thread.join().unwrap_or(false))
    }
}
