//! One daemon per directory.
//!
//! Two daemons on one directory would each run every collector. The lock is the kernel's (`flock`), so that it is gone with
//! the process that held it, however that ended; the file stays, and the number in it only helps a person to find the process.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use pattoo_base::files;

/// The name of the lock's file.
const FILE: &str = "daemon.lock";

/// The right to be the daemon of a directory, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no such right.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("{} is in use by another daemon{}", directory.display(), holder.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Taken {
        /// The directory.
        directory: PathBuf,
        /// The process that wrote its number there.
        holder: Option<u32>,
    },
    /// The file cannot be made or locked.
    #[error("{}: {error}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock of `directory`, making the directory (mode 0700) if it is not there.
    ///
    /// # Errors
    ///
    /// When another process has it, or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(FILE);
        let unusable = |error| LockError::Unusable { path: path.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
        let mut file = files::open_or_create(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the message: the number may be missing or half written.
                let _ = (&file).take(20).read_to_string(&mut text);
                let holder = text.trim().parse().ok();
                return Err(LockError::Taken { directory: directory.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // Only for the message of another daemon: a disk that is full is no reason not to run.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::{Lock, LockError};

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("made/on/first/use");
        let first = Lock::take(&directory).unwrap();
        let refused = Lock::take(&directory).unwrap_err();
        assert!(
            matches!(refused, LockError::Taken { holder: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        drop(first);
        Lock::take(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Lock::take(&file.join("below")).unwrap_err();
        assert!(error.to_string().contains("file/below/daemon.lock"), "{error}");
    }
}
