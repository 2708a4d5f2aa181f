//! A module file: what is loaded, and the digest that it is known by.
//!
//! What is digested is what is compiled. A language's runtime is tens of megabytes, of which nothing but the digest is wanted as a
//! rule, since its compiled form is kept: so a large binary is digested as it is read and not held. If it is to be compiled it is read
//! once more, out of the same open file, and refused if that has another digest by then.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufWriter, ErrorKind, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use pattoo_base::{files, text::one_line};
use sha2::{Digest as _, Sha256};

use super::{CompileLimits, LoadError, ModuleDigest, compile::is_core_module};

/// The largest module in the text format, in bytes. The parser takes a hundred times as much memory and runs in this process, where it
/// cannot be stopped; text that a person writes is shorter.
pub(super) const MAX_TEXT: usize = 1 << 20;
/// The largest binary file that is held, in bytes, if it can be read once more.
const MAX_HELD: usize = 1 << 20;
/// Bytes that are read at a time of what is not held.
const PIECE: usize = 64 << 10;
/// How much of a parser's message is shown, in bytes.
const MAX_DETAIL: usize = 1000;
/// How a binary begins, be it a core module or a component.
const MAGIC: &[u8] = b"\0asm";

/// A module that was read.
pub struct Module {
    path: PathBuf,
    kind: Kind,
    size: u64,
    sha256: ModuleDigest,
    bytes: Bytes,
}

enum Bytes {
    Held(Vec<u8>),
    In(File),
}

/// What a module is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A component.
    Component,
    /// A core module, which is made a component when it is loaded.
    CoreModule,
}

impl Kind {
    fn of(binary: &[u8]) -> Self {
        if is_core_module(binary) { Self::CoreModule } else { Self::Component }
    }
}

impl Module {
    /// Reads a module: a `.wasm` file, or `.wat` text, told apart by what is in it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is too large (text sooner than a binary), or is neither.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        Self::read_within(path, &CompileLimits::default())
    }

    /// The same under other limits than the usual ones.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_within(path: &Path, limits: &CompileLimits) -> Result<Self, LoadError> {
        let unreadable = |error| LoadError::Unreadable { path: path.to_owned(), error };
        let limit = limits.module_bytes;
        let within =
            |size| if size > limit { Err(LoadError::TooLarge { path: path.to_owned(), limit }) } else { Ok(size) };
        let file = files::open(path).map_err(unreadable)?;
        // One byte more than allowed tells "too large" from "just fits", whatever the file's length claims.
        let mut rest = (&file).take(limit.saturating_add(1));
        let mut bytes = Vec::new();
        rest.by_ref().take(MAX_HELD as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() == MAX_HELD && bytes.starts_with(MAGIC) {
            let mut digest = BufWriter::with_capacity(PIECE, Sha256::new_with_prefix(&bytes));
            let size = within(io::copy(&mut rest, &mut digest).map_err(unreadable)?.saturating_add(MAX_HELD as u64))?;
            let digest = digest.into_inner().map_err(|error| unreadable(error.into_error()))?;
            let sha256 = ModuleDigest(digest.finalize().into());
            return Ok(Self { path: path.to_owned(), kind: Kind::of(&bytes), size, sha256, bytes: Bytes::In(file) });
        }
        rest.read_to_end(&mut bytes).map_err(unreadable)?;
        within(bytes.len() as u64)?;
        Self::from_bytes(path, bytes)
    }

    /// Takes bytes for the module at `path`, which only serves to name it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, LoadError> {
        let path = path.to_owned();
        let not_wasm = |detail: String| LoadError::NotWasm { path: path.clone(), detail };
        if bytes.is_empty() {
            return Err(not_wasm("the file is empty".to_owned()));
        }
        let bytes = if bytes.starts_with(MAGIC) {
            bytes
        } else {
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| not_wasm("it is neither a WebAssembly binary nor text".to_owned()))?;
            if text.len() > MAX_TEXT {
                return Err(LoadError::TooMuchText { path });
            }
            wat::parse_str(text).map_err(|error| not_wasm(wat_fault(&error)))?
        };
        if bytes.len() < 8 {
            return Err(not_wasm("it is cut off: it has fewer than 8 bytes".to_owned()));
        }
        let (kind, size) = (Kind::of(&bytes), bytes.len() as u64);
        Ok(Self { path, kind, size, sha256: ModuleDigest::of(&bytes), bytes: Bytes::Held(bytes) })
    }

    /// The file that it was read from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which kind it says it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many bytes are compiled.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 digest of the bytes that are compiled.
    pub fn sha256(&self) -> ModuleDigest {
        self.sha256
    }

    /// What is compiled.
    ///
    /// # Errors
    ///
    /// When it is read once more, and cannot be or has changed.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>, LoadError> {
        let file = match &self.bytes {
            Bytes::Held(bytes) => return Ok(Cow::Borrowed(bytes)),
            Bytes::In(file) => file,
        };
        let again = || {
            let mut bytes = vec![0; usize::try_from(self.size).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, 0)?;
            if ModuleDigest::of(&bytes) == self.sha256 {
                Ok(Cow::Owned(bytes))
            } else {
                Err(io::Error::new(ErrorKind::InvalidData, "the file changed while it was loaded"))
            }
        };
        again().map_err(|error| LoadError::Unreadable { path: self.path.clone(), error })
    }
}

