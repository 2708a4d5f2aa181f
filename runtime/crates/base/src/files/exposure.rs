//! Who else can change a file.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt,
    fs::{self, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

/// Write permission of the group, and of all users.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
/// Read permission of all users.
const OTHER_READ: u32 = 0o004;
/// In a directory with this bit only the owner of a file can remove or replace it.
const STICKY: u32 = 0o1000;
/// What is new in a directory with this bit gets the group of the directory.
const SET_GROUP: u32 = 0o2000;
/// The maximum number of symbolic links to follow: that of the kernel.
const MOST_LINKS: usize = 40;

/// How a user other than this one and root can change or read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every user can write the file, or replace entries of the directory.
    EveryoneWrites,
    /// It belongs to this other user.
    Owner(u32),
    /// This group can write it.
    GroupWrites(u32),
    /// Every user can read it.
    EveryoneReads,
}

/// A file or directory that others can change or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The file, or a directory of its path.
    pub path: PathBuf,
    /// How it is exposed.
    pub how: How,
    pub(super) is_directory: bool,
}

impl Exposure {
    /// Whether such a file cannot be trusted. Write permission of a group may be intended (as in
    /// volumes of Kubernetes), and read permission does not change the content.
    pub fn is_refused(&self) -> bool {
        matches!(self.how, How::EveryoneWrites | How::Owner(_))
    }

    /// The command that fixes it.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        match self.how {
            How::EveryoneWrites => format!("chmod o-w {path}"),
            How::Owner(_) => format!("chown {} {path}", rustix::process::geteuid().as_raw()),
            How::GroupWrites(_) => format!("chmod g-w {path}"),
            How::EveryoneReads => format!("chmod o-r {path}"),
        }
    }

    /// The help text to fix it.
    pub fn help(&self) -> String {
        format!("make sure that nobody changed anything there, then: {}", self.fix())
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_directory { "the directory " } else { "" };
        let path = self.path.display();
        match self.how {
            How::EveryoneWrites => write!(formatter, "{kind}{path} can be written by every user"),
            How::Owner(uid) => {
                write!(formatter, "{kind}{path} belongs to user {uid}, who is neither this user nor root")
            }
            How::GroupWrites(gid) => write!(formatter, "{kind}{path} can be written by the group {gid}"),
            How::EveryoneReads => write!(formatter, "{kind}{path} can be read by every user"),
        }
    }
}

impl std::error::Error for Exposure {}

impl From<Exposure> for io::Error {
    fn from(exposure: Exposure) -> Self {
        Self::new(ErrorKind::PermissionDenied, format!("{exposure}; {}", exposure.fix()))
    }
}

/// Whether an administrator gave a folder to its group, to write in it and to keep what is written:
/// its mode is `g+ws`, as Kubernetes mounts a volume with `fsGroup`. Users outside the group have no
/// write permission.
pub fn is_shared_folder(folder: &Metadata) -> bool {
    let shared = SET_GROUP | GROUP_WRITE;
    folder.is_dir() && folder.mode() & (shared | OTHER_WRITE) == shared
}

/// Checks that no other user can change the file at this path. A missing file passes.
///
/// # Errors
///
/// The first [`Exposure`] that is refused.
pub fn refuse_exposed(path: &Path) -> Result<(), Exposure> {
    exposures(path).into_iter().find(Exposure::is_refused).map_or(Ok(()), Err)
}

/// How users other than this one and root can change the file at this path: checks the file itself,
/// every directory of the path, and every symbolic link that is followed. A directory with the
/// sticky bit is not exposed (users cannot replace files of others there), but a file in it has to
/// belong to this user or root. A missing file is not exposed.
///
/// Root trusts the owner of a file as it trusts its directory: for root the owner is checked only
/// in directories that every user can write.
pub fn exposures(path: &Path) -> Vec<Exposure> {
    Walk::of(path, Trusted::now()).found
}

/// The same for a folder in which every file has a meaning: also where the sticky
/// bit lets others add files, but not replace them.
pub fn exposures_of_folder(folder: &Path) -> Vec<Exposure> {
    let mut found = exposures(folder);
    if let Ok(metadata) = fs::metadata(folder)
        && metadata.mode() & STICKY != 0
    {
        found.extend(writers(&metadata).map(|how| Exposure { path: folder.to_owned(), how, is_directory: true }));
    }
    found
}

