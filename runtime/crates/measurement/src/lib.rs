//! Pattoo's side of things: what a datapoint is, how the server knows it again, and the JSON in which it travels.
//!
//! A collection's [`Candidate`]s come in through [`Batch::emit`], which normalises each as pattoo's own agents would,
//! computes its checksum, refuses what pattoo would drop in silence or its server would choke on, and writes the rest
//! down. [`Batch::into_body`] makes the one line of JSON that is stored and posted. Who speaks is an [`Agent`], whose
//! [`AgentId`] lives in a file.
//!
//! The truth this module is held against is the package `pattooshared`: `variables.py` (what is valid and what is
//! summed), `converter.py` (how bodies are built and read), and the server's schema (what fits).
//!
//! Nothing here reads a clock, a configuration or the network; the agent id's file is the only thing it touches. A
//! body that one of these types lets through is one that the server can take.

mod agent;
mod agent_id;
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

pub use agent::{Agent, Hostname, HostnameError, PollingInterval, PollingIntervalError, Program, ProgramError};
pub use agent_id::{AgentId, AgentIdError, InvalidAgentId};
pub use batch::{Batch, DEFAULT_FUTURE_BOUND, TargetError};
pub use body::Body;
pub use datapoint::{Candidate, Metadatum, Reason, Rejection};
pub use memory::{Budget, Memory};
pub use value::{DataType, Value};
