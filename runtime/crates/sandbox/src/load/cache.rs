//! The cache of compiled code.
//!
//! The cache holds native code that will be executed, so an entry is used only if it is authentic. The folder belongs to this
//! user, has mode 0700 and is not a link: users who share a directory of data have a folder each, and nobody runs code that
//! another user could have put there. An entry is an ELF file followed by an HMAC-SHA-256 over the entry's name, its length
//! and the digests of its chunks; the key is a file of the same folder. The name of an entry is the digest of the module and of
//! the engine's settings. An entry that does not verify is deleted and compiled again. An entry that was not used for thirty
//! days is deleted. The cache also keeps, in the same form, how compilations [failed](super::failed_compilations).
//!
//! The runtime of a language takes tens of megabytes, so chunks are digested in parallel, and a verified entry is mapped, not
//! copied. The engine maps the file descriptor that was verified, so a file that replaces the entry in between is not executed.
//! A mapped entry does not change: entries are written elsewhere and moved into place, and deleted by name, and neither
//! affects a mapping. (Writing to a mapped file or shortening it would end the process with SIGBUS.) This user can do that,
//! but can also read the key or attach a debugger: the authentication code is no defence against this user.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    thread::{self, ScopedJoinHandle},
    time::{Duration, SystemTime},
};

use hmac::{Hmac, Mac as _};
use pattoo_base::files;
use rustix::fs::{AtFlags, Dir, FileType, unlinkat};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use super::{ModuleDigest, failed_compilations::CompileFailure};

/// How long an unused entry is kept.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Bytes of an authentication code.
const MAC: usize = 32;
/// Bytes of a chunk. Each is digested by a thread of its own, if there are several.
const CHUNK: usize = 4 << 20;
/// Bytes that are read at a time, so that they are in the processor's cache when they are digested. A chunk is a multiple.
const PIECE: usize = 64 << 10;
/// Bytes of the key: a whole block of SHA-256, which HMAC takes as it is.
const KEY: usize = 64;
/// The file of the key.
const KEY_FILE: &str = "key";
/// The file name extensions of entries: compiled code, and compilations that failed.
const ENTRY: &str = "cwasm";
const FAILURE: &str = "refused";
/// How many compilations that failed are kept, and how large one may be, in bytes.
const FAILURES: usize = 256;
const MAX_FAILURE: usize = 16 << 10;

/// A digest.
type Hash = [u8; 32];

/// A folder of compiled code.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; KEY],
}

impl Cache {
    /// Opens the folder, making it and its key at first use. If the folder is that of another user, or is to be, this user has
    /// one beside it: `compiled-0` is that of root.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is not private.
    pub fn open(folder: &Path) -> io::Result<Self> {
        files::create_folders(files::folder_of(folder), 0o700)?;
        let folder = &of_this_user(folder);
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !is_private(&take_back(folder)?) {
            let what = format!("{} is not a folder that only this user can use (mode 0700)", folder.display());
            return Err(io::Error::new(ErrorKind::PermissionDenied, what));
        }
        Ok(Self { folder: folder.to_owned(), key: key(folder)? })
    }

    /// The compiled code of the module with this digest for this engine, if there is an authentic entry.
    pub(super) fn get(&self, engine: &Engine, sha256: &ModuleDigest) -> Option<CacheEntry> {
        self.entry(&name(engine, sha256, ENTRY))
    }

    /// The recorded failure of compiling this module for this engine, if there is one.
    pub(super) fn failure(&self, engine: &Engine, sha256: &ModuleDigest) -> Option<CompileFailure> {
        let entry = self.entry(&name(engine, sha256, FAILURE)).filter(|entry| entry.length <= MAX_FAILURE)?;
        serde_json::from_slice(&entry.bytes().ok()?).ok()
    }

