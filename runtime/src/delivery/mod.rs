//! The way to the pattoo server.
//!
//! [`Poster`] hands one body to the server and says what became of it. It decides nothing about what happens to a body
//! that was not taken: that is its caller's.

mod poster;

pub use self::poster::{PostError, Poster, ServerUrl, ServerUrlError};
