//! Files that somebody else may name, replace or write: opened without blocking, read within a bound, and checked for who can write them.
//!
//! An operator names modules, secrets and configuration by their paths, and other users may be able to put something else there. A named
//! pipe makes whoever opens it wait, a device may never end, and a file that others can write says what they want. So every such file
//! is opened by [`open`], which takes regular files only, and where its content is trusted, [`exposures`] says who else can change it.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt,
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

/// Write permission of the group, and of everybody.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
/// Read permission of everybody.
const OTHER_READ: u32 = 0o004;
/// In such a directory only its owner can remove or replace a file.
const STICKY: u32 = 0o1000;
/// How many symbolic links are followed, as many as the kernel follows.
const MOST_LINKS: usize = 40;

/// What is at a path that is not a regular file.
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

/// Opens a regular file for reading. Neither a named pipe nor a device is waited for, and none is read.
///
/// # Errors
///
/// What the system says, or [`NotRegular`].
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, 0)
}

/// As [`open`], and refuses a symbolic link at the end of the path.
pub fn open_no_follow(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path, libc::O_NOFOLLOW)
}

/// Opens a file of ours for reading and writing, making it (mode 0600) where there is none: a file that is only locked, for example.
///
/// # Errors
///
/// As [`open_no_follow`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    open_with(&mut options, path, libc::O_NOFOLLOW)
}

/// Opens a regular file with these options.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(options: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    // Without waiting for the other end of a pipe, and without taking a terminal for ours. Neither means anything for a regular file.
    let opened = options.custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|error| match fs::symlink_metadata(path) {
        // The system has other words for these: a pipe that nobody reads is `No such device or address`.
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
/// What the system says, and when the file has more than `limit` bytes.
pub fn read_open(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more tells "too large" from "just fits", whatever the file's length claims.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes, the most that such a file may have");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// As [`read`], for UTF-8 text.
///
/// # Errors
///
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| ErrorKind::InvalidData.into())
        .map_err(|error: io::Error| io::Error::new(error.kind(), "it is not UTF-8 text"))
}

/// How somebody else than this user and root can change or read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every user can write it, or replace what is in the directory.
    EveryoneWrites,
    /// It belongs to another user.
    Owner(u32),
    /// A group can write it.
    GroupWrites(u32),
    /// Every user can read it.
    EveryoneReads,
}

/// A file or directory that others can change or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The file, or a directory on the way to it.
    pub path: PathBuf,
    /// Who, and what.
    pub how: How,
    is_directory: bool,
}

impl Exposure {
    /// Whether a file that is exposed so cannot be trusted. What only a group can write may be meant so (a volume of Kubernetes is), and
    /// what everybody can read says nothing wrong.
    pub fn is_refused(&self) -> bool {
        matches!(self.how, How::EveryoneWrites | How::Owner(_))
    }

    /// The command that ends it.
    pub fn fix(&self) -> String {
        let path = self.path.display();
        match self.how {
            How::EveryoneWrites => format!("chmod o-w {path}"),
            How::Owner(_) => format!("chown {} {path}", rustix::process::geteuid().as_raw()),
            How::GroupWrites(_) => format!("chmod g-w {path}"),
            How::EveryoneReads => format!("chmod o-r {path}"),
        }
    }

    /// How to end it, as a help text.
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

/// An error if others can change what is at this path. What is not there is not exposed.
///
/// # Errors
///
/// The first [`Exposure`] that is refused.
pub fn refuse_exposed(path: &Path) -> Result<(), Exposure> {
    exposures(path).into_iter().find(Exposure::is_refused).map_or(Ok(()), Err)
}

/// Who else than this user and root can change what is at this path: the file itself, every directory on the way to it, and every
/// symbolic link that is followed. A directory with the sticky bit is no exposure (nobody can replace there what is another's), but what
/// lies in it must belong to this user or root. What is not there is not exposed.
///
/// Root trusts the owner of a file as it trusts the file's directory: who owns it is not checked outside of directories that
/// everybody can write.
pub fn exposures(path: &Path) -> Vec<Exposure> {
    Walk::of(path, Trusted::now()).found
}

/// The same for secrets: also who can read it.
pub fn exposures_of_secret(path: &Path) -> Vec<Exposure> {
    let mut found = exposures(path);
    let mode = fs::metadata(path).map_or(0, |found| found.mode());
    if mode & OTHER_READ != 0 {
        found.push(Exposure { path: path.to_owned(), how: How::EveryoneReads, is_directory: false });
    }
    found
}

/// Which owners are trusted.
#[derive(Debug, Clone, Copy)]
struct Trusted {
    us: u32,
    /// The owner of what belongs to nobody in this user namespace, where root is not the system's root: nobody in here can act as them.
    unmapped: Option<u32>,
}

impl Trusted {
    fn now() -> Self {
        static UNMAPPED: OnceLock<Option<u32>> = OnceLock::new();
        let us = rustix::process::geteuid().as_raw();
        Self { us, unmapped: *UNMAPPED.get_or_init(unmapped) }
    }

