//! Compiled code, kept for the next start.
//!
//! What lies here is native code that will be run, so it is trusted only as far as it can be checked. The folder is private:
//! of this user, mode 0700, no link. An entry is the compiled form as it is, an ELF file, and behind it an HMAC-SHA-256 over the
//! entry's name, its length and the digests of its chunks, under a key that lies in the folder; its name is the digest of the
//! module and of the engine's settings. What does not verify is thrown away and made anew. An entry that nobody used for thirty
//! days is removed. Beside them lies, in the same form, how compilations [failed](super::refusals).
//!
//! A language's runtime is tens of megabytes, so its chunks are digested side by side, and what verified is not copied: the engine
//! maps it, and it maps the very file that was read, by its descriptor. What is put under its name in between is not run. While it
//! is mapped it stays as it is: we write entries elsewhere and move them into place, and remove them by their name, which
//! leaves a mapping whole; none is written to or shortened, which would end whoever runs it (SIGBUS). This user could
//! do either, but could also read the key or attach a debugger: against them the code is no defence, mapped or copied.

use std::{
    fs::{self, DirBuilder, File, Metadata},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    thread::{self, ScopedJoinHandle},
    time::{Duration, SystemTime},
};

use hmac::{Hmac, Mac as _};
use pattoo_base::files;
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use super::refusals::Refusal;

/// How long an entry stays that nobody uses.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Bytes of an authentication code.
const MAC: usize = 32;
/// Bytes of a chunk. Each is digested by a thread of its own, if there are several.
const CHUNK: usize = 4 << 20;
/// Bytes that are read at a time, so that they are still near when they are digested. A chunk is a multiple.
const PIECE: usize = 64 << 10;
/// Bytes of the key: a whole block of SHA-256, which HMAC takes as it is.
const KEY: usize = 64;
/// The file of the key.
const KEY_FILE: &str = "key";
/// How the files of entries end: compiled forms, and compilations that failed.
const ENTRY: &str = "cwasm";
const REFUSAL: &str = "refused";
/// How many compilations that failed are kept, and how large one may be, in bytes.
const REFUSALS: usize = 256;
const MAX_REFUSAL: usize = 16 << 10;

/// A digest.
type Hash = [u8; 32];

/// A folder of compiled code.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; KEY],
}

impl Cache {
    /// Opens the folder, making it and its key at first use.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is not private.
    pub fn open(folder: &Path) -> io::Result<Self> {
        if let Some(parent) = folder.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(folder)?;
        if !found.is_dir() || !is_private(&found) {
            let what = format!("{} is not a folder that only this user can use (mode 0700)", folder.display());
            return Err(io::Error::new(ErrorKind::PermissionDenied, what));
        }
        Ok(Self { folder: folder.to_owned(), key: key(folder)? })
    }

    /// The compiled form of the module with this digest for this engine, if a sound one is here.
    pub(super) fn get(&self, engine: &Engine, sha256: &str) -> Option<Entry> {
        self.entry(&name(engine, sha256, ENTRY))
    }

