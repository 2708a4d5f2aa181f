//! Who may write to a database, and how its file is created.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::error::DatabaseError;
use crate::files;

/// Checks that only this user can write to a file and to the folder that it is in, and the group of
/// the folder if that is [shared](files::is_shared_folder). A missing file passes.
///
/// # Errors
/// [`DatabaseError::Exposed`].
pub fn refuse_unless_private(path: &Path) -> Result<(), DatabaseError> {
    let folder = files::folder_of(path);
    let shared = fs::symlink_metadata(folder).ok().filter(files::is_shared_folder).map(|folder| folder.gid());
    for (path, is_kind) in [(folder, Metadata::is_dir as fn(&Metadata) -> bool), (path, Metadata::is_file)] {
        let Ok(found) = fs::symlink_metadata(path) else { continue };
        let user = rustix::process::geteuid();
        let why = if !is_kind(&found) {
            "is a symbolic link, or not the expected kind of file"
        } else if found.mode() & if shared == Some(found.gid()) { 0o002 } else { 0o022 } != 0 {
            "can be written by other users than its owner"
        } else if found.uid() != user.as_raw() && !user.is_root() {
            "belongs to another user"
        } else {
            continue;
        };
        return Err(DatabaseError::Exposed { path: path.to_owned(), why });
    }
    // Nobody else can replace the folder either.
    files::refuse_exposed(folder).map_err(|exposure| {
        let why = match exposure.how {
            files::How::Owner(_) => "belongs to another user",
            _ => "can be written by every user",
        };
        DatabaseError::Exposed { path: exposure.path, why }
    })?;
    Ok(())
}

/// Creates the missing folders and the missing file, for the owner of the folder above only.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = files::folder_of(path);
    files::create_folders(folder, 0o700)?;
    files::create_missing(path, 0o600)?;
    // A new folder is durable once its parent is.
    for created in folder.ancestors().take(3).filter(|created| !created.as_os_str().is_empty()) {
        File::open(created)?.sync_all()?;
    }
    Ok(())
}
