//! What every part of pattoo-wasm stands on.
//!
//! - [`text`] makes text from outside safe for one line of a log or a terminal;
//! - [`files`] opens what others may name, replace or read along;
//! - [`database`] keeps SQLite files, with one thread for each and commits in groups;
//! - [`secret`] and [`tls`] hold what is shown to nobody, and whose certificates are trusted;
//! - [`turns`] shares a number of permits fairly; [`clock`] tells the time; [`backoff`] says how long to wait after failures;
//! - [`lock`] takes locks whose holder may have panicked, and [`invariant`] reports bugs of this program.
//!
//! Nothing here knows what a collector, a device or a payload is.
//!
//! ```
//! use pattoo_base::text::one_line;
//!
//! // What a device said cannot start a line of its own, nor move the cursor.
//! assert_eq!(one_line("boiler\nERROR fake\u{1b}[2J", 40), r"boiler\nERROR fake\u{1b}[2J");
//! ```

pub mod backoff;
pub mod clock;
pub mod database;
pub mod files;
pub mod invariant;
pub mod lock;
pub mod secret;
pub mod text;
pub mod tls;
pub mod turns;
