//! Values that are sent and never displayed.
//!
//! ```
//! use pattoo_base::secret::Secret;
//!
//! let token = Secret::new("s3cr3t\n").unwrap();
//! assert_eq!(format!("{token:?} {:?}", token.header()), "Secret(***) Sensitive");
//! assert_eq!(token.bearer().as_bytes(), b"Bearer s3cr3t");
//! ```

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
};

use http::HeaderValue;
use thiserror::Error;

use crate::{
    files::{self, Exposure},
    invariant::Invariant as _,
};

/// The maximum length in bytes: enough for any token or key, so that a longer file is another file.
const LONGEST: u64 = 16 * 1024;

/// The value of a header that this program adds: a token, a password, a key.
///
/// It cannot be displayed: `Debug` shows `Secret(***)`, and there is no `Display`. One line end at
/// its end (`\n` or `\r\n`) is removed, since editors and `echo` add one; any other control
/// character is an error.
#[derive(Clone)]
pub struct Secret {
    value: HeaderValue,
    source: SecretSource,
}

/// Compares the values only, not the sources.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Secret {}

/// Where a secret was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// It was passed as a value.
    Given,
    /// The environment variable of this name.
    Environment(String),
    /// The file at this path.
    File(PathBuf),
}

impl SecretSource {
    /// The source, for messages.
    fn place(&self) -> String {
        match self {
            Self::Given => "the given value".to_owned(),
            Self::Environment(name) => format!("the environment variable {name:?}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}

/// Why a secret cannot be used. No message contains a part of its value.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("cannot read a secret: the environment variable {name:?} is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    #[error("cannot read the secret file {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Other users can change the file.
    #[error("cannot trust the file of a secret: {0}")]
    Exposed(Box<FileExposure>),
    /// It is empty.
    #[error("the secret from {place} is empty")]
    Empty {
        /// Its source.
        place: String,
    },
    /// It is longer than any header should be.
    #[error("the secret from {place} is longer than {LONGEST} bytes")]
    TooLong {
        /// Its source.
        place: String,
    },
    /// It contains a line end or another character that a header value cannot have.
    #[error("the secret from {place} contains a line end or another control character")]
    InvalidCharacter {
        /// Its source.
        place: String,
    },
}

/// Who else can change a file, and the command that fixes it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct FileExposure(Exposure);

impl From<Exposure> for SecretError {
    fn from(exposure: Exposure) -> Self {
        Self::Exposed(Box::new(FileExposure(exposure)))
    }
}

impl SecretError {
    /// The help text to fix an untrusted file.
    pub fn help(&self) -> Option<String> {
        if let Self::Exposed(exposure) = self { Some(exposure.0.help()) } else { None }
    }
}

impl Secret {
    /// A secret with this value.
    pub fn new(value: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        Self::from_bytes(value.as_ref(), SecretSource::Given)
    }

    /// The secret in an environment variable of this process.
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        // The standard library may panic for the empty name, and for names with `=` or NUL.
        let settable = !name.is_empty() && !name.contains(['=', '\0']);
        let value = settable
            .then(|| std::env::var_os(name))
            .flatten()
            .ok_or_else(|| SecretError::NotSet { name: name.to_owned() })?;
        Self::from_bytes(value.as_encoded_bytes(), SecretSource::Environment(name.to_owned()))
    }

    /// The secret in a file, which is read once.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let file = files::open(path).map_err(failed)?;
        files::refuse_exposed(path)?;
        let mut bytes = Vec::new();
        // Two more bytes for the line end, and one to detect that it is too long.
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
            HeaderValue::from_bytes(value).map_err(|_| SecretError::InvalidCharacter { place: source.place() })?;
        header.set_sensitive(true);
        Ok(Self { value: header, source })
    }

    /// The value as a header value, marked as sensitive, so that no debug output shows it.
    pub fn header(&self) -> HeaderValue {
        self.value.clone()
    }

    /// Where it was read from.
    pub fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The value of an `authorization` header that has this as its bearer token (RFC 6750).
    pub fn bearer(&self) -> HeaderValue {
        let value = [b"Bearer ", self.value.as_bytes()].concat();
        let mut header = HeaderValue::from_bytes(&value)
            .or_broken("a valid header value is valid after a prefix", self.value.clone());
        header.set_sensitive(true);
        header
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
