//! Names of targets: the device or site that was polled.

use pattoo_base::text::shown;
use thiserror::Error;

use crate::{datapoint::MAX_NAME, text::strip};

/// The longest name of a target, in bytes.
pub const MAX_TARGET: usize = 512;

/// The name of a target without the white space around it, which identifies the target.
///
/// # Errors
///
/// When no datapoint can have such a target.
pub fn target_name(target: &str) -> Result<&str, TargetError> {
    // The length is checked first, because the search for white space takes time.
    let name = if target.len() > MAX_NAME { target } else { strip(target) };
    if name.is_empty() {
        return Err(TargetError::Empty);
    }
    if name.len() > MAX_TARGET {
        return Err(TargetError::TooLong { target: shown(name), bytes: name.len() });
    }
    Ok(name)
}

/// A target that no datapoint can have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Nothing but white space.
    #[error("the target is empty: expected the name of the polled device or site")]
    Empty,
    /// More than [`MAX_TARGET`] bytes.
    #[error("the target {target} has {bytes} bytes, and at most {MAX_TARGET} are allowed")]
    TooLong {
        /// The target, quoted and cut.
        target: String,
        /// Its length.
        bytes: usize,
    },
}
