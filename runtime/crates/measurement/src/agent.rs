//! The identity of a collector: program, polling interval, host name and agent id. All four are in
//! every body, and all but the interval are part of every checksum.

use std::{fmt, str::FromStr, time::Duration};

use pattoo_base::text::shown;
use thiserror::Error;

use crate::{agent_id::AgentId, text::strip};

/// A collector as its outputs identify it. Parsed once, and shared by all its collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The name of the program.
    pub program: Program,
    /// Its id, which is stored in a file.
    pub id: AgentId,
    /// The machine it runs on.
    pub hostname: Hostname,
    /// How often it collects.
    pub polling_interval: PollingInterval,
}

/// `pattoo_agent_program`: one to 64 ASCII letters, digits, `_`, `.` and `-`, the first of them
/// neither `.` nor `-`. Safe as a file name and as an argument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program(String);

impl Program {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Program {
    type Err = ProgramError;

    fn from_str(name: &str) -> Result<Self, ProgramError> {
        let Some(first) = name.chars().next() else {
            return Err(ProgramError::Empty);
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if let Some(character) = name.chars().find(|&c| !allowed(c)) {
            return Err(ProgramError::Character { name: shown(name), character });
        }
        if matches!(first, '.' | '-') {
            return Err(ProgramError::First { name: shown(name), character: first });
        }
        if name.len() > Self::MAX_LENGTH {
            return Err(ProgramError::TooLong { name: shown(name), length: name.len() });
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<&str> for Program {
    type Error = ProgramError;

    fn try_from(name: &str) -> Result<Self, ProgramError> {
        name.parse()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is not the name of a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// An empty name.
    #[error("the program name is empty")]
    Empty,
    /// A character outside the set.
    #[error("invalid program name {name}: expected letters, digits, `_`, `.` and `-`, found {character:?}")]
    Character {
        /// The name, quoted.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A first character that is allowed only later.
    #[error("invalid program name {name}: expected a letter, a digit or `_` at its start, found {character:?}")]
    First {
        /// The name, quoted.
        name: String,
        /// Its first character.
        character: char,
    },
    /// More than [`Program::MAX_LENGTH`] characters.
    #[error("invalid program name {name}: expected at most {} characters, found {length}", Program::MAX_LENGTH)]
    TooLong {
        /// The name, quoted.
        name: String,
        /// Its length.
        length: usize,
    },
}

/// The time between two collections: whole seconds, from 1 to 49 days, because the server's column
/// stores milliseconds in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollingInterval(u32);

impl PollingInterval {
    /// The longest interval in seconds: the server keeps milliseconds in 32 bits.
    pub const MAX_SECONDS: u32 = u32::MAX / 1000;

    /// From whole seconds, 1 to [`Self::MAX_SECONDS`].
    pub fn from_seconds(seconds: u32) -> Result<Self, PollingIntervalError> {
        if (1..=Self::MAX_SECONDS).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(PollingIntervalError { seconds })
        }
    }

    /// In seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// In milliseconds, as it is written to a body.
    pub fn millis(self) -> u64 {
        u64::from(self.0).saturating_mul(1000)
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl Default for PollingInterval {
    /// Five minutes, pattoo's own default.
    fn default() -> Self {
        Self(300)
    }
}

impl TryFrom<u32> for PollingInterval {
    type Error = PollingIntervalError;

    fn try_from(seconds: u32) -> Result<Self, PollingIntervalError> {
        Self::from_seconds(seconds)
    }
}

/// An interval that the server cannot store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid polling interval: expected 1 to {} seconds, found {seconds}", PollingInterval::MAX_SECONDS)]
pub struct PollingIntervalError {
    /// The requested interval.
    pub seconds: u32,
}

/// `pattoo_agent_hostname`: not empty, without white space around it, without control characters.
///
/// It is part of every checksum: another name starts new series for all datapoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hostname(String);

impl Hostname {
    /// The longest name, in bytes: as much as pattoo's server has room for.
    pub const MAX_BYTES: usize = 512;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(name: &str) -> Result<Self, HostnameError> {
        let stripped = strip(name);
        if stripped.is_empty() {
            return Err(HostnameError::Empty);
        }
        if stripped.len() > Self::MAX_BYTES {
            return Err(HostnameError::TooLong { bytes: stripped.len() });
        }
        if let Some(character) = stripped.chars().find(|c| c.is_control()) {
            return Err(HostnameError::Control { name: shown(name), character });
        }
        Ok(Self(stripped.to_owned()))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is not the name of a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostnameError {
    /// Nothing but white space.
    #[error("the host name is empty")]
    Empty,
    /// More than [`Hostname::MAX_BYTES`].
    #[error("invalid host name: expected at most {} bytes, found {bytes}", Hostname::MAX_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A control character inside.
    #[error("invalid host name {name}: it contains the control character {character:?}")]
    Control {
        /// The name, quoted.
        name: String,
        /// The first such character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_name_is_safe_as_a_file_name() {
        for good in ["LAVA_SCRIPT", "_", "9", "a.b-c", &"x".repeat(64)] {
            assert_eq!(good.parse::<Program>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-x", ".hidden", "a/b", "a b", "a\n", "\u{e4}", &"x".repeat(65)] {
            bad.parse::<Program>().unwrap_err();
        }
        assert_eq!(
            "a/b".parse::<Program>().unwrap_err().to_string(),
            r#"invalid program name "a/b": expected letters, digits, `_`, `.` and `-`, found '/'"#
        );
    }

    #[test]
    fn interval_fits_the_column_of_the_server_in_milliseconds() {
        assert_eq!(PollingInterval::from_seconds(20).unwrap().millis(), 20_000);
        PollingInterval::from_seconds(0).unwrap_err();
        let longest = PollingInterval::from_seconds(PollingInterval::MAX_SECONDS).unwrap();
        assert!(u32::try_from(longest.millis()).is_ok());
        PollingInterval::from_seconds(PollingInterval::MAX_SECONDS.saturating_add(1)).unwrap_err();
    }

    #[test]
    fn host_name_is_stripped_and_printable() {
        assert_eq!(" h\u{1f}\n".parse::<Hostname>().unwrap().as_str(), "h");
        assert_eq!(" \t".parse::<Hostname>(), Err(HostnameError::Empty));
        "a\u{1b}b".parse::<Hostname>().unwrap_err();
    }
}
