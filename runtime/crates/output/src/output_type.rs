//! What an output type provides: its settings, its encoding, its client.

use std::{fmt::Debug, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use pattoo_base::{secret::Secret, tls::Trust};
use pattoo_measurement::{Agent, AgentId, Bounds, Program, Sink};
use pattoo_settings::{Fields, KIB, MIB, Quantity, Reported, Unit, yaml::Node};
use pattoo_spool::{OutputId, QueueId, Spool, SpoolError};
use url::Url;

use crate::OutputName;

/// The settings of an output, as they were configured.
pub trait OutputSettings: Debug + Send + Sync {
    /// Reads the settings out of the section of an output.
    ///
    /// # Errors
    ///
    /// When something in it is wrong, which is reported then.
    fn read(fields: Fields<'_>, folders: Folders<'_>) -> Result<Self, Reported>
    where
        Self: Sized;

    /// What names the queues of an output with this section, which may be wrong elsewhere; none if
    /// the name of the output does.
    fn id_in(_section: &Node) -> Option<OutputId>
    where
        Self: Sized,
    {
        None
    }

    /// What names its queues in the spool.
    fn id(&self, name: &OutputName) -> OutputId {
        name.id()
    }

    /// Where it leads to, for people. Two outputs that lead to one place are a mistake.
    fn place(&self) -> String;

    /// Its address in a network, which no collector may reach.
    fn url(&self) -> Option<&Url> {
        None
    }

    /// The secrets that are sent to it.
    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    /// How many bytes a payload may have.
    fn max_payload(&self) -> usize;

    /// How it encodes datapoints. Outputs whose encodings have the same name share one.
    fn encoding(&self) -> Arc<dyn Encoding>;

    /// A client, which keeps its connections.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    fn connect(&self, options: &ClientOptions) -> Result<Arc<dyn Client>, SendError>;

    /// Looks whether it can be reached, within `bound`. It may be that payloads are refused all the same.
    fn probe(&self, bound: Duration) -> BoxFuture<'_, Result<(), String>>;

    /// Moves the backlog of another agent of this name into the spool, if the output knows such agents.
    fn take_over<'a>(
        &'a self,
        _spool: &'a Spool,
        _cache: &'a Path,
        _agent: &'a AgentId,
        _program: &'a Program,
    ) -> Option<BoxFuture<'a, Result<(), SpoolError>>> {
        None
    }
}

/// The key of [`OutputSettings::max_payload`], in the table of an output.
pub(crate) const fn max_payload<T>(get: fn(&T) -> u64, set: fn(&mut T, u64)) -> Quantity<T> {
    Quantity {
        name: "max_payload",
        doc: "the largest payload; larger ones are split",
        unit: Unit::Size,
        min: 16 * KIB,
        max: 256 * MIB,
        get,
        set,
    }
}

/// The folders that relative paths in a section stand for.
#[derive(Debug, Clone, Copy)]
pub struct Folders<'a> {
    /// Where the file with the configuration is.
    pub configuration: &'a Path,
    /// Where data is kept.
    pub data: &'a Path,
}

/// What all clients have in common.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long sending a payload may take, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// Whose certificates are trusted.
    pub trust: Trust,
}

/// How datapoints become payloads.
pub trait Encoding: Debug + Send + Sync {
    /// Tells encodings apart.
    fn name(&self) -> &'static str;

    /// The media type of a payload.
    fn content_type(&self) -> &'static str;

    /// An encoder for a collection of `agent` that begins now.
    fn encoder(&self, agent: &Arc<Agent>, bounds: Bounds) -> Box<dyn Encoder>;

    /// A payload in two, each of them valid alone, with their datapoints in order. `None` if it cannot be divided.
    ///
    /// `depth` says how often the payload was divided before.
    fn split(&self, bytes: &[u8], depth: u32) -> Option<[Encoded; 2]>;
}

/// Encodes the datapoints of one collection as they are emitted.
pub trait Encoder: Sink {
    /// What was taken as one payload, made at this time (Unix milliseconds); nothing if there is no datapoint.
    fn finish(self: Box<Self>, created_ms: u64) -> Option<Encoded>;
}

/// An encoded payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// How many datapoints it holds, at least one.
    pub count: u64,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// Sends payloads to an output.
pub trait Client: Debug + Send + Sync {
    /// Sends a payload once. Only when this returns without an error it is safe with the output.
    fn send<'a>(&'a self, queue: &'a QueueId, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), SendError>>;

    /// A payload in two: see [`Encoding::split`]. Payloads that were made by an earlier version are divided as well.
    fn split(&self, bytes: &[u8], depth: u32) -> Option<[Encoded; 2]>;

    /// What the clock of its server was when this machine started, by its last answer (Unix milliseconds).
    fn clock_at_boot(&self) -> Option<i64> {
        None
    }
}

/// Why a payload was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SendError {
    /// What it can mean.
    pub verdict: Verdict,
    /// What the output answered, or what failed, as a sentence.
    pub text: String,
    /// What can be done about it, as an imperative.
    pub help: Option<String>,
    /// How long the output asked to wait before the next attempt.
    pub retry_after: Option<Duration>,
}

/// What an answer that is no success can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The output cannot be reached, whatever is sent to it.
    Unavailable,
    /// The output is busy, or what is behind it is unavailable. Or the payload makes it so.
    Busy,
    /// It does not accept our credentials. Or something in front of it does not like the payload.
    Unauthorised,
    /// The payload is too large: it is divided and sent again.
    TooLarge,
    /// It did not accept this payload, for a reason that one answer does not tell.
    Refused,
}
