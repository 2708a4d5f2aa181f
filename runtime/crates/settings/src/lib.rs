//! Configuration that a person writes: YAML in which every value knows its place, held against forms, read into types.
//!
//! A file's way: [`SourceFile`] is its text, [`yaml::Document`] makes a tree of it in which everything knows its place, a [`Form`] says
//! which keys there are and of which kind, and [`read`] hands the checked tree to a reader that turns it into types. Whatever is
//! wrong on the way is a [`Problem`] with its place and the fix, and all of them are reported together.
//!
//! Nothing here knows what the settings are for: each part of the program brings the forms of its own section.

mod form;
mod quantity;
mod reader;
mod report;
pub mod secret;
mod source;
pub mod yaml;

pub use self::{
    form::{Form, Key, Kind, Variant, closest},
    quantity::{GIB, HOUR, KIB, MIB, Quantity, QuantityError, SECOND, Unit, convert},
    reader::{Fields, all, read},
    report::{Report, Reported, shown},
    source::{ConfigError, Place, Problem, Severity, SourceFile},
};
