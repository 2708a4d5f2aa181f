//! What the spool calls a queue, as delivery knows it: an agent's payloads for a server.

use std::borrow::Cow;

use pattoo_measurement::{AgentId, Program};
use pattoo_spool::{AgentKey, InvalidName, NewPayload, OutputId, QueueId, Spool, SpoolError, StoredId};

use crate::{ServerUrl, pattoo::Body};

/// What waits in a row: the payloads of one agent for one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Where they go.
    pub server: ServerUrl,
    /// Whose they are.
    pub agent: AgentId,
}

impl Lane {
    /// The queue of the spool, whose output is named by the server's URL.
    ///
    /// # Errors
    ///
    /// When the URL is too long for a name.
    pub fn queue(&self) -> Result<QueueId, InvalidName> {
        Ok(QueueId { output: output_of(&self.server)?, agent: self.agent.as_str().parse::<AgentKey>()? })
    }

    /// The lane of a queue, if its output is named by a server's URL.
    pub fn of(queue: &QueueId) -> Option<Self> {
        Some(Self { server: queue.output.as_str().parse().ok()?, agent: queue.agent.as_str().parse().ok()? })
    }
}

/// The name of a server's output in the spool.
///
/// # Errors
///
/// When the URL is too long for a name.
pub fn output_of(server: &ServerUrl) -> Result<OutputId, InvalidName> {
    server.to_string().parse()
}

/// Stores a body for `server`. It is on disk when this returns.
///
/// # Errors
///
/// When it could not be stored: then it is not in the spool.
pub async fn store_body(
    spool: &Spool,
    body: &Body,
    program: &Program,
    server: &ServerUrl,
) -> Result<StoredId, SpoolError> {
    let lane = Lane { server: server.clone(), agent: body.agent_id().clone() };
    let payload = payload(&lane, program, body.timestamp(), body.datapoints(), body.json().to_vec())?;
    Ok(spool.store(vec![payload]).await?.first().copied().unwrap_or(StoredId(0)))
}

/// What is stored of a body of JSON.
pub(crate) fn payload(
    lane: &Lane,
    program: &Program,
    created: u64,
    datapoints: usize,
    json: Vec<u8>,
) -> Result<NewPayload, SpoolError> {
    Ok(NewPayload {
        queue: lane.queue()?,
        program: program.as_str().to_owned(),
        epoch: 0,
        content_type: Cow::Borrowed("application/json"),
        encoding: Cow::Borrowed(""),
        count: datapoints as u64,
        created: i64::try_from(created).unwrap_or(i64::MAX),
        bytes: json,
    })
}