/// What is wrong with a text and where, without the lines of the text that the parser quotes.
fn wat_fault(error: &wat::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    let what = one_line(lines.next().unwrap_or_default(), MAX_DETAIL);
    let place = lines.find_map(|line| line.trim().strip_prefix("--> <anon>:"));
    match place.and_then(|place| place.split_once(':')) {
        Some((line, column)) => format!("line {line}, column {column}: {what}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt as _, path::PathBuf};

    use super::{Bytes, CompileLimits, LoadError, MAGIC, MAX_HELD, Module, ModuleDigest};

    /// A file that begins like a component and has this many bytes.
    fn binary(folder: &tempfile::TempDir, length: usize) -> (PathBuf, Vec<u8>) {
        let head = [MAGIC, &[13, 0, 1, 0]].concat();
        let bytes: Vec<u8> = head.into_iter().chain((0..=250).cycle()).take(length).collect();
        let path = folder.path().join("module.wasm");
        fs::write(&path, &bytes).unwrap();
        (path, bytes)
    }

    #[test]
    fn a_file_of_any_size_is_known_by_its_plain_digest_and_gives_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for length in [8, MAX_HELD.strict_sub(1), MAX_HELD, MAX_HELD.strict_add(1), MAX_HELD.strict_mul(3)] {
            let (path, bytes) = binary(&folder, length);
            let module = Module::read(&path).unwrap();
            assert_eq!(module.sha256(), ModuleDigest::of(&bytes), "{length} bytes");
            assert_eq!(module.size(), length as u64);
            assert_eq!(matches!(module.bytes, Bytes::Held(_)), length < MAX_HELD, "{length} bytes");
            // Twice: a module that is not held is read from the file each time.
            assert!(module.bytes().unwrap() == bytes && module.bytes().unwrap() == bytes, "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_changes_after_it_was_digested_is_not_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = binary(&folder, MAX_HELD.strict_mul(2));
        let module = Module::read(&path).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_at(b"x", MAX_HELD as u64).unwrap();
        let changed = module.bytes().unwrap_err();
        assert!(matches!(&changed, LoadError::Unreadable { error, .. } if error.to_string().contains("changed")));
        file.set_len(MAX_HELD as u64).unwrap();
        assert!(module.bytes().is_err());
        // Another file in its place is not looked at, and one that has grown is what it was.
        let module = {
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bytes).unwrap();
            Module::read(&path).unwrap()
        };
        fs::File::options().append(true).open(&path).unwrap().write_at(b"more", bytes.len() as u64).unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        fs::write(&path, b"other").unwrap();
        assert!(module.bytes().unwrap() == bytes);
    }

    #[test]
    fn a_large_file_is_not_read_beyond_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = binary(&folder, MAX_HELD.strict_mul(2));
        let size = bytes.len() as u64;
        let within =
            |module_bytes| Module::read_within(&path, &CompileLimits { module_bytes, ..CompileLimits::default() });
        assert!(within(size).is_ok());
        for limit in [size.strict_sub(1), MAX_HELD as u64, 1, 0] {
            assert!(
                matches!(within(limit), Err(LoadError::TooLarge { limit: named, .. }) if named == limit),
                "{limit}"
            );
        }
    }
}
