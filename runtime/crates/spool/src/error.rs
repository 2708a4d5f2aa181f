//! Errors of the spool.

use std::path::PathBuf;

use pattoo_base::database::{DatabaseError, EXPOSED_HELP};

use crate::InvalidName;

/// Why an operation on the spool failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The file could not be used.
    #[error("the spool {0}")]
    Database(#[from] DatabaseError),
    /// A text cannot name a queue.
    #[error("invalid name of a queue: {0}")]
    InvalidName(#[from] InvalidName),
    /// The file is damaged and cannot be replaced, because another process has it open.
    #[error("the spool {} is damaged ({detail}), and another process uses it", path.display())]
    DamagedAndInUse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file was made by an earlier version and cannot be converted, because another process has it open.
    #[error("the spool {} was made by an earlier version, and another process uses it", path.display())]
    OutdatedAndInUse {
        /// The file.
        path: PathBuf,
    },
    /// The payloads alone are larger than the limit of the spool.
    #[error("a payload of {bytes} bytes does not fit into a spool of {limit}")]
    TooLarge {
        /// The size of the payload, or of all that are stored together.
        bytes: u64,
        /// The limit on all payloads.
        limit: u64,
    },
    /// Other agents hold so many bytes, none more than its share, that the payload does not fit beside them.
    #[error("a payload of {bytes} bytes does not fit into the spool: other agents leave {left} bytes")]
    NoRoom {
        /// The size of the payload, or of all that are stored together.
        bytes: u64,
        /// The bytes that the other agents leave.
        left: u64,
    },
}

impl SpoolError {
    /// How to fix it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Database(DatabaseError::Full { .. }) => Some("free space on the file system of that file"),
            Self::Database(DatabaseError::Io { .. }) => Some("make the file and its folder writable for this user"),
            Self::Database(DatabaseError::Foreign { .. }) => {
                Some("move the file away, or use the version that made it")
            }
            Self::Database(DatabaseError::Exposed { .. }) => Some(EXPOSED_HELP),
            Self::Database(DatabaseError::Moved { .. }) => Some("restart the process that uses it"),
            Self::Database(_) | Self::InvalidName(_) => None,
            Self::DamagedAndInUse { .. } => {
                Some("stop the other process; the next one that opens the file recovers what is intact")
            }
            Self::OutdatedAndInUse { .. } => {
                Some("stop the other process; the next one that opens the file converts it")
            }
            Self::TooLarge { .. } | Self::NoRoom { .. } => {
                Some("raise the limit of the spool, or let the collector emit less at once")
            }
        }
    }
}
