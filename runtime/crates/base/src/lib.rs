//! The foundation of all other crates: text, files, SQLite, secrets, TLS, locks and time.
//!
//! - [`text`] makes text from outside safe for one line of a log or a terminal;
//! - [`files`] opens files that other users may be able to replace, and creates files for the owner
//!   of a folder; [`users`] names users and works with their permissions;
//! - [`database`] runs SQLite databases, with one thread for each and group commit;
//! - [`secret`] holds values that are never displayed, [`tls`] the trusted certificate authorities;
//! - [`turns`] shares a number of permits fairly; [`clock`] is the wall clock; [`backoff`] computes
//!   waits after failures;
//! - [`lock`] locks mutexes whose holder may have panicked, and [`invariant`] reports bugs of this
//!   program;
//! - [`log_folding`] decides which lines of a lasting fault are logged.
//!
//! [`database`], [`secret`] and [`tls`] are features: what a crate does not use is not built for it.
//!
//! Nothing in this crate depends on what a collector, a device or a payload is.
//!
//! ```
//! use pattoo_base::text::one_line;
//!
//! // Text from a device can neither start a new line nor move the cursor.
//! assert_eq!(one_line("boiler\nERROR fake\u{1b}[2J", 40), r"boiler\nERROR fake\u{1b}[2J");
//! ```

pub mod backoff;
pub mod clock;
#[cfg(feature = "database")]
pub mod database;
pub mod files;
pub mod invariant;
pub mod lock;
pub mod log_folding;
#[cfg(feature = "secret")]
pub mod secret;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
pub mod turns;
pub mod users;
