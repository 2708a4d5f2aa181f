//! Configuration that a person writes: YAML in which every value knows its place, held against forms, read into types.
//!
//! A file's way: [`SourceFile`] is its text, [`yaml::Document`] makes a tree of it in which everything knows its place, a [`Form`] says
//! which keys there are and of which kind, and [`read`] hands the checked tree to a reader that turns it into types. Whatever is
//! wrong on the way is a [`Problem`] with its place and the fix, and all of them are reported together.
//!
//! Nothing here knows what the settings are for: each part of the program brings the forms of its own section.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pattoo_settings::{ConfigError, Form, Key, Kind, SourceFile, read, yaml::Document};
//!
//! let speed = Key::new("speed", Kind::Integer(0, 9), "how fast the pump runs", "3").or("3");
//! let form = Form::new("a pump", vec![speed]);
//! let settings = |text: &str| {
//!     let file = Arc::new(SourceFile { path: "pump.yaml".into(), text: text.to_owned() });
//!     let document = Document::parse(&file).expect("it is YAML");
//!     read(&file, &document, &form, |fields| fields.integer("speed"))
//! };
//!
//! assert_eq!(settings("speed: 7"), Ok(Some(7)));
//! let error = ConfigError::from(settings("speed: 70").unwrap_err());
//! assert_eq!(error.to_string(), "pump.yaml:1:8: invalid `speed`: expected an integer from 0 to 9, found `70`");
//! ```

mod form;
mod quantity;
mod reader;
mod report;
pub mod secret_keys;
mod source;
pub mod yaml;

pub use self::{
    form::{Form, Key, Kind, Variant, closest},
    quantity::{GIB, HOUR, KIB, MIB, Quantity, QuantityError, SECOND, Unit, convert},
    reader::{Fields, all, read},
    report::{Report, Reported, shown},
    source::{ConfigError, Place, Problem, Severity, SourceFile},
};
