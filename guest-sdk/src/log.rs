//! Words for the operator: one line each in the agent's log, with the name of the program.
//!
//! ```
//! # use pattoo_guest::testing::Host;
//! # let collection = Host::new().collect(|| {
//! # let status = 404;
//! pattoo_guest::warn!("SITE_A answered {status}");
//! # Ok(())
//! # });
//! # assert_eq!(collection.logs[0].message, "SITE_A answered 404");
//! ```
//!
//! A message is cut at 4 096 bytes, and of one collection's lines the first 1 000 are kept (both unless the operator set it
//! otherwise). An error that ends the collection is logged anyway: return it, and do not log it as well.

use core::fmt;

use crate::host;
pub use crate::{debug, error, info, trace, warn};

/// How much a line matters. Operators see `Info` and above unless they ask for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step, for the author.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is wrong, and the collection goes on.
    Warn,
    /// Something was lost.
    Error,
}

/// Writes one line. The macros [`trace!`](crate::trace!), [`debug!`](crate::debug!), [`info!`](crate::info!),
/// [`warn!`](crate::warn!) and [`error!`](crate::error!) are shorter.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => host::log(level, text),
        None => host::log(level, &message.to_string()),
    }
}

/// Writes a line of level [`Trace`](Level::Trace), with the arguments of [`format!`].
#[macro_export]
macro_rules! trace {
    ($($argument:tt)+) => { $crate::log::log($crate::log::Level::Trace, ::core::format_args!($($argument)+)) };
}

/// Writes a line of level [`Debug`](Level::Debug), with the arguments of [`format!`].
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => { $crate::log::log($crate::log::Level::Debug, ::core::format_args!($($argument)+)) };
}

/// Writes a line of level [`Info`](Level::Info), with the arguments of [`format!`].
#[macro_export]
macro_rules! info {
    ($($argument:tt)+) => { $crate::log::log($crate::log::Level::Info, ::core::format_args!($($argument)+)) };
}

/// Writes a line of level [`Warn`](Level::Warn), with the arguments of [`format!`].
#[macro_export]
macro_rules! warn {
    ($($argument:tt)+) => { $crate::log::log($crate::log::Level::Warn, ::core::format_args!($($argument)+)) };
}

/// Writes a line of level [`Error`](Level::Error), with the arguments of [`format!`].
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => { $crate::log::log($crate::log::Level::Error, ::core::format_args!($($argument)+)) };
}
