//! One sender for each queue, across processes.
//!
//! A queue is a byte of the lock file, at an offset that is derived from its name. The lock belongs to an open file
//! (`F_OFD_SETLK`, fcntl(2)): the system drops it when the process ends, so none outlives its holder and none needs a
//! time limit. Two queues with the same offset (one chance in 2^62) would wait for each other.
//!
//! Nothing is ever written to the file. Its modification time says when somebody last asked that waiting payloads are tried
//! at once, for processes that send.
#![expect(unsafe_code, reason = "there is no safe binding for locks that belong to an open file")]

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path, sync::Arc, time::SystemTime};

use pattoo_base::files;

use crate::{QueueId, digest::lock_offset};

/// The lock file, open.
#[derive(Debug, Clone)]
pub(crate) struct QueueLocks(Arc<File>);

/// A queue that is locked until this is dropped.
#[derive(Debug)]
pub struct QueueLock {
    file: Arc<File>,
    offset: i64,
}

impl QueueLocks {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(files::open_or_create(path)?)))
    }

    /// The file.
    pub(crate) fn file(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&*self.0)
    }

    /// When [`ask`](Self::ask) was last called, by any process.
    pub(crate) fn asked(&self) -> io::Result<SystemTime> {
        self.0.metadata()?.modified()
    }

    /// Asks the processes that send to try waiting payloads at once.
    pub(crate) fn ask(&self) -> io::Result<()> {
        self.0.set_modified(SystemTime::now())
    }

    /// Locks the queue, unless another open file has it.
    pub(crate) fn lock(&self, queue: &QueueId) -> io::Result<Option<QueueLock>> {
        let offset = lock_offset(queue);
        match set(&self.0, offset, libc::F_WRLCK) {
            Ok(()) => Ok(Some(QueueLock { file: Arc::clone(&self.0), offset })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for QueueLock {
    fn drop(&mut self) {
        if let Err(error) = set(&self.file, self.offset, libc::F_UNLCK) {
            tracing::error!("the lock on a queue cannot be released: {error}");
        }
    }
}

fn set(file: &File, offset: i64, kind: i32) -> io::Result<()> {
    let narrow = |value: i32| i16::try_from(value).map_err(io::Error::other);
    // SAFETY: `flock` is a C struct of integers, for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = narrow(kind)?;
    lock.l_whence = narrow(libc::SEEK_SET)?;
    lock.l_start = offset;
    lock.l_len = 1;
    // SAFETY: the descriptor is open as long as `file`, and `lock` is a `flock` that lives across the call.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::QueueLocks;
    use crate::QueueId;

    fn queue(agent: &str) -> QueueId {
        QueueId { output: "http://127.0.0.1:1".parse().unwrap(), agent: agent.parse().unwrap() }
    }

    #[test]
    fn queue_has_one_holder_and_is_free_after_the_holder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, other) = (QueueLocks::open(&path).unwrap(), QueueLocks::open(&path).unwrap());
        let held = one.lock(&queue("a")).unwrap();
        assert!(held.is_some() && other.lock(&queue("a")).unwrap().is_none());
        assert!(other.lock(&queue("b")).unwrap().is_some(), "another queue is not concerned");
        drop(held);
        let held = other.lock(&queue("a")).unwrap();
        assert!(held.is_some());
        // A process that dies closes its files.
        std::mem::forget(one.lock(&queue("c")).unwrap());
        assert!(other.lock(&queue("c")).unwrap().is_none());
    }
}
