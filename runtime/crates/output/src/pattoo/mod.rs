//! The pattoo server: its rules for datapoints, its checksums, and the JSON in which it takes them.
//!
//! A collection's [`Candidate`](pattoo_measurement::Candidate)s come in through [`Batch::emit`],
//! which normalises each as pattoo's own agents do, computes its checksum, rejects what pattoo
//! would drop silently and what its server cannot store, and encodes the rest. [`Batch::into_body`]
//! makes the one line of JSON that is stored and posted.
//!
//! It is tested against the package `pattooshared`: `variables.py` (what is valid and what is part
//! of the checksum), `converter.py` (how bodies are built and read), and the server's schema (what
//! fits).

mod answer;
mod answer_help;
mod batch;
mod body;
mod checksum;
mod client;
mod datapoint;
mod key_value_pairs;
mod name_lookup;
mod place_table;
mod python_backlog;
mod python_text;
mod server_url;
mod settings;
pub(crate) mod short_form;
mod split;
mod value;

#[cfg(test)]
mod tests;

pub use self::{
    answer::PostError,
    batch::{Batch, PattooJson},
    body::Body,
    client::Poster,
    python_backlog::{Takeover, take_over},
    server_url::{ServerUrl, ServerUrlError},
    settings::{Settings, form},
    short_form::short_form,
    value::DataType,
};

/// The media type of a body.
const CONTENT_TYPE: &str = "application/json";
