//! The SHA-256 digest that pins a module.

use std::{fmt, str::FromStr};

/// A SHA-256 digest, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// Why a string is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// It has another length.
    #[error("a SHA-256 digest has 64 hex digits, this has {0} characters")]
    Length(usize),
    /// It has a character that is not a hex digit.
    #[error("{0:?} in a SHA-256 digest is not a hex digit")]
    Character(char),
}

impl FromStr for Digest {
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

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, DigestError};

    #[test]
    fn digest_is_shown_in_lower_case_as_tools_print_it() {
        let text = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text.to_lowercase());
    }

    #[test]
    fn wrong_length_or_character_is_named() {
        assert_eq!("9f86".parse::<Digest>(), Err(DigestError::Length(4)));
        assert_eq!("ß".repeat(64).parse::<Digest>(), Err(DigestError::Character('ß')));
        assert_eq!("sha256:9f86".parse::<Digest>(), Err(DigestError::Character('s')));
    }
}
