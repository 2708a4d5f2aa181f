//! The pattoo server: its rules for datapoints, its checksums, and the JSON in which it takes them.
//!
//! A collection's [`Candidate`](pattoo_measurement::Candidate)s come in through [`Batch::emit`], which normalises each as
//! pattoo's own agents would, computes its checksum, refuses what pattoo would drop without a word or what its server cannot
//! store, and encodes the rest. [`Batch::into_body`] makes the one line of JSON that is stored and posted.
//!
//! It is tested against the package `pattooshared`: `variables.py` (what is valid and what is part of the checksum),
//! `converter.py` (how bodies are built and read), and the server's schema (what fits).

mod batch;
mod body;
mod checksum;
mod datapoint;
mod memory;
mod pairs;
mod series;
mod table;
mod text;
mod value;

#[cfg(test)]
mod tests;

pub use self::{
    batch::Batch,
    body::Body,
    memory::{Budget, Memory},
    value::DataType,
};
