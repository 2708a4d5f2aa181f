//! Names of outputs.

use std::{fmt, str::FromStr, sync::Arc};

use pattoo_base::text::shown;
use pattoo_spool::OutputId;

/// The name of an output in a configuration: 1 to 64 letters, digits, `_` and `-`. It is never a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName {
    name: Arc<str>,
    id: OutputId,
}

/// A text that names no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid output name {0}: expected 1 to {MAX_LENGTH} letters, digits, `_` and `-`")]
pub struct InvalidOutputName(String);

/// The longest name, in characters.
const MAX_LENGTH: usize = 64;

impl OutputName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Itself as the name of queues in the spool.
    pub fn id(&self) -> OutputId {
        self.id.clone()
    }
}

impl FromStr for OutputName {
    type Err = InvalidOutputName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_name = (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(is_allowed);
        match name.parse() {
            Ok(id) if is_name => Ok(Self { name: name.into(), id }),
            _ => Err(InvalidOutputName(shown(name))),
        }
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