    /// What is kept of the compilation of this module for this engine, if it failed.
    pub(super) fn refusal(&self, engine: &Engine, sha256: &str) -> Option<Refusal> {
        let entry = self.entry(&name(engine, sha256, REFUSAL)).filter(|entry| entry.length <= MAX_REFUSAL)?;
        serde_json::from_slice(&entry.bytes().ok()?).ok()
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let path = self.folder.join(name);
        match self.verified(&path, name) {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!("{}: {error}; it is thrown away and made anew", path.display());
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn verified(&self, path: &Path, name: &str) -> io::Result<Entry> {
        let damaged = || io::Error::new(ErrorKind::InvalidData, "its authentication code does not match");
        let file = open_private(path)?;
        let length = usize::try_from(file.metadata()?.len()).ok().and_then(|all| all.checked_sub(MAC));
        let length = length.ok_or_else(damaged)?;
        let mut code = [0; MAC];
        file.read_exact_at(&mut code, length as u64)?;
        self.mac(name, length, &digests(&file, length)?).verify_slice(&code).map_err(|_| damaged())?;
        // Its time of change is its time of use. It is only read again in thirty days.
        let _ = file.set_modified(SystemTime::now());
        Ok(Entry { file, length })
    }

    /// Keeps a compiled form.
    ///
    /// # Errors
    ///
    /// When it cannot be written. Nothing is half there then.
    pub(super) fn put(&self, engine: &Engine, sha256: &str, code: &[u8]) -> io::Result<()> {
        self.remove_unused();
        self.write(&name(engine, sha256, ENTRY), code)
    }

    /// Keeps how a compilation failed, in place of those that were longest not asked for.
    ///
    /// # Errors
    ///
    /// When it cannot be written. Nothing is half there then.
    pub(super) fn put_refusal(&self, engine: &Engine, sha256: &str, refusal: &Refusal) -> io::Result<()> {
        self.remove_unused();
        self.write(&name(engine, sha256, REFUSAL), &serde_json::to_vec(refusal)?)
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let digests: Vec<Hash> = code.chunks(CHUNK).map(|chunk| Sha256::digest(chunk).into()).collect();
        // Made with mode 0600 and moved into place: nobody reads it half written.
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
        let mut refusals = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(used) = entry.metadata().and_then(|found| found.modified()) else { continue };
            let is_refusal = path.extension().is_some_and(|ending| ending == REFUSAL);
            let is_ours = is_refusal || path.extension().is_some_and(|ending| ending == ENTRY);
            if is_ours && used.elapsed().is_ok_and(|age| age > KEPT) {
                let _ = fs::remove_file(path);
            } else if is_refusal {
                refusals.push((used, path));
            }
        }
        // One more is to come.
        if let Some(too_many) = refusals.len().checked_sub(REFUSALS.saturating_sub(1)) {
            refusals.sort_unstable();
            for (_, path) in refusals.into_iter().take(too_many) {
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
        // What no thread could be had for is done here.
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
pub(super) struct Entry {
    file: File,
    length: usize,
}

impl Entry {
    /// The component, its code and the images of its memories mapped from the file.
    ///
    /// # Errors
    ///
    /// When this engine does not take it, or it cannot be read.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // This very file, whatever stands by now under the name that it was opened by.
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        #[expect(unsafe_code, reason = "loading native code is what this is about")]
        // SAFETY: it verified, so our own compiler made it, and nobody changes it while it is mapped (see above).
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
fn name(engine: &Engine, sha256: &str, ending: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{sha256}-{:016x}.{ending}", hasher.finish())
}

/// Of this user, and nobody else can read or change it.
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
        // Another process was first: its key is the key.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => read(),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use wasmtime::Engine;

    use super::{CHUNK, Cache, ENTRY, PIECE, REFUSAL, REFUSALS, Refusal};
    use crate::{CompileError, CompileLimits, engine::compiler_config};

    const MODULE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    /// The file name of a compiled form.
    fn name(engine: &Engine, sha256: &str) -> String {
        super::name(engine, sha256, ENTRY)
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("parent/compiled")
        }

        fn cache(&self) -> Cache {
            Cache::open(&self.path()).unwrap()
        }
    }

    fn engine() -> Engine {
        Engine::new(&compiler_config()).unwrap()
    }

    /// The compiled form of a component that exports a function of this name.
    fn compiled(engine: &Engine, export: &str) -> Vec<u8> {
        let text = format!(
            r#"(component
              (core module $m (func (export "f")))
              (core instance $i (instantiate $m))
              (func (export "{export}") (canon lift (core func $i "f"))))"#
        );
        engine.precompile_component(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn what_was_kept_comes_back_also_after_a_restart() {
        let (folder, engine) = (Folder::new(), engine());
        assert!(folder.cache().get(&engine, MODULE).is_none());
        for length in [0, 1, PIECE, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let code: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            folder.cache().put(&engine, MODULE, &code).unwrap();
            assert!(folder.cache().get(&engine, MODULE).unwrap().bytes().unwrap() == code, "{length} bytes");
        }
    }

    #[test]
    fn what_comes_back_is_mapped_and_not_copied() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, &compiled(&engine, "first")).unwrap();
        let component = cache.get(&engine, MODULE).unwrap().load(&engine).unwrap();
        assert!(component.get_export_index(None, "first").is_some());
        let path = folder.path().join(name(&engine, MODULE)).canonicalize().unwrap();
        let mapped = |how: &str| {
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().any(|line| line.contains(how) && line.ends_with(path.to_str().unwrap()))
        };
        assert!(mapped(" r-xp "));
        assert!(!mapped(" rw"));
        drop(component);
        assert!(!mapped(" "));
    }

    #[test]
    fn an_entry_that_is_replaced_after_it_verified_is_not_the_one_that_is_loaded() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, &compiled(&engine, "first")).unwrap();
        let entry = cache.get(&engine, MODULE).unwrap();
        fs::write(folder.path().join("other"), compiled(&engine, "other")).unwrap();
        fs::rename(folder.path().join("other"), folder.path().join(name(&engine, MODULE))).unwrap();
        let component = entry.load(&engine).unwrap();
        assert!(component.get_export_index(None, "first").is_some());
        assert!(component.get_export_index(None, "other").is_none());
        assert!(cache.get(&engine, MODULE).is_none());
    }

    #[test]
    fn an_entry_that_was_changed_anywhere_is_thrown_away() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        let path = folder.path().join(name(&engine, MODULE));
        let refused = |entry: &[u8], what: &str| {
            // As what lies there: private.
            cache.put(&engine, MODULE, b"code").unwrap();
            fs::write(&path, entry).unwrap();
            assert!(cache.get(&engine, MODULE).is_none(), "{what}");
            assert!(!path.exists(), "{what}");
        };
        cache.put(&engine, MODULE, b"code").unwrap();
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            refused(&changed, &format!("byte {place}"));
            refused(&whole[..place], &format!("cut off at byte {place}"));
        }
        refused(&[&whole[..], b"\0"].concat(), "a byte behind it");
        refused(&[&b"\0"[..], &whole].concat(), "a byte before it");
        refused(&[&whole[..], &whole].concat(), "twice");
    }

    #[test]
    fn an_entry_of_several_chunks_of_which_one_was_changed_or_moved_is_thrown_away() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        let path = folder.path().join(name(&engine, MODULE));
        let mut code = vec![0; 2 * CHUNK + PIECE + 1];
        code[CHUNK] = 1;
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            cache.put(&engine, MODULE, &code).unwrap();
            let mut entry = fs::read(&path).unwrap();
            change(&mut entry);
            fs::write(&path, entry).unwrap();
            cache.get(&engine, MODULE).is_none() && !path.exists()
        };
        assert!(!refused(&|_| {}));
        for place in [0, PIECE - 1, PIECE, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + PIECE] {
            assert!(refused(&|entry| entry[place] ^= 1), "byte {place}");
        }
        assert!(refused(&|entry| entry.rotate_left(CHUNK)));
        assert!(refused(&|entry| entry[..2 * CHUNK].rotate_left(CHUNK)), "two chunks have changed places");
        assert!(refused(&|entry| drop(entry.drain(CHUNK..2 * CHUNK))), "a chunk is missing");
        assert!(refused(&|entry| entry.truncate(2 * CHUNK)));
    }

    #[test]
    fn an_entry_of_another_module_or_another_engine_is_not_taken() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, b"code").unwrap();
        let other = MODULE.replace('9', "8");
        fs::rename(folder.path().join(name(&engine, MODULE)), folder.path().join(name(&engine, &other))).unwrap();
        assert!(cache.get(&engine, &other).is_none());
        let mut config = compiler_config();
        config.epoch_interruption(false);
        assert_ne!(name(&engine, MODULE), name(&Engine::new(&config).unwrap(), MODULE));
    }

    #[test]
    fn an_entry_made_under_another_key_is_not_taken() {
        let (mine, theirs, engine) = (Folder::new(), Folder::new(), engine());
        theirs.cache().put(&engine, MODULE, b"evil").unwrap();
        let cache = mine.cache();
        let file = name(&engine, MODULE);
        fs::copy(theirs.path().join(&file), mine.path().join(&file)).unwrap();
        assert!(cache.get(&engine, MODULE).is_none());
    }

    #[test]
    fn a_folder_or_entry_that_others_can_touch_is_refused() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, b"code").unwrap();
        let path = folder.path().join(name(&engine, MODULE));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(cache.get(&engine, MODULE).is_none());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Cache::open(&folder.path()).unwrap_err().to_string().contains("mode 0700"));
        let link = folder.0.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(Cache::open(&link).is_err());
    }

    #[test]
    fn an_entry_that_is_a_link_is_not_followed() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, b"code").unwrap();
        let path = folder.path().join(name(&engine, MODULE));
        fs::rename(&path, folder.0.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.0.path().join("elsewhere"), &path).unwrap();
        assert!(cache.get(&engine, MODULE).is_none());
    }

    /// A failure that counts, and whether what is kept says so.
    fn is_refused(cache: &Cache, engine: &Engine, sha256: &str) -> bool {
        let now = std::time::Duration::from_secs(1);
        let refusal = cache.refusal(engine, sha256);
        refusal.is_some_and(|refusal| refusal.counts("this", &CompileLimits::default(), 0, now).is_some())
    }

    fn refusal() -> Refusal {
        let now = std::time::Duration::from_secs(1);
        Refusal::of(&CompileError::Outgrown(1), "this", &CompileLimits::default(), 0, now).unwrap()
    }

    #[test]
    fn a_failed_compilation_is_kept_and_thrown_away_when_it_was_changed() {
        let (folder, engine) = (Folder::new(), engine());
        assert!(!is_refused(&folder.cache(), &engine, MODULE));
        folder.cache().put_refusal(&engine, MODULE, &refusal()).unwrap();
        assert!(is_refused(&folder.cache(), &engine, MODULE));
        // It is never taken for a compiled form, nor a compiled form for it, under whichever name.
        let (kept, code) = (folder.path().join(super::name(&engine, MODULE, REFUSAL)), name(&engine, MODULE));
        fs::copy(&kept, folder.path().join(&code)).unwrap();
        assert!(folder.cache().get(&engine, MODULE).is_none());
        let mut changed = fs::read(&kept).unwrap();
        changed[10] ^= 1;
        fs::write(&kept, changed).unwrap();
        assert!(!is_refused(&folder.cache(), &engine, MODULE) && !kept.exists());
    }

    #[test]
    fn of_failed_compilations_only_the_last_ones_are_kept() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        let digest = |number: usize| format!("{number:064}");
        for number in 0..REFUSALS + 5 {
            cache.put_refusal(&engine, &digest(number), &refusal()).unwrap();
        }
        let kept = fs::read_dir(folder.path()).unwrap().flatten();
        let kept = kept.filter(|entry| entry.path().extension().is_some_and(|ending| ending == REFUSAL)).count();
        assert_eq!(kept, REFUSALS);
        assert!(is_refused(&cache, &engine, &digest(REFUSALS + 4)) && !is_refused(&cache, &engine, &digest(0)));
    }
}
