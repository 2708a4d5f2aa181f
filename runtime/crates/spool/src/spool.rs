//! The open spool.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
    time::{Duration, Instant},
};

use pattoo_base::{
    database::{Database, DatabaseError, put_log_aside},
    files,
    lock::{lock, read, write},
};
use rusqlite::Connection;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    QueueId, QueueLock, SpoolError, SpoolLimits, eviction,
    queue_lock::QueueLocks,
    recovery,
    schema::{EMERGENCY_SPACE, SCHEMA},
};

/// The files whose locks coordinate processes.
pub(crate) const LOCKS: [&str; 2] = ["spool.lock", "posting.lock"];
/// How long a process waits for others to close a file that is damaged or outdated.
const PATIENCE: Duration = Duration::from_secs(5);
/// Up to this size a file is checked whenever it is opened, in bytes; [`Spool::verify`] checks any.
const QUICK_CHECK: u64 = 16 << 20;

/// Durable queues of payloads in one file. Clones share the file.
#[derive(Debug, Clone)]
pub struct Spool(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) limits: SpoolLimits,
    pub(crate) database: RwLock<Database>,
    /// Held shared while the file is open, exclusively while it is replaced.
    pub(crate) in_use: Mutex<Arc<File>>,
    pub(crate) recovering: tokio::sync::Mutex<()>,
    pub(crate) locks: RwLock<QueueLocks>,
    /// How often another file took the place of the one in use.
    pub(crate) generation: AtomicU64,
    /// When the spool could last not be put back to its path.
    pub(crate) missing_since: Mutex<Option<Instant>>,
    pub(crate) evictions: Mutex<Evictions>,
    /// Receives the queues that get a payload.
    watcher: Mutex<Option<UnboundedSender<QueueId>>>,
}

/// What was evicted, and when that was last logged.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    pub(crate) logged: Option<Instant>,
    pub(crate) unlogged: eviction::Evicted,
}

