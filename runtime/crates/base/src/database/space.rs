//! Emergency space, so that rows can be deleted on a full file system.
//!
//! To delete, SQLite writes first: to its log, and at a checkpoint from there to the file. Both
//! must be possible on a file system without a free block, while other programs use each block that
//! becomes free. So no block is ever given back:
//!
//! - *The log* has its blocks from the beginning, and is overwritten from its start after each
//!   checkpoint. It is kept after the last connection (`SQLITE_FCNTL_PERSIST_WAL`). After an
//!   orderly end, when all of it is in the file, its header is wiped and it is renamed to
//!   `reserve` (words: keep, a file's name); the next process that opens the file renames it back. A new name needs no block.
//! - *The file* gets the blocks by which a transaction makes it grow before the commit
//!   (`SQLITE_FCNTL_SIZE_HINT`). So there is always space for a checkpoint, and the log can always
//!   be restarted.
//! - *The index of the log*, which processes share (`-shm`), is created by the first process that
//!   opens the file, and needs 32 KiB. Where they are not free, the index is kept in memory, and
//!   the file is locked while there is something to do (`locking_mode = EXCLUSIVE`); other
//!   processes use it in between.
//!
//! File systems that never write in place (btrfs, ZFS) guarantee nothing about blocks; there this
//! is only an attempt.
#![expect(unsafe_code, reason = "there is no safe binding for the file controls of SQLite")]

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
use crate::{
    files::{self, Space},
    invariant::Invariant as _,
};

/// The file grows by this much at a time, where there is space.
const CHUNK: i64 = 64 << 10;
/// Bytes of the header of the log. A log without it is empty.
const LOG_HEADER: usize = 32;

/// The path of a file that belongs to a database.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn spare_log(path: &Path) -> PathBuf {
    path.with_file_name("reserve")
}

fn control(db: &Connection, what: c_int, value: *mut c_void) -> c_int {
    // SAFETY: the handle is that of an open connection, and `value` points to the type that SQLite
    // documents for `what`.
    unsafe { ffi::sqlite3_file_control(db.handle(), c"main".as_ptr(), what, value) }
}

/// Keeps the log after the last connection, and lets the file grow on request.
pub(super) fn keep_log(db: &Connection) {
    // A chunk is one page, so that the file has only its pages. Without a chunk size SQLite ignores
    // the size hint.
    let (mut persist, mut chunk) =
        (1 as c_int, c_int::try_from(PAGE).or_broken("a page size fits into an int", c_int::MAX));
    control(db, ffi::SQLITE_FCNTL_PERSIST_WAL, (&raw mut persist).cast());
    control(db, ffi::SQLITE_FCNTL_CHUNK_SIZE, (&raw mut chunk).cast());
}

/// Removes the log with the last connection, for a file that is about to be replaced.
pub(super) fn release_log(db: &Connection) {
    let mut persist: c_int = 0;
    control(db, ffi::SQLITE_FCNTL_PERSIST_WAL, (&raw mut persist).cast());
}

/// Allocates the blocks by which the open transaction makes the file grow.
pub(super) fn grow(db: &Connection) -> rusqlite::Result<()> {
    let pages: i64 = db.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    let bytes = pages.saturating_mul(i64::try_from(PAGE).or_broken("a page size fits into an i64", i64::MAX));
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

/// Renames the log that was kept after an orderly end back to its name.
pub(super) fn restore_log(path: &Path) {
    // An existing log stays; it may be in use.
    let _ = files::rename_new(&spare_log(path), &beside(path, "-wal"));
}

/// Allocates the log, as far as there is space.
pub(super) fn fill_log(path: &Path, bytes: u64) {
    let log = beside(path, "-wal");
    let fill = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&log)?;
        if file.metadata()?.blocks().saturating_mul(512) >= bytes {
            return Ok(());
        }
        // Keeps the content: this only adds blocks.
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
        file.sync_all()
    };
    let spare = spare_log(path);
    if let Err(error) = fill() {
        // An earlier version kept this file.
        let freed = fs::remove_file(&spare).is_ok();
        if !freed || fill().is_err() {
            tracing::debug!("{}: cannot allocate emergency space: {error}", log.display());
        }
    } else if spare.exists() {
        let _ = fs::remove_file(&spare);
    }
}

/// Keeps the log under another name. The file has to be complete without it, and closed.
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
    fs::rename(&log, spare_log(path))?;
    match fs::remove_file(beside(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => File::open(files::folder_of(path))?.sync_all(),
    }
}

/// The size of the index that processes share.
const INDEX: u64 = 32 << 10;
/// With this much free space the index is created without further checks.
const AMPLE: u64 = 512 << 10;
/// The byte of the index that every user of it locks (`UNIX_SHM_DMS` in SQLite's `os_unix.c`).
const IN_USE: libc::off_t = 128;

/// Whether the index that processes share can be used: a process uses it already, or there is space
/// to create it. Where blocks are smaller than a page of memory, SQLite detects the lack of space
/// too late: the process is killed at the first write.
pub(super) fn can_share(path: &Path) -> bool {
    let free = Space::at(files::folder_of(path)).map_or(u64::MAX, |space| space.free);
    free >= AMPLE || is_in_use(&beside(path, "-shm")).unwrap_or(false)
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

/// Allocates all blocks of the index that this process has open, since SQLite allocates only one of
/// each page of memory. Uses SQLite's descriptor: closing another descriptor of the file would
/// release SQLite's locks.
pub(super) fn fill_index(path: &Path) -> io::Result<()> {
    let index = beside(path, "-shm");
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        if fs::read_link(entry.path()).is_ok_and(|target| target == index)
            && let Some(number) = entry.file_name().to_str().and_then(|number| number.parse().ok())
        {
            // SAFETY: it is SQLite's descriptor, and stays open as long as the connection that the
            // caller holds.
            let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, INDEX)?;
        }
    }
    Ok(())
}

/// Whether an error means that there was no space, possibly for the shared index.
pub(super) fn is_lack_of_space(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure))
}
