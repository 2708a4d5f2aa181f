//! The durable queue: a SQLite file of bodies.

mod admin;
mod moved;
mod pages;
mod queue;
mod salvage;
mod share;

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use pattoo_base::{
    database::{Database, DatabaseError, EXPOSED_HELP, Schema, put_log_aside},
    files,
};
use pattoo_measurement::AgentId;
use rusqlite::{Connection, Row, types::ValueRef};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;

pub use self::admin::{Entry, Found, Retried, Selection, Stats};
pub(super) use self::queue::{Judgement, Old, Queued, Refusal};
use super::{
    ServerUrl,
    lock::{LaneLock, LaneLocks},
};

/// `totals` is kept by triggers, so that no reader has to count a million rows. A body is kept with the digest of what was
/// stored, by which damage is told from what an agent really sent.
///
/// The index says which lanes have something in each block of 4096 numbers. Bodies that are stored together stand together in it,
/// whosever they are: with the lane first, each of a thousand agents would have a page of its own written for each body. To find
/// the next body of a lane costs a look into each block instead, of which a million bodies have 245.
const SCHEMA: Schema = Schema {
    application: 0x7057_5350, // "pWSP"
    version: 2,
    sql: "
        CREATE TABLE body (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            status INTEGER NOT NULL DEFAULT 0,         -- 0 queued, 1 quarantined
            block INTEGER AS (id >> 12),
            lane INTEGER NOT NULL,                     -- a number of server and agent
            server TEXT NOT NULL,
            agent TEXT NOT NULL,
            program TEXT NOT NULL,
            built INTEGER NOT NULL,                    -- Unix ms
            stored INTEGER NOT NULL,                   -- Unix ms
            datapoints INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,       -- answers that were refusals
            strikes INTEGER NOT NULL DEFAULT 0,        -- of them, those with another body accepted since the one before
            accepted_at_strike INTEGER NOT NULL DEFAULT 0,
            refused_since INTEGER,                     -- Unix ms
            refusal TEXT,
            bytes INTEGER NOT NULL,
            digest BLOB NOT NULL,                      -- SHA-256 of agent, server and json
            json BLOB NOT NULL
        ) STRICT;
        CREATE INDEX waiting ON body (status, block, lane);
        CREATE TABLE server (url TEXT PRIMARY KEY, accepted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE totals (
            queued INTEGER NOT NULL, queued_bytes INTEGER NOT NULL,
            quarantined INTEGER NOT NULL, quarantined_bytes INTEGER NOT NULL,
            delivered INTEGER NOT NULL, refused INTEGER NOT NULL, dropped INTEGER NOT NULL
        ) STRICT;
        INSERT INTO totals VALUES (0, 0, 0, 0, 0, 0, 0);
        CREATE TRIGGER stored AFTER INSERT ON body BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0), queued_bytes = queued_bytes + NEW.bytes * (NEW.status = 0),
                quarantined = quarantined + (NEW.status = 1), quarantined_bytes = quarantined_bytes + NEW.bytes * (NEW.status = 1);
        END;
        CREATE TRIGGER removed AFTER DELETE ON body BEGIN
            UPDATE totals SET queued = queued - (OLD.status = 0), queued_bytes = queued_bytes - OLD.bytes * (OLD.status = 0),
                quarantined = quarantined - (OLD.status = 1), quarantined_bytes = quarantined_bytes - OLD.bytes * (OLD.status = 1);
        END;
        CREATE TRIGGER moved AFTER UPDATE OF status ON body WHEN OLD.status <> NEW.status BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0) - (OLD.status = 0),
                queued_bytes = queued_bytes + NEW.bytes * ((NEW.status = 0) - (OLD.status = 0)),
                quarantined = quarantined + (NEW.status = 1) - (OLD.status = 1),
                quarantined_bytes = quarantined_bytes + NEW.bytes * ((NEW.status = 1) - (OLD.status = 1));
        END;
    ",
    reserve: RESERVE,
};

/// How much of SQLite's log is kept allocated, in bytes: what some hundred pages of deletions write, between which it can start over.
const RESERVE: u64 = 1 << 20;

/// The files whose locks keep processes apart.
const LOCKS: [&str; 2] = ["spool.lock", "posting.lock"];
/// How long a damaged file waits for other processes to let go of it.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(5);
/// Up to this size a file is looked over whenever it is opened, in bytes; [`Spool::verify`] looks at any.
const QUICK_CHECK: u64 = 16 << 20;

/// How much may wait, and for how long. What falls off is counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// Bytes of all bodies together. When more comes in, the agent that holds the most gives up what it has in quarantine first, then its
    /// oldest.
    pub bytes: u64,
    /// How long a body may lie here.
    pub age: Duration,
}

impl Default for SpoolLimits {
    /// 1 GiB and 30 days.
    fn default() -> Self {
        Self { bytes: 1 << 30, age: Duration::from_hours(30 * 24) }
    }
}

