//! Invariants of this program that do not hold.
//!
//! What comes from outside is parsed, and what is wrong with it is an error. An invariant of ours that does not hold is a bug:
//! tests and development builds stop at it, and a release logs its place and continues with a fallback.

use std::{fmt::Display, panic::Location};

/// Reports a bug of this program.
///
/// # Panics
///
/// In builds with debug assertions.
#[track_caller]
pub fn broken(what: impl Display) {
    let place = Location::caller();
    #[expect(clippy::panic, clippy::manual_assert, reason = "a test that reaches a bug has to fail")]
    if cfg!(debug_assertions) {
        panic!("internal error at {place}: {what}");
    }
    tracing::error!("internal error at {place}: {what}");
}

/// A value that is there unless this program has a bug.
pub trait Invariant<T> {
    /// The value; if it is not there, reports the bug and returns `fallback`.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if it is not there.
    #[track_caller]
    fn or_broken(self, what: &str, fallback: T) -> T;
}

impl<T> Invariant<T> for Option<T> {
    #[track_caller]
    fn or_broken(self, what: &str, fallback: T) -> T {
        // A closure would hide the caller's place.
        if let Some(value) = self {
            value
        } else {
            broken(what);
            fallback
        }
    }
}

impl<T, E: Display> Invariant<T> for Result<T, E> {
    #[track_caller]
    fn or_broken(self, what: &str, fallback: T) -> T {
        match self {
            Ok(value) => value,
            Err(error) => {
                broken(format_args!("{what}: {error}"));
                fallback
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Invariant as _;

    #[test]
    fn value_that_is_there_is_returned() {
        assert_eq!(Some(1).or_broken("it is there", 0), 1);
        assert_eq!(u8::try_from(1_u64).or_broken("it fits", 0), 1);
    }

    #[test]
    #[should_panic(expected = "internal error at")]
    fn missing_value_stops_a_test() {
        None.or_broken("it is there", 0);
    }
}
