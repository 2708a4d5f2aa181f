//! Files that an operator names, opened without blocking, read up to a limit, and checked for who
//! can write them.
//!
//! Modules, secrets and configuration are named by their paths, and other users may be able to put
//! something else there. To open a named pipe blocks, a device may have no end, and a file that
//! others can write has the content that they want. So every such file is opened by [`open`], which
//! accepts regular files only. Where its content has to be trusted, [`exposures`] returns who else
//! can change it.
//!
//! ```
//! use pattoo_base::files;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("settings.yaml");
//! # std::fs::write(&path, "interval: 5s\n").unwrap();
//! assert_eq!(files::read_text(&path, 1024).unwrap(), "interval: 5s\n");
//! let too_long = files::read_text(&path, 4).unwrap_err();
//! assert_eq!(too_long.to_string(), "it has more than 4 bytes, the maximum for such a file");
//! ```

mod exposure;
mod owned;
mod publish;
mod space;

use std::{
    fmt,
    fs::{self, File, FileType, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

pub use self::{
    exposure::{
        Exposure, How, exposures, exposures_of_folder, exposures_of_secret, is_shared_folder, is_trusted_owner,
        refuse_exposed,
    },
    owned::{create_folders, create_missing, create_new, link_or_copy, rename_new},
    publish::{PublishError, publish},
    space::Space,
};

/// An error: the path is not that of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRegular(&'static str);

impl NotRegular {
    fn of(kind: FileType) -> Self {
        Self(match kind {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a named pipe",
            kind if kind.is_socket() => "a socket",
            kind if kind.is_char_device() || kind.is_block_device() => "a device",
            kind if kind.is_symlink() => "a symbolic link",
            _ => "something else",
        })
    }
}

impl fmt::Display for NotRegular {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it is {}, not a regular file", self.0)
    }
}

impl std::error::Error for NotRegular {}

impl From<NotRegular> for io::Error {
    fn from(error: NotRegular) -> Self {
        let kind = if error.0 == "a directory" { ErrorKind::IsADirectory } else { ErrorKind::InvalidInput };
        Self::new(kind, error)
    }
}

/// The folder that a file is in: `.` for a path that is only a name, of which
/// [`parent`](Path::parent) is the empty path.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks that a file can be created in a folder, or the folder itself if it does not exist.
///
/// # Errors
///
/// Why not, with the existing folder that was tried: `in /var: Permission denied (os error 13)`.
pub fn check_writable(folder: &Path) -> Result<(), String> {
    let there = folder.ancestors().find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    // The file has no name, or is removed at once.
    tempfile::tempfile_in(there).map(drop).map_err(|error| format!("in {}: {error}", there.display()))
}

/// Opens a regular file for reading. Never blocks on a named pipe or a device.
///
/// # Errors
///
/// The error of the system, or [`NotRegular`].
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, 0)
}

/// The same as [`open`], but refuses a symbolic link at the end of the path.
pub fn open_no_follow(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, libc::O_NOFOLLOW)
}

/// Opens a file for reading and writing, for example as a lock file. A missing file is created (mode
/// 0600), for the owner of its folder.
///
/// # Errors
///
/// As [`open_no_follow`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let open = || open_with(OpenOptions::new().read(true).write(true), path, libc::O_NOFOLLOW);
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => create_missing(path, 0o600).and_then(|()| open()),
        opened => opened,
    }
}

/// Opens a regular file with these options.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(options: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    // Do not wait for the other end of a pipe, and do not become the process of a terminal. Neither
    // affects regular files.
    let opened = options.custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|error| match fs::symlink_metadata(path) {
        // The errors of the system are misleading here: a pipe without a reader is `No such device
        // or address`.
        Ok(found) if flags & libc::O_NOFOLLOW != 0 && found.is_symlink() => NotRegular::of(found.file_type()).into(),
        _ => match fs::metadata(path) {
            Ok(found) if !found.is_file() && error.kind() != ErrorKind::PermissionDenied => {
                NotRegular::of(found.file_type()).into()
            }
            _ => error,
        },
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(NotRegular::of(kind).into()) }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// As [`open`], and when the file has more than `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(&open(path)?, limit)
}

/// Reads an open file of at most `limit` bytes.
///
/// # Errors
///
/// The error of the system, and when the file has more than `limit` bytes.
pub fn read_open(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more byte tells "too large" from "just fits", whatever the metadata of the file says.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes, the maximum for such a file");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// The same as [`read`], for UTF-8 text.
///
/// # Errors
///
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| ErrorKind::InvalidData.into())
        .map_err(|error: io::Error| io::Error::new(error.kind(), "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests;