/// Why the spool did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The file could not be used.
    #[error("the spool {0}")]
    Database(#[from] DatabaseError),
    /// The file is damaged, and another process has it open, so that it cannot be replaced.
    #[error("the spool {} is damaged ({detail}), and another process uses it", path.display())]
    DamagedAndInUse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The body alone is larger than all that may wait.
    #[error("a body of {bytes} bytes does not fit into a spool of {limit}")]
    TooLarge {
        /// The size of the body.
        bytes: u64,
        /// The limit on all bodies together.
        limit: u64,
    },
    /// Other agents hold so much of the spool, none more than its share, that the body does not fit beside it.
    #[error("a body of {bytes} bytes does not fit into the {left} bytes that other agents leave of the spool")]
    NoRoom {
        /// The size of the body.
        bytes: u64,
        /// What others leave.
        left: u64,
    },
}

impl SpoolError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Database(DatabaseError::Full { .. }) => Some("make room on its file system"),
            Self::Database(DatabaseError::Io { .. }) => Some("this user must be able to write the file and its folder"),
            Self::Database(DatabaseError::Foreign { .. }) => {
                Some("move the file away, or use the version that made it")
            }
            Self::Database(DatabaseError::Exposed { .. }) => Some(EXPOSED_HELP),
            Self::Database(DatabaseError::Moved { .. }) => Some("restart what uses it"),
            Self::Database(_) => None,
            Self::DamagedAndInUse { .. } => Some("stop the other process; whoever opens it then saves what is intact"),
            Self::TooLarge { .. } | Self::NoRoom { .. } => {
                Some("raise the limit on the spool, or let the collector emit less at once")
            }
        }
    }
}

/// What waits in a row: the bodies of one agent for one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Where they go.
    pub server: ServerUrl,
    /// Whose they are.
    pub agent: AgentId,
}

impl fmt::Display for Lane {
    /// Two lines.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.agent)?;
        writeln!(formatter, "{}", self.server)
    }
}

/// The number of a stored body. It grows, and none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredId(pub i64);

impl fmt::Display for StoredId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The durable queue. Clones share the file.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limits: SpoolLimits,
    database: RwLock<Database>,
    /// Held shared while the file is open, alone while it is replaced.
    in_use: Mutex<Arc<File>>,
    recovering: tokio::sync::Mutex<()>,
    locks: RwLock<LaneLocks>,
    /// How often another file was put in the place of the one in use.
    generation: AtomicU64,
    /// When the spool could last not be put back to where it was.
    stays_away: Mutex<Option<std::time::Instant>>,
    evictions: Mutex<Evictions>,
    /// Who wants to know which lanes have something new.
    watcher: Mutex<Option<UnboundedSender<Lane>>>,
}

/// What was dropped for lack of room, and when that was last said.
#[derive(Debug, Default)]
struct Evictions {
    said: Option<std::time::Instant>,
    unsaid: share::Evicted,
}

