//! Invariants of this program that do not hold.
//!
//! Data from outside is parsed, and a mistake in it is an error. An invariant of this program that
//! does not hold is a bug: tests and development builds panic, a release logs its place and
//! continues with a fallback.
//!
//! ```
//! use pattoo_base::invariant::Invariant as _;
//!
//! // The length was checked before, so the conversion cannot fail.
//! let length = u8::try_from(17_usize).or_broken("a key has at most 255 bytes", u8::MAX);
//! assert_eq!(length, 17);
//! ```

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

/// A value that exists unless this program has a bug.
pub trait Invariant<T> {
    /// The value; if there is none, reports the bug and returns `fallback`.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if there is none.
    #[track_caller]
    fn or_broken(self, what: &str, fallback: T) -> T;
}

impl<T> Invariant<T> for Option<T> {
    #[track_caller]
    fn or_broken(self, what: &str, fallback: T) -> T {
        // A closure would hide the caller's place.
        let Some(value) = self else {
            broken(what);
            return fallback;
        };
        value
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
    fn value_that_exists_is_returned() {
        assert_eq!(Some(1).or_broken("it is there", 0), 1);
        assert_eq!(u8::try_from(1_u64).or_broken("it fits", 0), 1);
    }

    #[test]
    #[should_panic(expected = "internal error at")]
    fn missing_value_stops_a_test() {
        None.or_broken("it is there", 0);
    }
}
