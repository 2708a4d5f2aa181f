//! New folders and files, for the owner of the folder that they are in.
//!
//! Root can use the data of a service. What it created there would belong to root, and the user of
//! the service could not open it afterwards. So what root creates gets the owner and the group of
//! the folder that it is in; what another user creates belongs to that user.
//!
//! The owner of a folder can rename and replace what is in it at any time. So a new entry is created
//! in the folder that is open, and the owner of that folder is set on the entry that is open:
//! whatever the paths lead to by then, nobody gets a file that was in the folder of another user.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Dir, Gid, Mode, OFlags, RenameFlags, Uid, fchown, fstat, mkdirat, openat, renameat_with},
    io::Errno,
    process::geteuid,
};

/// Creates a folder and the missing ones above it with this mode.
///
/// # Errors
///
/// The error of the system. An existing folder is none.
pub fn create_folders(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let (above, name) = split(path)?;
    create_folders(above, mode)?;
    let above = open_folder(above)?;
    match mkdirat(&above, name, Mode::from_raw_mode(mode)) {
        Ok(()) => give_folder(&above, name),
        Err(Errno::EXIST) if path.is_dir() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Creates an empty file with this mode, and opens it for reading and writing.
///
/// # Errors
///
/// The error of the system; [`ErrorKind::AlreadyExists`] also for a symbolic link.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let (above, name) = split(path)?;
    let above = open_folder(above)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = File::from(openat(&above, name, flags, Mode::from_raw_mode(mode))?);
    give(&file, &above)?;
    Ok(file)
}

/// Creates an empty file with this mode, unless there is something at the path.
///
/// # Errors
///
/// The error of the system.
pub fn create_missing(path: &Path, mode: u32) -> io::Result<()> {
    match create_new(path, mode) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Renames a file, and never replaces another one. Works on file systems without hard links, too.
///
/// # Errors
///
/// The error of the system; [`ErrorKind::AlreadyExists`] if there is something at the new path.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    first_supported(&WAYS, from, to)
}

/// Gives a file a second name, or copies it where a file system has no hard links.
///
/// # Errors
///
/// The error of the system; [`ErrorKind::AlreadyExists`] if there is something at the new path.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if is_unsupported(&error) => {
            let mut copy = create_new(to, 0o600)?;
            io::copy(&mut super::open(from)?, &mut copy)?;
            copy.sync_all()
        }
        done => done,
    }
}

type Rename = fn(&Path, &Path) -> io::Result<()>;

/// NFS has no flag for it, vfat has no links, and exFAT has neither.
pub(super) const WAYS: [Rename; 3] = [without_replacing, by_link, under_lock];

pub(super) fn first_supported(ways: &[Rename], from: &Path, to: &Path) -> io::Result<()> {
    let mut done = Err(ErrorKind::Unsupported.into());
    for way in ways {
        done = way(from, to);
        if !matches!(&done, Err(error) if is_unsupported(error)) {
            break;
        }
    }
    done
}

fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error))
}

fn without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

fn by_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Keeps apart only processes that do the same.
fn under_lock(from: &Path, to: &Path) -> io::Result<()> {
    let folder = File::open(split(to)?.0)?;
    folder.lock()?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// The folder that an entry is in, and its name.
fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    Ok((super::folder_of(path), name))
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Gives a new folder to the owner of the one that it is in.
fn give_folder(above: &OwnedFd, name: &OsStr) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = openat(above, name, flags, Mode::empty())?;
    // The owner of the folder above may have put another one in its place.
    let is_entry = |name: &[u8]| name != b"." && name != b"..";
    let is_empty = !Dir::read_from(&new)?.flatten().any(|entry| is_entry(entry.file_name().to_bytes()));
    if fstat(&new)?.st_uid == 0 && is_empty { give(&new, above) } else { Ok(()) }
}

/// Gives what this process created to the owner of the folder that it is in. Only root can, and
/// only root has to.
fn give(new: impl AsFd, above: impl AsFd) -> io::Result<()> {
    let (found, owner) = (fstat(&new)?, fstat(above)?);
    if !geteuid().is_root() || found.st_uid == owner.st_uid {
        return Ok(());
    }
    let given = fchown(new, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)));
    if let Err(error) = given {
        // A container may lack the capability. Where root is the only user, nothing is wrong.
        tracing::warn!("cannot give a new file to user {}, who owns its folder: {error}", owner.st_uid);
    }
    Ok(())
}
