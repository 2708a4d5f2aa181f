//! How the project's own commands fail.

/// What went wrong, in words for the person at the terminal.
pub(crate) type Result<T> = std::result::Result<T, String>;
