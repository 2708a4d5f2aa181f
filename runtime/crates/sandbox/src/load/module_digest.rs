//! The SHA-256 digest by which a module is known and pinned.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The SHA-256 digest of the bytes of a module, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleDigest(pub(super) [u8; 32]);

impl ModuleDigest {
    /// That of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Why a string is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// It has another length.
    #[error("invalid SHA-256 digest: expected 64 hex digits, found {0} characters")]
    Length(usize),
    /// It has a character that is not a hex digit.
    #[error("invalid SHA-256 digest: expected 64 hex digits, found {0:?}")]
    Character(char),
}

impl FromStr for ModuleDigest {
    type Err = DigestError;

    /// Parses 64 hex digits, upper or lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(other) = text.chars().find(|character| !character.is_ascii_hexdigit()) {
            return Err(DigestError::Character(other));
        }
        let length = DigestError::Length(text.len());
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(length);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| length.clone())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| length.clone())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ModuleDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ModuleDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl serde::Serialize for ModuleDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{DigestError, ModuleDigest};

    #[test]
    fn digest_is_shown_in_lower_case_as_tools_print_it() {
        let text = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
        assert_eq!(text.parse::<ModuleDigest>().unwrap().to_string(), text.to_lowercase());
    }

    #[test]
    fn wrong_length_or_character_is_named() {
        assert_eq!("9f86".parse::<ModuleDigest>(), Err(DigestError::Length(4)));
        assert_eq!("ß".repeat(64).parse::<ModuleDigest>(), Err(DigestError::Character('ß')));
        assert_eq!("sha256:9f86".parse::<ModuleDigest>(), Err(DigestError::Character('s')));
    }
}
