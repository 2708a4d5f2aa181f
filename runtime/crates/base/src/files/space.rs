//! The space of file systems.

use std::{fs::File, io, path::Path};

use rustix::fs::{StatVfs, fstatvfs, statvfs};

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it; 0 if it is unknown.
    pub size: u64,
    /// What users other than root can still use.
    pub free: u64,
}

impl Space {
    /// That of the file system with this file or folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(statvfs(path)?.into())
    }

    /// The same for an open file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(fstatvfs(file)?.into())
    }
}

impl From<StatVfs> for Space {
    fn from(found: StatVfs) -> Self {
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Self { size: bytes(found.f_blocks), free: bytes(found.f_bavail) }
    }
}