impl Spool {
    /// Opens the spool at `path`, which is made where there is none. Blocks for as long as the disk takes.
    ///
    /// A file that is damaged is moved aside under a name with the time; what is intact in it is taken over into a new one.
    ///
    /// # Errors
    ///
    /// When the file cannot be made or opened, or is damaged and in use.
    pub fn open(path: &Path, limits: SpoolLimits) -> Result<Self, SpoolError> {
        let failed =
            |path: &Path, error: &io::Error| DatabaseError::Io { path: path.to_owned(), detail: error.to_string() };
        let folder = path.parent().unwrap_or(Path::new("."));
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
            .create(folder)
            .map_err(|error| failed(folder, &error))?;
        let (in_use, locks) = open_locks(path)?;
        let interrupted = salvage::saved(path).exists().then(|| {
            let detail = "saving what is intact was interrupted".to_owned();
            DatabaseError::Damaged { path: path.to_owned(), detail }
        });
        let open = || Database::open_private(path, SCHEMA);
        let opened = interrupted.map_or_else(open, Err).and_then(|database| {
            quick_check(path, &database).map(|()| database.clone()).inspect_err(|_| database.close_for_good())
        });
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
            stays_away: Mutex::default(),
            evictions: Mutex::default(),
            watcher: Mutex::default(),
        })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn database(&self) -> Database {
        self.0.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read<T, F>(&self, work: F) -> Result<T, SpoolError>
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

    /// Writes. On a file system that is full, what makes the spool no larger has room all the same.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, SpoolError>
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

    /// Whether the file was replaced by an intact one because of `error`, so that trying again makes sense.
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
            recover(&spool.0.path, &spool.in_use(), &detail).map(|database| {
                *spool.0.database.write().unwrap_or_else(PoisonError::into_inner) = database;
            })
        });
        match replaced.await {
            Ok(result) => result.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Looks through the whole file, and replaces it by what is intact of it if it is damaged. Takes seconds for a gigabyte,
    /// and holds up nobody meanwhile.
    pub async fn verify(&self) -> Result<(), SpoolError> {
        // What lies there now is to be ours.
        self.stay().await;
        let path = self.0.path.clone();
        let database = self.database();
        let check = move || salvage::check(&path, "integrity_check", &database);
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
        // While nobody else has it open; who opens it next waits for this.
        let in_use = self.in_use();
        if is_whole
            && database.places().main_is_at(&self.0.path)
            && in_use.try_lock().is_ok()
            && let Err(error) = put_log_aside(&self.0.path, RESERVE)
        {
            tracing::warn!("{}: its log stays where it is: {error}", self.0.path.display());
        }
        // Whatever comes next, this does not use the file any more.
        let _ = in_use.unlock();
    }

    fn in_use(&self) -> Arc<File> {
        Arc::clone(&self.0.in_use.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves all from the log into the file.
    #[cfg(test)]
    pub(super) async fn checkpoint(&self) {
        let path = self.0.path.clone();
        let moved = tokio::task::spawn_blocking(move || {
            Connection::open(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(moved.await.unwrap(), Ok(0));
    }

    /// The queue of a lane, unless another process (or task) posts it at the moment.
    pub(super) fn take(&self, lane: &Lane) -> io::Result<Option<LaneLock>> {
        self.0.locks.read().unwrap_or_else(PoisonError::into_inner).take(lane)
    }

    /// From now on `watcher` hears of every lane that gets something.
    pub(super) fn watch(&self, watcher: UnboundedSender<Lane>) {
        *self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(watcher);
    }

    fn tell(&self, lane: Lane) {
        if let Some(watcher) = &*self.0.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            // A watcher that has gone away looks at the file when it comes back.
            let _ = watcher.send(lane);
        }
    }
}

/// Opens the files whose locks keep processes apart; the first is held shared.
fn open_locks(path: &Path) -> Result<(File, LaneLocks), DatabaseError> {
    let failed =
        |path: &Path, error: &io::Error| DatabaseError::Io { path: path.to_owned(), detail: error.to_string() };
    let [lock, posting] = LOCKS.map(|name| path.with_file_name(name));
    let in_use = files::open_or_create(&lock).map_err(|error| failed(&lock, &error))?;
    let locks = LaneLocks::open(&posting).map_err(|error| failed(&posting, &error))?;
    in_use.lock_shared().map_err(|error| failed(&lock, &error))?;
    Ok((in_use, locks))
}

/// A look at a file that is small enough to be looked at each time.
fn quick_check(path: &Path, database: &Database) -> Result<(), DatabaseError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > QUICK_CHECK) {
        return Ok(());
    }
    salvage::check(path, "quick_check", database)
}

/// Replaces a damaged file by a new one with what is intact of it. `in_use` is held shared before and after.
fn recover(path: &Path, in_use: &File, detail: &str) -> Result<Database, SpoolError> {
    let failed = |error: io::Error| DatabaseError::Io { path: path.to_owned(), detail: error.to_string() };
    in_use.unlock().map_err(failed)?;
    let begun = std::time::Instant::now();
    while let Err(error) = in_use.try_lock() {
        if begun.elapsed() > RECOVERY_PATIENCE {
            in_use.lock_shared().map_err(failed)?;
            return Err(match error {
                std::fs::TryLockError::WouldBlock => {
                    SpoolError::DamagedAndInUse { path: path.to_owned(), detail: detail.to_owned() }
                }
                std::fs::TryLockError::Error(error) => failed(error).into(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // Another process may have done it in the meantime.
    let mended = Database::open(path, SCHEMA).and_then(|database| {
        salvage::check(path, "integrity_check", &database)
            .map(|()| database.clone())
            .inspect_err(|_| database.close_for_good())
    });
    let interrupted = salvage::saved(path).exists();
    let result = match mended {
        Ok(database) if interrupted => {
            database.close_for_good();
            salvage::replace(path)
        }
        Ok(database) => Ok(database),
        Err(DatabaseError::Damaged { .. }) => {
            tracing::error!("the spool {} is damaged: {detail}", path.display());
            salvage::replace(path)
        }
        Err(error) => Err(error),
    };
    in_use.lock_shared().map_err(failed)?;
    Ok(result?)
}

/// The number by which the table knows a lane. No two have the same: it is 64 bits of a SHA-256 of what the operator chose.
fn number_of(lane: &Lane) -> i64 {
    let digest: [u8; 32] = Sha256::digest(lane.to_string()).into();
    digest.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// What damage can have done to a row, in a file that SQLite has no complaint about: no column is what its type says. These take what is
/// there for what it could be, so that one row never stands in the way of the others; its digest tells whether it is sound.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(&blob(row, column)?).into_owned())
}

/// As [`text`].
fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_owned(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    })
}

/// As [`text`].
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(row.get_ref(column)?.as_i64().ok())
}

/// Rows of text that are no lane are damage, and not worth stopping for.
fn lane_of(server: &str, agent: &str) -> Option<Lane> {
    Some(Lane { server: server.parse().ok()?, agent: agent.parse().ok()? })
}
