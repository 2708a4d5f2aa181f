//! Detects whether an open file is still the one at its path.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::space::beside;

type Inode = (u64, u64);

fn inode(path: &Path) -> Option<Inode> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The files of a database as they were when it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    main: Option<Inode>,
    log: Option<Inode>,
    index: Option<Inode>,
}

impl Places {
    /// The files at this path now.
    pub fn of(path: &Path) -> Self {
        Self { main: inode(path), log: inode(&beside(path, "-wal")), index: inode(&beside(path, "-shm")) }
    }

    /// Whether one of them was removed or replaced.
    pub fn have_moved(self, path: &Path) -> bool {
        let now = Self::of(path);
        let other = |then: Option<Inode>, now| then.is_some() && then != now;
        other(self.main, now.main) || other(self.log, now.log) || other(self.index, now.index)
    }

    /// Whether the main file is still at its path.
    pub fn main_is_at(self, path: &Path) -> bool {
        self.main.is_some() && self.main == inode(path)
    }

    /// Removes the log and the index of this database from a path where the main file was removed
    /// or replaced: SQLite would use them for the new file.
    pub fn clear_away(self, path: &Path) {
        for (suffix, ours) in [("-wal", self.log), ("-shm", self.index)] {
            let beside = beside(path, suffix);
            if ours.is_some() && ours == inode(&beside) {
                let _ = fs::remove_file(beside);
            }
        }
    }
}