    fn trusts(self, owner: u32, everybody_writes_there: bool) -> bool {
        owner == self.us || owner == 0 || self.unmapped == Some(owner) || (self.us == 0 && !everybody_writes_there)
    }
}

/// Who owns the files of the system's root, if that is nobody in this user namespace.
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

/// A walk along a path, as the kernel resolves it.
struct Walk {
    trusted: Trusted,
    found: Vec<Exposure>,
    seen: HashSet<PathBuf>,
}

impl Walk {
    fn of(path: &Path, trusted: Trusted) -> Self {
        let mut walk = Self { trusted, found: Vec::new(), seen: HashSet::new() };
        let Ok(path) = std::path::absolute(path) else { return walk };
        let mut rest: Vec<OsString> = names(&path).collect();
        rest.reverse();
        let mut at = PathBuf::from("/");
        let mut links = 0..MOST_LINKS;
        let mut everybody_writes = walk.look(&at, false).unwrap_or(false);
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let Ok(found) = fs::symlink_metadata(&next) else { break };
            if found.is_symlink() {
                if !trusted.trusts(found.uid(), everybody_writes) {
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
            everybody_writes = walk.look(&at, everybody_writes).unwrap_or(everybody_writes);
        }
        walk
    }

    /// Looks at a file or directory that lies where everybody can write or not; says whether everybody can write in it.
    fn look(&mut self, path: &Path, everybody_writes_there: bool) -> Option<bool> {
        let found = fs::symlink_metadata(path).ok()?;
        let everybody = found.is_dir() && found.mode() & OTHER_WRITE != 0;
        if self.seen.insert(path.to_owned())
            && let Some(how) = self.how(&found, everybody_writes_there)
        {
            self.add(path, how, found.is_dir());
        }
        Some(everybody)
    }

    fn how(&self, found: &Metadata, everybody_writes_there: bool) -> Option<How> {
        let mode = found.mode();
        let sticky = found.is_dir() && mode & STICKY != 0;
        if mode & OTHER_WRITE != 0 && !sticky {
            Some(How::EveryoneWrites)
        } else if !self.trusted.trusts(found.uid(), everybody_writes_there) {
            Some(How::Owner(found.uid()))
        } else if mode & GROUP_WRITE != 0 && !sticky && found.gid() != 0 {
            Some(How::GroupWrites(found.gid()))
        } else {
            None
        }
    }

    fn add(&mut self, path: &Path, how: How, is_directory: bool) {
        self.found.push(Exposure { path: path.to_owned(), how, is_directory });
    }
}

/// The names of a path, `..` among them.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{
            fs::{PermissionsExt as _, symlink},
            net::UnixListener,
        },
        path::Path,
        process::Command,
        sync::mpsc,
        time::Duration,
    };

    use super::{Exposure, How, Trusted, Walk, exposures, exposures_of_secret, open, open_or_create, read, read_text};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What this user would find of the file itself.
    fn found_by(us: u32, path: &Path) -> Vec<How> {
        let walk = Walk::of(path, Trusted { us, unmapped: None });
        walk.found.iter().filter(|exposure| exposure.path == path).map(|exposure| exposure.how).collect()
    }

    #[test]
    fn only_regular_files_are_opened_and_none_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        symlink(at("pipe"), at("link-to-pipe")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        let (done, waiting) = mpsc::channel();
        let paths = ["pipe", "link-to-pipe", "zero", "socket", "folder"].map(at);
        std::thread::spawn(move || {
            for path in paths {
                done.send((open(&path).map(drop), open_or_create(&path).map(drop))).unwrap();
            }
        });
        for words in ["a named pipe", "a named pipe", "a device", "a socket", "a directory"] {
            let (read, written) = waiting.recv_timeout(Duration::from_secs(20)).expect("it is not waited for");
            let expected = format!("it is {words}, not a regular file");
            assert_eq!(read.unwrap_err().to_string(), expected);
            let written = written.unwrap_err().to_string();
            assert!(written == expected || written == "it is a symbolic link, not a regular file", "{written}");
        }
        assert_eq!(read(&at("file"), 4).unwrap(), b"text");
        assert_eq!(read_text(&at("link"), 4).unwrap(), "text");
        assert!(read(&at("file"), 3).unwrap_err().to_string().contains("more than 3 bytes"));
        fs::write(at("file"), [0xff]).unwrap();
        assert_eq!(read_text(&at("file"), 4).unwrap_err().to_string(), "it is not UTF-8 text");
    }

    #[test]
    fn a_file_that_others_can_write_or_replace_is_found_with_what_ends_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        let file = folder.join("file");
        fs::write(&file, "x").unwrap();
        mode(&file, 0o644);
        assert_eq!(exposures(&file), []);
        let all = |path: &Path, how| [Exposure { path: path.to_owned(), how, is_directory: path.is_dir() }];
        mode(&file, 0o666);
        assert_eq!(exposures(&file), all(&file, How::EveryoneWrites));
        assert_eq!(exposures(&file)[0].fix(), format!("chmod o-w {}", file.display()));
        assert!(exposures(&file)[0].is_refused());
        mode(&file, 0o600);
        // In a directory that everybody can write, the file can be replaced; with the sticky bit it cannot.
        mode(&folder, 0o777);
        assert_eq!(exposures(&file), all(&folder, How::EveryoneWrites));
        mode(&folder, 0o1777);
        assert_eq!(exposures(&file), []);
        mode(&folder, 0o755);
        // Another user does not trust what belongs to this one, unless that is root.
        let (us, other) = (rustix::process::geteuid().as_raw(), 4242);
        let expected = if us == 0 { vec![] } else { vec![How::Owner(us)] };
        assert_eq!(found_by(other, &file), expected);
        assert_eq!(exposures_of_secret(&file), []);
        mode(&file, 0o604);
        let readable = exposures_of_secret(&file);
        assert_eq!(readable, all(&file, How::EveryoneReads));
        assert!(!readable[0].is_refused());
        // What is not there is nobody's.
        assert_eq!(exposures(&folder.join("missing/file")), []);
    }

    #[test]
    fn each_directory_that_links_lead_through_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let (open, own) = (root.path().join("open"), root.path().join("own"));
        fs::create_dir(&open).unwrap();
        fs::create_dir(&own).unwrap();
        fs::write(own.join("secret"), "x").unwrap();
        // own/link -> ../open/hop -> ../own/secret: the middle one is where others can write.
        symlink("../own/secret", open.join("hop")).unwrap();
        symlink("../open/hop", own.join("link")).unwrap();
        assert_eq!(exposures(&own.join("link")), []);
        mode(&open, 0o777);
        let found = exposures(&own.join("link"));
        assert_eq!(
            found.iter().map(|one| (one.path.clone(), one.how)).collect::<Vec<_>>(),
            [(open, How::EveryoneWrites)]
        );
        // As Kubernetes mounts a secret: file -> ..data/file, ..data -> ..2024, all of root.
        let volume = root.path().join("volume");
        fs::create_dir_all(volume.join("..2024")).unwrap();
        fs::write(volume.join("..2024/token"), "x").unwrap();
        symlink("..2024", volume.join("..data")).unwrap();
        symlink("..data/token", volume.join("token")).unwrap();
        assert_eq!(exposures(&volume.join("token")), []);
        // Links that lead in a circle come to an end.
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        assert_eq!(exposures(&root.path().join("a")), []);
    }

    #[test]
    fn an_owner_counts_where_everybody_can_write_and_for_all_but_root_everywhere() {
        let user = Trusted { us: 1000, unmapped: None };
        assert!(user.trusts(1000, true) && user.trusts(0, true));
        assert!(!user.trusts(1001, false) && !user.trusts(65534, false));
        let root = Trusted { us: 0, unmapped: None };
        assert!(root.trusts(1001, false) && !root.trusts(1001, true));
        let in_namespace = Trusted { us: 1000, unmapped: Some(65534) };
        assert!(in_namespace.trusts(65534, true) && !in_namespace.trusts(1001, false));
    }
}
