//! A finished body: the JSON that is posted, with its agent, its time and its number of datapoints.

use pattoo_measurement::{AgentId, Program};
use pattoo_spool::{InvalidName, NewPayload, QueueId};

use super::{CONTENT_TYPE, PattooJson, ServerUrl};
use crate::{agent_key, encoders::pieces, output_type::Encoded};

/// One collection's datapoints as one line of JSON, ready to be stored and posted.
///
/// Members in pattoo's order: `pattoo_agent_timestamp`, `pattoo_agent_id`,
/// `pattoo_agent_polling_interval`, `pattoo_datapoints` with `key_value_pairs` and
/// `datapoint_pairs`. Never empty of datapoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub(super) agent_id: AgentId,
    pub(super) timestamp: u64,
    pub(super) datapoints: usize,
    pub(super) json: Vec<u8>,
}

impl Body {
    /// The agent of the datapoints. Its id is the last segment of the path of the request.
    pub fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// When the body was made, in Unix milliseconds.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The number of datapoints, at least one.
    pub fn datapoints(&self) -> usize {
        self.datapoints
    }

    /// The JSON, UTF-8 without a line end.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The body as payloads for a server, each of at most `max_payload` bytes as far as it can be
    /// divided.
    ///
    /// # Errors
    ///
    /// When the agent has an id that names no queue.
    pub fn into_payloads(
        self,
        program: &Program,
        server: &ServerUrl,
        max_payload: usize,
    ) -> Result<Vec<NewPayload>, InvalidName> {
        let queue = QueueId { output: server.id().clone(), agent: agent_key(&self.agent_id)? };
        let created = i64::try_from(self.timestamp).unwrap_or(i64::MAX);
        let pieces = pieces(&PattooJson, self.into(), max_payload).into_iter();
        let payload = |piece: Encoded| NewPayload {
            queue: queue.clone(),
            program: program.to_string(),
            epoch: 0,
            content_type: CONTENT_TYPE.into(),
            encoding: "".into(),
            count: piece.count,
            created,
            bytes: piece.bytes,
        };
        Ok(pieces.map(payload).collect())
    }

    /// The JSON, without a copy.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }
}

impl From<Body> for Encoded {
    fn from(body: Body) -> Self {
        Self { count: body.datapoints as u64, bytes: body.json }
    }
}

#[doc(hidden)]
impl Body {
    /// A body with this JSON, for tests of delivery.
    pub fn of_test(agent_id: AgentId, json: impl Into<Vec<u8>>) -> Self {
        Self { agent_id, timestamp: 1_578_071_455_335, datapoints: 1, json: json.into() }
    }
}
