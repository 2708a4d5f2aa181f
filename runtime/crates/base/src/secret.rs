//! A value that is sent and never shown.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
};

use reqwest::header::HeaderValue;
use thiserror::Error;

use crate::files::{self, Exposure};

/// Enough for any token or key; a file that is longer is some other file.
const LONGEST: u64 = 16 * 1024;

/// The value of a header that the host attaches: a token, a password, a key.
///
/// It cannot be printed: `Debug` shows `Secret(***)`, there is no `Display`, and nothing outside this layer gets at the
/// value. One line end at its end (`\n` or `\r\n`) is not part of it, since editors and `echo` put one there; any other
/// control character is an error, not something to be cut off silently.
#[derive(Clone)]
pub struct Secret {
    value: HeaderValue,
    source: SecretSource,
}

/// Wherever they were read.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Secret {}

/// Where a secret was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It was given as it is.
    Given,
    /// The environment variable of this name.
    Environment(String),
    /// The file at this path.
    File(PathBuf),
}

impl SecretSource {
    /// For messages.
    fn place(&self) -> String {
        match self {
            Self::Given => "the given value".to_owned(),
            Self::Environment(name) => format!("the environment variable {name:?}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}

/// Why there is no secret to attach. None of these texts holds any of its value.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {name:?} of a secret is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    #[error("the secret file {} cannot be read: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Other users can change the file.
    #[error("the file of a secret cannot be trusted: {0}")]
    Exposed(Box<FileExposure>),
    /// There is nothing in it.
    #[error("the secret from {place} is empty")]
    Empty {
        /// Where it came from.
        place: String,
    },
    /// It is longer than any header should be.
    #[error("the secret from {place} is longer than {LONGEST} bytes")]
    TooLong {
        /// Where it came from.
        place: String,
    },
    /// It holds a line end or another character that no header value can have.
    #[error("the secret from {place} holds a line end or another control character")]
    Unsendable {
        /// Where it came from.
        place: String,
    },
}

/// Who else can change a file, and the command that ends it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct FileExposure(Exposure);

impl From<Exposure> for SecretError {
    fn from(exposure: Exposure) -> Self {
        Self::Exposed(Box::new(FileExposure(exposure)))
    }
}

impl SecretError {
    /// How to end what makes a file untrusted.
    pub fn help(&self) -> Option<String> {
        if let Self::Exposed(exposure) = self { Some(exposure.0.help()) } else { None }
    }
}

impl Secret {
    /// A secret that is at hand.
    pub fn new(value: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        Self::from_bytes(value.as_ref(), SecretSource::Given)
    }

    /// The secret in an environment variable of this process.
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        // Asking for the empty name, or one with `=` or NUL, is a panic on some systems.
        let settable = !name.is_empty() && !name.contains(['=', '\0']);
        let value = settable
            .then(|| std::env::var_os(name))
            .flatten()
            .ok_or_else(|| SecretError::NotSet { name: name.to_owned() })?;
        Self::from_bytes(value.as_encoded_bytes(), SecretSource::Environment(name.to_owned()))
    }

    /// The secret in a file, read now and once.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let file = files::open(path).map_err(failed)?;
        files::refuse_exposed(path)?;
        let mut bytes = Vec::new();
        // Two more for the line end, one more to see that it is too long.
        (&file).take(LONGEST.saturating_add(3)).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes, SecretSource::File(path.to_owned()))
    }

    fn from_bytes(bytes: &[u8], source: SecretSource) -> Result<Self, SecretError> {
        let value = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if value.is_empty() {
            return Err(SecretError::Empty { place: source.place() });
        }
        if u64::try_from(value.len()).unwrap_or(u64::MAX) > LONGEST {
            return Err(SecretError::TooLong { place: source.place() });
        }
        let mut header =
            HeaderValue::from_bytes(value).map_err(|_| SecretError::Unsendable { place: source.place() })?;
        header.set_sensitive(true);
        Ok(Self { value: header, source })
    }

    /// The value of a header that carries it; marked as sensitive, so that no debug output shows it.
    pub fn header(&self) -> HeaderValue {
        self.value.clone()
    }

    /// Where it was read.
    pub fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The value of an `authorization` header that has this as its bearer token (RFC 6750).
    pub fn bearer(&self) -> HeaderValue {
        let value = [b"Bearer ", self.value.as_bytes()].concat();
        // What was sendable is so behind a word.
        let mut header = HeaderValue::from_bytes(&value).unwrap_or_else(|_| self.value.clone());
        header.set_sensitive(true);
        header
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
