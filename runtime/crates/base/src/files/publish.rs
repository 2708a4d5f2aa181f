//! A new file that appears under its name complete and durable, or not at all.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{create_new, folder_of, rename_new};

/// Why a file was not published.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct PublishError {
    /// `create`, `write` or `sync`.
    pub action: &'static str,
    /// The file, its draft, or their folder.
    pub path: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

impl PublishError {
    fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

/// Creates a file with this content and the mode 0600, unless there is something at its path.
///
/// The file is written and synced under the name `draft`, which is in the same folder, and gets its
/// own name only then. Nothing is replaced: if several processes publish the same file, the first
/// one's content stays, and all succeed. A process that is killed can leave its draft.
///
/// # Errors
///
/// The operation that failed. An existing draft is an error, because it may be that of another
/// process.
pub fn publish(path: &Path, draft: &Path, content: &[u8]) -> Result<(), PublishError> {
    let mut file = create_new(draft, 0o600).map_err(PublishError::of("create", draft))?;
    let draft = Draft(draft);
    file.write_all(content).and_then(|()| file.sync_all()).map_err(PublishError::of("write", draft.0))?;
    match rename_new(draft.0, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(PublishError::of("create", path)(error)),
        Ok(()) | Err(_) => {}
    }
    drop(draft);
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(PublishError::of("sync", folder))
}

/// Removes the draft when `publish` returns, also with an error.
struct Draft<'a>(&'a Path);

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.0)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::debug!(path = ?self.0, %error, "the draft of a file stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::publish;

    #[test]
    fn published_file_is_complete_and_private_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let (path, draft) = (folder.path().join("name"), folder.path().join("draft"));
        publish(&path, &draft, b"first").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        publish(&path, &draft, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first", "an existing file is not replaced");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn draft_of_another_process_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (path, draft) = (folder.path().join("name"), folder.path().join("draft"));
        fs::write(&draft, "another's").unwrap();
        let error = publish(&path, &draft, b"ours").unwrap_err();
        assert_eq!((error.action, &error.path), ("create", &draft));
        assert_eq!(fs::read(&draft).unwrap(), b"another's");
        assert!(!path.exists());
    }

    #[test]
    fn draft_is_removed_when_the_file_cannot_get_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, draft) = (folder.path().join("missing/name"), folder.path().join("draft"));
        let error = publish(&path, &draft, b"ours").unwrap_err();
        assert_eq!((error.action, &error.path), ("create", &path));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
