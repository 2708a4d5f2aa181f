//! Compiled code, kept for the next start.
//!
//! What lies here is native code that will be run, so it is trusted only as far as it can be checked. The folder is private:
//! of this user, mode 0700, no link. Each entry is authenticated by an HMAC-SHA-256 over its bytes and its name, under a key that
//! lies in the folder; its name is the digest of the module and of the engine's settings. What does not verify is thrown
//! away and made anew. An entry that nobody used for thirty days is removed.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;

/// How long an entry stays that nobody uses.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Bytes of an authentication code.
const MAC: usize = 32;
/// Bytes of the key: a whole block of SHA-256, which HMAC takes as it is.
const KEY: usize = 64;
/// The file of the key.
const KEY_FILE: &str = "key";
/// How the files of entries end.
const ENTRY: &str = "cwasm";

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
    pub(super) fn get(&self, engine: &Engine, sha256: &str) -> Option<Vec<u8>> {
        let name = name(engine, sha256);
        let path = self.folder.join(&name);
        let code = match self.read(&path, &name) {
            Ok(code) => code,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{}: {error}; it is thrown away and made anew", path.display());
                let _ = fs::remove_file(&path);
                return None;
            }
        };
        Some(code)
    }

    fn read(&self, path: &Path, name: &str) -> io::Result<Vec<u8>> {
        let mut file = open_private(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let damaged = || io::Error::new(ErrorKind::InvalidData, "its authentication code does not match");
        let start = bytes.len().checked_sub(MAC).ok_or_else(damaged)?;
        let code = bytes.split_off(start);
        self.mac(name, &bytes).verify_slice(&code).map_err(|_| damaged())?;
        // Its time of change is its time of use. It is only read again in thirty days.
        let _ = file.set_modified(SystemTime::now());
        Ok(bytes)
    }

    /// Keeps a compiled form.
    ///
    /// # Errors
    ///
    /// When it cannot be written. Nothing is half there then.
    pub(super) fn put(&self, engine: &Engine, sha256: &str, code: &[u8]) -> io::Result<()> {
        self.remove_unused();
        let name = name(engine, sha256);
        // Made with mode 0600 and moved into place: nobody reads it half written.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(code)?;
        file.write_all(&self.mac(&name, code).finalize().into_bytes())?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as hmac::digest::KeyInit>::new(hmac::digest::Key::<Hmac<Sha256>>::from_slice(&self.key));
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }

    fn remove_unused(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let used = entry.metadata().and_then(|found| found.modified());
            let unused = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > KEPT));
            if unused && path.extension().is_some_and(|ending| ending == ENTRY) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The file name of an entry: what it was compiled from, and for which engine.
fn name(engine: &Engine, sha256: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{sha256}-{:016x}.{ENTRY}", hasher.finish())
}

/// Of this user, and nobody else can read or change it.
fn is_private(found: &Metadata) -> bool {
    const OTHERS: u32 = 0o077;
    found.uid() == rustix::process::geteuid().as_raw() && (found.mode() & OTHERS) == 0
}

/// Opens a regular file that is private; a link is refused.
fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let found = file.metadata()?;
    if found.is_file() && is_private(&found) {
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

    use super::{Cache, name};
    use crate::sandbox::engine::compiler_config;

    const MODULE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

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

    #[test]
    fn what_was_kept_comes_back_also_after_a_restart() {
        let (folder, engine) = (Folder::new(), engine());
        assert_eq!(folder.cache().get(&engine, MODULE), None);
        folder.cache().put(&engine, MODULE, b"code").unwrap();
        assert_eq!(folder.cache().get(&engine, MODULE).as_deref(), Some(&b"code"[..]));
    }

    #[test]
    fn an_entry_that_was_changed_anywhere_is_thrown_away() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        let path = folder.path().join(name(&engine, MODULE));
        cache.put(&engine, MODULE, b"code").unwrap();
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(cache.get(&engine, MODULE), None, "byte {place}");
            assert!(!path.exists(), "byte {place}");
            cache.put(&engine, MODULE, b"code").unwrap();
        }
        fs::write(&path, &whole[..10]).unwrap();
        assert_eq!(cache.get(&engine, MODULE), None);
    }

    #[test]
    fn an_entry_of_another_module_or_another_engine_is_not_taken() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, b"code").unwrap();
        let other = MODULE.replace('9', "8");
        fs::rename(folder.path().join(name(&engine, MODULE)), folder.path().join(name(&engine, &other))).unwrap();
        assert_eq!(cache.get(&engine, &other), None);
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
        assert_eq!(cache.get(&engine, MODULE), None);
    }

    #[test]
    fn a_folder_or_entry_that_others_can_touch_is_refused() {
        let (folder, engine) = (Folder::new(), engine());
        let cache = folder.cache();
        cache.put(&engine, MODULE, b"code").unwrap();
        let path = folder.path().join(name(&engine, MODULE));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(cache.get(&engine, MODULE), None);
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
        assert_eq!(cache.get(&engine, MODULE), None);
    }
}
