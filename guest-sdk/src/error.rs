//! How a collection fails: one error type that everything turns into, so that `?` is all a guest needs.

use std::error::Error as StdError;
use std::fmt;

/// What a collector's functions return. `Result` alone is `Result<(), Error>`.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// Why a collection failed, in words for the operator.
///
/// Anything becomes one by `?` or `into()`: the errors of this crate, every [`std::error::Error`] of any other, `&str` and
/// `String`. (That is why it does not implement `std::error::Error` itself.)
///
/// Displayed it is one paragraph: the error, then what caused it, separated by colons. That is the text that the runtime
/// logs.
///
/// ```
/// use pattoo_guest::{Context, Result};
///
/// fn parse(text: &str) -> Result<i64> {
///     if text.is_empty() {
///         return Err("there is no price".into());
///     }
///     text.parse().context(format_args!("the price {text:?}"))
/// }
///
/// assert_eq!(parse("").unwrap_err().to_string(), "there is no price");
/// assert_eq!(parse("12x").unwrap_err().to_string(), r#"the price "12x": invalid digit found in string"#);
/// ```
pub struct Error(Box<dyn StdError + Send + Sync>);

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// Puts `context` and a colon before the error's text. [`format_args!`] costs nothing as long as all goes well.
    fn context(self, context: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for core::result::Result<T, E> {
    fn context(self, context: impl fmt::Display) -> Result<T> {
        self.map_err(|error| {
            let source = error.into().0;
            Error(Box::new(InContext { context: context.to_string(), source }))
        })
    }
}

// Not on `E: StdError`, as other crates have it: the standard library already turns both errors and strings into this box.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Some errors already say what caused them.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            source = error.source();
        }
        Ok(())
    }
}

/// The same as `Display`, so that an `unwrap` in a test reads well.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug)]
struct InContext {
    context: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for InContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl StdError for InContext {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError, &'static str);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer(text: &'static str) -> Outer {
        Outer("x".parse::<u8>().unwrap_err(), text)
    }

    #[test]
    fn strings_and_any_error_pass_through_the_question_mark() {
        fn of_text() -> Result {
            Err(String::from("a"))?;
            Ok(())
        }
        fn of_error() -> Result {
            of_text().context("b").context("c")
        }
        assert_eq!(of_error().unwrap_err().to_string(), "c: b: a");
        assert_eq!(Error::from(std::io::Error::other("disk")).to_string(), "disk");
    }

    #[test]
    fn every_source_is_told_once() {
        assert_eq!(Error::from(outer("the price")).to_string(), "the price: invalid digit found in string");
        let repeated = "the price (invalid digit found in string)";
        assert_eq!(Error::from(outer(repeated)).to_string(), repeated);
    }
}