    fn entry(&self, name: &str) -> Option<CacheEntry> {
        let path = self.folder.join(name);
        match self.verified(&path, name) {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!("{}: {error}; it is deleted and compiled again", path.display());
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn verified(&self, path: &Path, name: &str) -> io::Result<CacheEntry> {
        let damaged = || io::Error::new(ErrorKind::InvalidData, "its authentication code does not match");
        let file = open_private(path)?;
        let length = usize::try_from(file.metadata()?.len()).ok().and_then(|all| all.checked_sub(MAC));
        let length = length.ok_or_else(damaged)?;
        let mut code = [0; MAC];
        file.read_exact_at(&mut code, length as u64)?;
        self.mac(name, length, &digests(&file, length)?).verify_slice(&code).map_err(|_| damaged())?;
        // The modification time records the last use.
        let _ = file.set_modified(SystemTime::now());
        Ok(CacheEntry { file, length })
    }

    /// Keeps a compiled form.
    ///
    /// # Errors
    ///
    /// When it cannot be written. No partial entry is left then.
    pub(super) fn put(&self, engine: &Engine, sha256: &ModuleDigest, code: &[u8]) -> io::Result<()> {
        self.remove_unused();
        self.write(&name(engine, sha256, ENTRY), code)
    }

    /// Records how a compilation failed; the records that were not used for longest are deleted.
    ///
    /// # Errors
    ///
    /// When it cannot be written. No partial entry is left then.
    pub(super) fn put_failure(
        &self,
        engine: &Engine,
        sha256: &ModuleDigest,
        failure: &CompileFailure,
    ) -> io::Result<()> {
        self.remove_unused();
        self.write(&name(engine, sha256, FAILURE), &serde_json::to_vec(failure)?)
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let digests: Vec<Hash> = code.chunks(CHUNK).map(|chunk| Sha256::digest(chunk).into()).collect();
        // Created with mode 0600 and moved into place, so that no process reads a partial entry.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(code)?;
        file.write_all(&self.mac(name, code.len(), &digests).finalize().into_bytes())?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }

    fn mac(&self, name: &str, length: usize, digests: &[Hash]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as hmac::digest::KeyInit>::new(hmac::digest::Key::<Hmac<Sha256>>::from_slice(&self.key));
        mac.update(name.as_bytes());
        mac.update(&(length as u64).to_le_bytes());
        for digest in digests {
            mac.update(digest);
        }
        mac
    }

    fn remove_unused(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut failures = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(used) = entry.metadata().and_then(|found| found.modified()) else { continue };
            let is_failure = path.extension().is_some_and(|ending| ending == FAILURE);
            let is_ours = is_failure || path.extension().is_some_and(|ending| ending == ENTRY);
            if is_ours && used.elapsed().is_ok_and(|age| age > KEPT) {
                let _ = fs::remove_file(path);
            } else if is_failure {
                failures.push((used, path));
            }
        }
        // One more is to come.
        if let Some(too_many) = failures.len().checked_sub(FAILURES.saturating_sub(1)) {
            failures.sort_unstable();
            for (_, path) in failures.into_iter().take(too_many) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The digests of the chunks of a file's first `length` bytes, in their order.
fn digests(file: &File, length: usize) -> io::Result<Vec<Hash>> {
    thread::scope(|scope| {
        let chunks = (0..length).step_by(CHUNK).map(|start| move || digest(file, start, length));
        let start = |chunk| if length > CHUNK { thread::Builder::new().spawn_scoped(scope, chunk).ok() } else { None };
        let running: Vec<_> = chunks.map(|chunk| (chunk, start(chunk))).collect();
        // Chunks for which no thread could be started are digested here.
        let done = running.into_iter().map(|(chunk, thread)| match thread.map(ScopedJoinHandle::join) {
            Some(Ok(done)) => done,
            _ => chunk(),
        });
        done.collect()
    })
}

/// The digest of the chunk at `start` in the first `length` bytes of a file.
fn digest(file: &File, start: usize, length: usize) -> io::Result<Hash> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    for place in (start..length.min(start.saturating_add(CHUNK))).step_by(PIECE) {
        // Only the last one is shorter.
        piece.truncate(length.saturating_sub(place));
        file.read_exact_at(&mut piece, place as u64)?;
        digest.update(&piece);
    }
    Ok(digest.finalize().into())
}

/// A compiled form that was verified.
#[derive(Debug)]
pub(super) struct CacheEntry {
    file: File,
    length: usize,
}

impl CacheEntry {
    /// The component, its code and the images of its memories mapped from the file.
    ///
    /// # Errors
    ///
    /// When this engine does not accept it, or it cannot be read.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // The file that was verified, even if its name refers to another file by now.
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        #[expect(unsafe_code, reason = "loading native code is what this is about")]
        // SAFETY: it verified, so our own compiler made it, and it does not change while it is mapped (see above).
        unsafe {
            // There may be no /proc, and from a file system that is mounted `noexec` no code is mapped.
            Component::deserialize_file(engine, file).or_else(|_| Component::deserialize(engine, self.bytes()?))
        }
    }

    /// The compiled form itself.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// The file name of an entry: what it was compiled from, and for which engine.
fn name(engine: &Engine, sha256: &ModuleDigest, ending: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{sha256}-{:016x}.{ending}", hasher.finish())
}

/// The folder of this user: the one that is named if it belongs to this user, or, where there is none, the folder that it
/// is in.
fn of_this_user(folder: &Path) -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let parent = || fs::metadata(files::folder_of(folder)).ok();
    let owner = fs::symlink_metadata(folder).ok().or_else(parent).map(|found| found.uid());
    if owner.is_none_or(|owner| owner == user) {
        return folder.to_owned();
    }
    let mut own = folder.as_os_str().to_owned();
    own.push(format!("-{user}"));
    own.into()
}

/// Makes a folder private again that was [given to its group](files::is_shared_folder), as Kubernetes does with a whole volume
/// when it is mounted. The group could read the key, so nothing in the folder is authentic any more.
fn take_back(folder: &Path) -> io::Result<Metadata> {
    let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(folder)?;
    let found = open.metadata()?;
    if found.uid() != rustix::process::geteuid().as_raw() || !files::is_shared_folder(&found) {
        return Ok(found);
    }
    tracing::warn!("{} was given to group {}: modules are compiled again", folder.display(), found.gid());
    // First the folder, so that nobody adds to it.
    open.set_permissions(Permissions::from_mode(0o700))?;
    for entry in Dir::read_from(&open)? {
        let entry = entry?;
        if entry.file_type() != FileType::Directory {
            unlinkat(&open, entry.file_name(), AtFlags::empty())?;
        }
    }
    open.metadata()
}

/// Whether only this user can read and change it.
fn is_private(found: &Metadata) -> bool {
    const OTHERS: u32 = 0o077;
    found.uid() == rustix::process::geteuid().as_raw() && (found.mode() & OTHERS) == 0
}

/// Opens a regular file that is private; a link is refused.
fn open_private(path: &Path) -> io::Result<File> {
    let file = files::open_no_follow(path)?;
    if is_private(&file.metadata()?) {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::PermissionDenied, "it is not a file that only this user can use"))
    }
}

/// The key of the folder, made once.
fn key(folder: &Path) -> io::Result<[u8; KEY]> {
    let path = folder.join(KEY_FILE);
    let read = || -> io::Result<[u8; KEY]> {
        let mut key = [0; KEY];
        open_private(&path)?.read_exact(&mut key)?;
        Ok(key)
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => fs::remove_file(&path)?,
        done => return done,
    }
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(key),
        // Another process created the key first.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => read(),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests;