impl Spool {
    /// Opens the spool at `path`, which is made where there is none. Blocks for as long as the disk takes.
    ///
    /// A file that is damaged is moved aside under a name with the time; what is intact in it is moved into a new one. A
    /// file that an earlier version made is converted.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or opened, or has to be replaced or converted while another process uses it.
    pub fn open(path: &Path, limits: SpoolLimits) -> Result<Self, SpoolError> {
        let folder = files::folder_of(path);
        files::create_folders(folder, 0o700).map_err(|error| failed(folder, &error))?;
        let (in_use, locks) = open_locks(path)?;
        let interrupted = recovery::recovered(path).exists().then(|| {
            let detail = "its recovery was interrupted".to_owned();
            DatabaseError::Damaged { path: path.to_owned(), detail }
        });
        let opened = match interrupted.map_or_else(|| open_checked(path), Err) {
            Err(DatabaseError::Outdated { .. }) => upgrade(path, &in_use)?,
            opened => opened,
        };
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::Damaged { detail, .. }) => recover(path, &in_use, &detail)?,
            Err(error) => return Err(error.into()),
        };
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            limits,
            database: RwLock::new(database),
            in_use: Mutex::new(Arc::new(in_use)),
            recovering: tokio::sync::Mutex::default(),
            locks: RwLock::new(locks),
            generation: AtomicU64::new(0),
            missing_since: Mutex::default(),
            evictions: Mutex::default(),
            watcher: Mutex::default(),
        })))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The limits with which it was opened.
    pub fn limits(&self) -> SpoolLimits {
        self.0.limits
    }

    pub(crate) fn database(&self) -> Database {
        read(&self.0.database).clone()
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Clone + Send + 'static,
    {
        let database = self.database();
        match database.read(work.clone()).await {
            Err(error) if self.recovered(&database, &error).await? => Ok(self.database().read(work).await?),
            result => Ok(result?),
        }
    }

    /// Writes. On a file system that is full, work that makes the spool no larger has room all the same.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Clone + Send + 'static,
    {
        let database = self.database();
        match database.write(work.clone()).await {
            Err(DatabaseError::Moved { .. }) => {
                if self.put_back().await {
                    return Ok(self.database().write(work).await?);
                }
                // What is open is kept for as long as it is open.
                Ok(self.database().write_anyway(work).await?)
            }
            Err(error) if self.recovered(&database, &error).await? => Ok(self.database().write(work).await?),
            result => Ok(result?),
        }
    }

    /// Whether the file was replaced by an intact one because of `error`, so that another attempt makes sense.
    async fn recovered(&self, failed: &Database, error: &DatabaseError) -> Result<bool, SpoolError> {
        let detail = match error {
            DatabaseError::Damaged { detail, .. } => detail.clone(),
            DatabaseError::Closed { .. } => "it was closed".to_owned(),
            _ => return Ok(false),
        };
        let _alone = self.0.recovering.lock().await;
        if !failed.is(&self.database()) {
            return Ok(true);
        }
        let spool = self.clone();
        let failed = failed.clone();
        let replaced = tokio::task::spawn_blocking(move || {
            failed.close_for_good();
            recover(&spool.0.path, &spool.in_use(), &detail).map(|database| *write(&spool.0.database) = database)
        });
        match replaced.await {
            Ok(result) => result.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Checks the whole file, and replaces it by what is intact of it if it is damaged. Takes seconds for a gigabyte;
    /// other operations do not wait for it.
    pub async fn verify(&self) -> Result<(), SpoolError> {
        // So that the file at the path is the one that is open.
        self.keep_in_place().await;
        let path = self.0.path.clone();
        let database = self.database();
        let check = move || recovery::check(&path, "integrity_check", &database);
        let checked = tokio::task::spawn_blocking(check).await;
        match checked {
            Ok(Err(error)) => self.recovered(&self.database(), &error).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Closes the file for all handles, so that all is in it and nothing beside it. Blocks.
    pub fn close(&self) {
        let database = self.database();
        let is_whole = database.close();
        // Only while no other process has it open; one that opens it next waits for this.
        let in_use = self.in_use();
        if is_whole
            && database.places().main_is_at(&self.0.path)
            && in_use.try_lock().is_ok()
            && let Err(error) = put_log_aside(&self.0.path, EMERGENCY_SPACE)
        {
            tracing::warn!("{}: its log stays where it is: {error}", self.0.path.display());
        }
        // This handle does not use the file any more, even if the unlock fails.
        let _ = in_use.unlock();
    }

    pub(crate) fn in_use(&self) -> Arc<File> {
        Arc::clone(&lock(&self.0.in_use))
    }

    /// Locks a queue; `None` if another process, or another task of this one, has it.
    ///
    /// # Errors
    ///
    /// When the system refuses the lock for another reason.
    pub fn lock(&self, queue: &QueueId) -> io::Result<Option<QueueLock>> {
        read(&self.0.locks).lock(queue)
    }

    /// From now on `watcher` receives every queue of this handle and its clones that gets a payload.
    pub fn watch(&self, watcher: UnboundedSender<QueueId>) {
        *lock(&self.0.watcher) = Some(watcher);
    }

    pub(crate) fn notify(&self, queue: QueueId) {
        if let Some(watcher) = &*lock(&self.0.watcher) {
            // A watcher that has gone away reads the file when it comes back.
            let _ = watcher.send(queue);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> DatabaseError {
    DatabaseError::Io { path: path.to_owned(), detail: error.to_string() }
}

/// Opens the files whose locks coordinate processes; the first is held shared.
pub(crate) fn open_locks(path: &Path) -> Result<(File, QueueLocks), DatabaseError> {
    let [lock, sending] = LOCKS.map(|name| path.with_file_name(name));
    let in_use = files::open_or_create(&lock).map_err(|error| failed(&lock, &error))?;
    let locks = QueueLocks::open(&sending).map_err(|error| failed(&sending, &error))?;
    in_use.lock_shared().map_err(|error| failed(&lock, &error))?;
    Ok((in_use, locks))
}

/// Opens a file of the current version, after a check if it is small enough to be checked each time.
fn open_checked(path: &Path) -> Result<Database, DatabaseError> {
    let database = Database::open_private(path, SCHEMA)?;
    if std::fs::metadata(path).is_ok_and(|file| file.len() > QUICK_CHECK) {
        return Ok(database);
    }
    match recovery::check(path, "quick_check", &database) {
        Ok(()) => Ok(database),
        Err(error) => {
            database.close_for_good();
            Err(error)
        }
    }
}

/// Does `work` while no other process has the file open. `in_use` is held shared before and after. If others do not
/// close it, returns `None`.
fn exclusively<T>(path: &Path, in_use: &File, work: impl FnOnce() -> T) -> Result<Option<T>, DatabaseError> {
    let failed = |error: io::Error| failed(path, &error);
    in_use.unlock().map_err(failed)?;
    let begun = Instant::now();
    let result = loop {
        match in_use.try_lock() {
            Ok(()) => break Some(work()),
            Err(std::fs::TryLockError::Error(error)) => {
                in_use.lock_shared().map_err(failed)?;
                return Err(failed(error));
            }
            Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => break None,
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    in_use.lock_shared().map_err(failed)?;
    Ok(result)
}

/// Converts a file of an earlier version, and opens it.
fn upgrade(path: &Path, in_use: &File) -> Result<Result<Database, DatabaseError>, SpoolError> {
    let upgraded = exclusively(path, in_use, || {
        Database::upgrade(path, SCHEMA)?;
        tracing::info!("the spool {} was converted from an earlier version", path.display());
        open_checked(path)
    })?;
    upgraded.ok_or_else(|| SpoolError::OutdatedAndInUse { path: path.to_owned() })
}

/// Replaces a damaged file by a new one with what is intact of it.
fn recover(path: &Path, in_use: &File, detail: &str) -> Result<Database, SpoolError> {
    let in_use_by_others = || SpoolError::DamagedAndInUse { path: path.to_owned(), detail: detail.to_owned() };
    let recovered = exclusively(path, in_use, || {
        // Another process may have done it in the meantime.
        let opened = Database::open(path, SCHEMA).and_then(|database| {
            recovery::check(path, "integrity_check", &database)
                .map(|()| database.clone())
                .inspect_err(|_| database.close_for_good())
        });
        let interrupted = recovery::recovered(path).exists();
        match opened {
            Ok(database) if interrupted => {
                database.close_for_good();
                recovery::replace(path)
            }
            Ok(database) => Ok(database),
            Err(DatabaseError::Damaged { .. } | DatabaseError::Outdated { .. }) => {
                tracing::error!("the spool {} is damaged: {detail}", path.display());
                recovery::replace(path)
            }
            Err(error) => Err(error),
        }
    })?;
    Ok(recovered.ok_or_else(in_use_by_others)??)
}
