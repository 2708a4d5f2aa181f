//! Names of queues and numbers of payloads.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest name, in bytes. A name can be a URL.
const MAX_NAME: usize = 8192;

/// Why a text cannot name an output or an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It is too long.
    #[error("the name has {0} bytes, and at most {MAX_NAME} are allowed")]
    TooLong(usize),
    /// It contains a control character.
    #[error("the name contains a control character")]
    ControlCharacter,
}

fn valid(name: &str) -> Result<Arc<str>, InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(InvalidName::TooLong(name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidName::ControlCharacter);
    }
    Ok(name.into())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                valid(name).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of an output: text that is not empty, has no control characters and at most 8192 bytes.
    OutputId
}

name! {
    /// The name of an agent: text that is not empty, has no control characters and at most 8192 bytes.
    AgentKey
}

/// The name of a queue: the payloads of one agent for one output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    /// The output that the payloads are for.
    pub output: OutputId,
    /// The agent that the payloads are from.
    pub agent: AgentKey,
}

impl QueueId {
    /// A queue named by texts from a file; `None` if they are not valid names.
    pub(crate) fn of(output: &str, agent: &str) -> Option<Self> {
        Some(Self { output: output.parse().ok()?, agent: agent.parse().ok()? })
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} for {}", self.agent, self.output)
    }
}

/// The number of a stored payload. Numbers increase, and none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredId(pub i64);

impl fmt::Display for StoredId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidName, OutputId};

    #[test]
    fn names_are_bounded_text_without_control_characters() {
        let parse = |text: &str| text.parse::<OutputId>().map(|_| ());
        assert_eq!(parse("http://192.0.2.5:20201"), Ok(()));
        assert_eq!(parse("anlage-süd"), Ok(()));
        assert_eq!(parse(""), Err(InvalidName::Empty));
        assert_eq!(parse("a\nb"), Err(InvalidName::ControlCharacter));
        assert_eq!(parse(&"x".repeat(8193)), Err(InvalidName::TooLong(8193)));
    }
}
