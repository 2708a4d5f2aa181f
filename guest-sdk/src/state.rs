//! Small values that survive from one collection of this program to the next, such as a cursor or the last value seen.
//!
//! Reads see the collection's own writes. What was written is kept, all of it at once, only when the collection ends
//! well: one that fails changes nothing.
//!
//! ```
//! use pattoo_guest::{Context, Result, state, target, testing::Host};
//!
//! /// Counts its own collections.
//! fn collect() -> Result {
//!     let before: i64 = match state::get("collections") {
//!         Some(bytes) => String::from_utf8(bytes)?.parse().context("what was kept of `collections`")?,
//!         None => 0,
//!     };
//!     target("me").emit("collections", before + 1)?;
//!     state::set("collections", (before + 1).to_string())?;
//!     Ok(())
//! }
//!
//! let mut host = Host::new();
//! host.collect(collect);
//! assert_eq!(host.collect(collect).value("me", "collections"), Some(&2.into()));
//! ```

use core::fmt;

use crate::host;

/// The value of a key, or `None` if it was never set.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::state_get(key)
}

/// Sets a value, replacing the one before. A key is 1 to 255 bytes.
///
/// # Errors
/// The key is too short or too long, or all values of the program together are larger than the operator allows (1 MiB unless set).
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    host::state_set(key, value.as_ref()).map_err(|kind| Error { key: key.to_owned(), kind })
}

/// Removes a key. One that was never set is not an error.
pub fn remove(key: &str) {
    host::state_remove(key);
}

/// All keys, sorted by their bytes.
pub fn keys() -> Vec<String> {
    host::state_keys()
}

/// A value was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// The key of the value.
    pub key: String,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a value was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The program's values are as large as its operator allows.
    Quota(String),
    /// The key is empty or too long.
    Invalid(String),
    /// What a later version of the contract may have to say.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ErrorKind::Quota(reason) | ErrorKind::Invalid(reason) | ErrorKind::Other(reason)) = &self.kind;
        write!(f, "state `{}` was not set: {reason}", self.key)
    }
}

impl core::error::Error for Error {}