/// Which users besides its owner can write a file, or in a directory.
fn writers(found: &Metadata) -> Option<How> {
    let mode = found.mode();
    if mode & OTHER_WRITE != 0 {
        return Some(How::EveryoneWrites);
    }
    (mode & GROUP_WRITE != 0 && found.gid() != 0).then(|| How::GroupWrites(found.gid()))
}

/// The same for a secret: also read permission of other users.
pub fn exposures_of_secret(path: &Path) -> Vec<Exposure> {
    let mut found = exposures(path);
    let mode = fs::metadata(path).map_or(0, |found| found.mode());
    if mode & OTHER_READ != 0 {
        found.push(Exposure { path: path.to_owned(), how: How::EveryoneReads, is_directory: false });
    }
    found
}

/// Whether files of this user are trusted like those of this process: it is this user, or root.
pub fn is_trusted_owner(uid: u32) -> bool {
    Trusted::now().trusts(uid, true)
}

/// Which owners are trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trusted {
    pub(super) user: u32,
    /// The owner of files that belong to no user of this user namespace, where root is not the root
    /// of the system: no process in the namespace can act as this user.
    pub(super) unmapped: Option<u32>,
}

impl Trusted {
    fn now() -> Self {
        static UNMAPPED: OnceLock<Option<u32>> = OnceLock::new();
        let user = rustix::process::geteuid().as_raw();
        Self { user, unmapped: *UNMAPPED.get_or_init(unmapped) }
    }

    pub(super) fn trusts(self, owner: u32, in_public_directory: bool) -> bool {
        owner == self.user || owner == 0 || self.unmapped == Some(owner) || (self.user == 0 && !in_public_directory)
    }
}

/// The owner of the files of the root of the system, if it is no user of this user namespace.
fn unmapped() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let is_root_mapped = map.lines().any(|line| {
        let mut numbers = line.split_whitespace();
        numbers.next() == Some("0") && numbers.next() == Some("0")
    });
    if is_root_mapped {
        return None;
    }
    fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()
}

/// Follows a path as the kernel resolves it.
pub(super) struct Walk {
    trusted: Trusted,
    pub(super) found: Vec<Exposure>,
    seen: HashSet<PathBuf>,
}

impl Walk {
    pub(super) fn of(path: &Path, trusted: Trusted) -> Self {
        let mut walk = Self { trusted, found: Vec::new(), seen: HashSet::new() };
        let Ok(path) = std::path::absolute(path) else { return walk };
        let mut rest: Vec<OsString> = names(&path).collect();
        rest.reverse();
        let mut at = PathBuf::from("/");
        let mut links = 0..MOST_LINKS;
        let mut is_public = walk.check(&at, false).unwrap_or(false);
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let Ok(found) = fs::symlink_metadata(&next) else { break };
            if found.is_symlink() {
                if !trusted.trusts(found.uid(), is_public) {
                    walk.add(&next, How::Owner(found.uid()), false);
                }
                let Ok(target) = fs::read_link(&next) else { break };
                if links.next().is_none() {
                    break;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let target: Vec<OsString> = names(&target).collect();
                rest.extend(target.into_iter().rev());
            } else {
                at = next;
            }
            is_public = walk.check(&at, is_public).unwrap_or(is_public);
        }
        walk
    }

    /// Checks a file or directory. Returns whether it is a directory that every user can write.
    fn check(&mut self, path: &Path, in_public_directory: bool) -> Option<bool> {
        let found = fs::symlink_metadata(path).ok()?;
        let is_public = found.is_dir() && found.mode() & OTHER_WRITE != 0;
        if self.seen.insert(path.to_owned())
            && let Some(how) = self.how(&found, in_public_directory)
        {
            self.add(path, how, found.is_dir());
        }
        Some(is_public)
    }

    fn how(&self, found: &Metadata, in_public_directory: bool) -> Option<How> {
        let sticky = found.is_dir() && found.mode() & STICKY != 0;
        match writers(found).filter(|_| !sticky) {
            Some(How::EveryoneWrites) => Some(How::EveryoneWrites),
            _ if !self.trusted.trusts(found.uid(), in_public_directory) => Some(How::Owner(found.uid())),
            of_group => of_group,
        }
    }

    fn add(&mut self, path: &Path, how: How, is_directory: bool) {
        self.found.push(Exposure { path: path.to_owned(), how, is_directory });
    }
}

/// The components of a path, including `..`.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
