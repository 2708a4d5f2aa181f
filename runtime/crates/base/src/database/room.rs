//! Room on the file system that is kept, so that deleting goes on when there is none.
//!
//! To delete, SQLite writes first: into its log, and at a checkpoint from there into the file. Both must be possible on a file system
//! that is full to its last block, while others take whatever becomes free. So nothing is given back to be taken again:
//!
//! - *The log* has blocks of its own from the beginning, and is written over from its start after each checkpoint. It outlives the last
//!   connection (`SQLITE_FCNTL_PERSIST_WAL`). After an orderly end, when all of it is in the file, its header is wiped and it is renamed to
//!   `reserve`; whoever opens the file next gives it its name back. A new name needs no block.
//! - *The file* has the blocks that a transaction makes it grow by before that is committed (`SQLITE_FCNTL_SIZE_HINT`). So a checkpoint always
//!   finds room, and the log can always start over.
//! - *The index of the log*, which processes share (`-shm`), is made again by whoever is the first to open the file, and that takes 32 KiB.
//!   Where these are not to be had, the index is kept in memory and the file locked for as long as there is something to do
//!   (`locking_mode = EXCLUSIVE`); others have their turn in between.
//!
//! File systems that never write in place (btrfs, ZFS) keep no promise about blocks; there this is no more than an attempt.
#![expect(unsafe_code, reason = "there is no safe binding for what SQLite is told of its files")]

use std::{
    ffi::{c_int, c_void},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, ffi};

use super::PAGE;

/// The file grows by so much at a time, where there is room.
const CHUNK: i64 = 64 << 10;
/// Bytes of the log's header. Without it there is nothing in a log.
const LOG_HEADER: usize = 32;

/// The name of a file that belongs to a database.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn reserve(path: &Path) -> PathBuf {
    path.with_file_name("reserve")
}

fn control(db: &Connection, what: c_int, value: *mut c_void) -> c_int {
    // SAFETY: the handle is that of a connection which is open, and `value` points to what SQLite's documentation of `what` asks for.
    unsafe { ffi::sqlite3_file_control(db.handle(), c"main".as_ptr(), what, value) }
}

/// The log outlives the last connection, and the file grows when it is told.
pub(super) fn keep_log(db: &Connection) {
    // Of one page, with which the file has no more than its pages; without any it is not told what it grows to.
    let (mut persist, mut chunk) = (1 as c_int, c_int::try_from(PAGE).unwrap_or(c_int::MAX));
    control(db, ffi::SQLITE_FCNTL_PERSIST_WAL, (&raw mut persist).cast());
    control(db, ffi::SQLITE_FCNTL_CHUNK_SIZE, (&raw mut chunk).cast());
}

/// The log ends with the last connection after all, as of a file that is about to be replaced.
pub(super) fn let_log_go(db: &Connection) {
    let mut persist: c_int = 0;
    control(db, ffi::SQLITE_FCNTL_PERSIST_WAL, (&raw mut persist).cast());
}

/// Takes the blocks that the transaction under way makes the file grow by.
pub(super) fn grow(db: &Connection) -> rusqlite::Result<()> {
    let pages: i64 = db.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    let bytes = pages.saturating_mul(i64::try_from(PAGE).unwrap_or(i64::MAX));
    let grown_to = |mut bytes: i64| {
        let result = control(db, ffi::SQLITE_FCNTL_SIZE_HINT, (&raw mut bytes).cast());
        matches!(result, ffi::SQLITE_OK | ffi::SQLITE_NOTFOUND)
    };
    let chunks = bytes.saturating_add(CHUNK).div_euclid(CHUNK).saturating_mul(CHUNK);
    if grown_to(chunks) || grown_to(bytes) {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None))
}

/// Gives what was kept after an orderly end its name as the log back.
pub(super) fn restore_log(path: &Path) {
    // A log that is there stays; it may be in use.
    let restored = fs::hard_link(reserve(path), beside(path, "-wal"));
    if restored.is_ok() {
        let _ = fs::remove_file(reserve(path));
    }
}

/// Makes sure that the log has its blocks, as far as there are any.
pub(super) fn fill_log(path: &Path, bytes: u64) {
    let log = beside(path, "-wal");
    let fill = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&log)?;
        if file.metadata()?.blocks().saturating_mul(512) >= bytes {
            return Ok(());
        }
        // What is written there stays: this only adds.
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
        file.sync_all()
    };
    let spare = reserve(path);
    if let Err(error) = fill() {
        // What an earlier version kept.
        let freed = fs::remove_file(&spare).is_ok();
        if !freed || fill().is_err() {
            tracing::debug!("{}: no room is kept: {error}", log.display());
        }
    } else if spare.exists() {
        let _ = fs::remove_file(&spare);
    }
}

/// Keeps the log under another name. All of it is in the file, and nobody has that open.
pub fn put_log_aside(path: &Path, bytes: u64) -> io::Result<()> {
    let log = beside(path, "-wal");
    let mut file = match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(&log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    file.write_all(&[0; LOG_HEADER])?;
    if file.metadata()?.len() > bytes {
        file.set_len(bytes)?;
    }
    file.sync_all()?;
    fs::rename(&log, reserve(path))?;
    match fs::remove_file(beside(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all(),
    }
}

/// What the index that processes share takes.
const INDEX: u64 = 32 << 10;
/// With so much room the index is made without a second thought.
const AMPLE: u64 = 512 << 10;
/// The byte of the index that everybody who uses it has a lock on (`UNIX_SHM_DMS` in SQLite's `os_unix.c`).
const IN_USE: libc::off_t = 128;

/// Whether the index that processes share can be used: somebody has it in use, or there is room to make it. Without room SQLite finds out
/// too late where blocks are smaller than a page of memory: the process is killed when it first writes there.
pub(super) fn can_share(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(Path::new("."));
    let room = rustix::fs::statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    room >= AMPLE || is_in_use(&beside(path, "-shm")).unwrap_or(false)
}

fn is_in_use(index: &Path) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(index)?;
    let narrow = |value: c_int| i16::try_from(value).map_err(io::Error::other);
    // SAFETY: `flock` is a C struct of integers, for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (narrow(libc::F_WRLCK)?, narrow(libc::SEEK_SET)?);
    (lock.l_start, lock.l_len) = (IN_USE, 1);
    // SAFETY: the descriptor is open, and `lock` is a `flock` that lives across the call.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type != narrow(libc::F_UNLCK)?)
}

/// Takes all blocks of the index that this process has open, since SQLite takes one of each page of memory. Not by its path: to close another
/// descriptor of it would release the locks that SQLite has on it.
pub(super) fn fill_index(path: &Path) -> io::Result<()> {
    let index = beside(path, "-shm");
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        if fs::read_link(entry.path()).is_ok_and(|target| target == index)
            && let Some(number) = entry.file_name().to_str().and_then(|number| number.parse().ok())
        {
            // SAFETY: it is SQLite's, and open for as long as the connection is, which the caller holds.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, INDEX)?;
        }
    }
    Ok(())
}

/// Whether an error says that there was no room, perhaps for the shared index.
pub(super) fn is_lack_of_room(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure))
}
