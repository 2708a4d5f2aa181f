//! Errors of a database.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};

/// The help text for [`DatabaseError::Exposed`].
pub const EXPOSED_HELP: &str = "make sure that nobody changed anything there, then make it accessible to this user only (chown; chmod 0700 for the folder, 0600 for the file)";

/// Why a database could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The file or its folder cannot be created, opened, read or written.
    #[error("{}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system or of SQLite.
        detail: String,
    },
    /// The file system is full.
    #[error("{}: there is no space left", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The content of the file is not what was written.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        detail: String,
    },
    /// It is a file of another program, or of another version of this one.
    #[error("{} cannot be used by this version: {detail}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The difference.
        detail: String,
    },
    /// It was made by an earlier version, and [`Database::upgrade`](super::Database::upgrade) converts it.
    #[error("{} was made by an earlier version", path.display())]
    Outdated {
        /// The file.
        path: PathBuf,
    },
    /// Another user could write to the file or replace it.
    #[error("{} {why}", path.display())]
    Exposed {
        /// The file, or its folder.
        path: PathBuf,
        /// How.
        why: &'static str,
    },
    /// The file, or one that belongs to it, was removed or replaced while it was open.
    #[error("{} was removed or replaced", path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The database was closed.
    #[error("{} was closed", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl DatabaseError {
    /// The error for what SQLite reported about the file at `path`.
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
            // Rows of another type than was written, or statements about tables that no longer
            // exist.
            _ if !matches!(error, rusqlite::Error::SqliteFailure(..)) => {
                Self::Damaged { path, detail: error.to_string() }
            }
            Some(ErrorCode::Unknown) => Self::Damaged { path, detail: error.to_string() },
            _ => Self::Io { path, detail: error.to_string() },
        }
    }

    /// The error for what the system reported about the file at `path`.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            return Self::Full { path: path.to_owned() };
        }
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }
}
