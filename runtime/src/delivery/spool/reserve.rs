//! Room that is kept free for the time when there is none.
//!
//! To delete a body SQLite writes first: into its log, which may have to grow. On a file system that is full to the last block nothing
//! could be deleted any more, and a spool that has filled it would stay there for ever. So a file of zeroes lies beside it, which is given up
//! then, and made again once there is room.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// How much is kept, in bytes: what some twenty deletions write, between two of which the log can begin anew.
const SIZE: u64 = 1 << 20;

/// The room that is kept beside a spool.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// That of the spool at `path`.
    pub(super) fn beside(path: &Path) -> Self {
        Self(path.with_file_name("reserve"))
    }

    /// Makes it, if it is not there. Where there is no room for it nothing is kept; that will show soon enough.
    pub(super) fn keep(&self) {
        if std::fs::metadata(&self.0).is_ok_and(|file| file.len() == SIZE) {
            return;
        }
        if let Err(error) = self.fill() {
            tracing::debug!("{}: no room is kept: {error}", self.0.display());
            self.give_up();
        }
    }

    fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0)?;
        io::copy(&mut io::Read::take(io::repeat(0), SIZE), &mut file)?;
        file.flush()?;
        file.sync_all()
    }

    /// Gives the room to whoever needs it.
    pub(super) fn give_up(&self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{}: {error}", self.0.display());
        }
    }
}
