//! One daemon per directory.
//!
//! Two daemons in one directory would each run every collector. The lock is one of the kernel
//! (`flock`), which is released when the process ends, however it ends. The file stays. The number
//! in it only helps a person to find the process.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use pattoo_base::files;

/// The name of the lock file.
const FILE: &str = "daemon.lock";

/// The lock of a directory, until it is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryLockError {
    /// Another daemon holds the lock.
    #[error("{} is in use by another daemon{}", directory.display(), holder.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Taken {
        /// The directory.
        directory: PathBuf,
        /// The process that wrote its number there.
        holder: Option<u32>,
    },
    /// The file cannot be created or locked.
    #[error("{}: {error}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl DirectoryLock {
    /// Takes the lock of `directory`, and creates the directory (mode 0700) if there is none.
    ///
    /// # Errors
    ///
    /// When another process holds it, or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Self, DirectoryLockError> {
        let path = directory.join(FILE);
        let unusable = |error| DirectoryLockError::Unusable { path: path.clone(), error };
        files::create_folders(directory, 0o700).map_err(unusable)?;
        let mut file = files::open_or_create(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the message: the number may be missing or half written.
                let _ = (&file).take(20).read_to_string(&mut text);
                let holder = text.trim().parse().ok();
                return Err(DirectoryLockError::Taken { directory: directory.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // Only for the message of another daemon: a full disk must not prevent the start.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::{DirectoryLock, DirectoryLockError};

    #[test]
    fn second_daemon_is_refused_until_the_first_one_ends() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("created/on/first/use");
        let first = DirectoryLock::take(&directory).unwrap();
        let refused = DirectoryLock::take(&directory).unwrap_err();
        assert!(
            matches!(refused, DirectoryLockError::Taken { holder: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        drop(first);
        DirectoryLock::take(&directory).unwrap();
    }

    #[test]
    fn error_of_a_directory_that_cannot_be_created_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DirectoryLock::take(&file.join("below")).unwrap_err();
        assert!(error.to_string().contains("file/below/daemon.lock"), "{error}");
    }
}
