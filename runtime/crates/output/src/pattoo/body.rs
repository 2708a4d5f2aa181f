//! A finished body: the JSON that is posted, and what delivery needs to know about it.

use pattoo_measurement::AgentId;

/// One collection's datapoints as one line of JSON, ready to be stored and posted.
///
/// Members in pattoo's order: `pattoo_agent_timestamp`, `pattoo_agent_id`, `pattoo_agent_polling_interval`,
/// `pattoo_datapoints` with `key_value_pairs` and `datapoint_pairs`. Never empty of datapoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub(super) agent_id: AgentId,
    pub(super) timestamp: u64,
    pub(super) datapoints: usize,
    pub(super) json: Vec<u8>,
}

impl Body {
    /// Whose datapoints these are; the last segment of the path they are posted to.
    pub fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// When the body was built, Unix milliseconds.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// How many datapoints it holds, at least one.
    pub fn datapoints(&self) -> usize {
        self.datapoints
    }

    /// The JSON, UTF-8 without a line end.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The JSON, given away.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }
}

#[doc(hidden)]
impl Body {
    /// A body that only delivery looks at, with this JSON, for tests.
    pub fn of_test(agent_id: AgentId, json: impl Into<Vec<u8>>) -> Self {
        Self { agent_id, timestamp: 1_578_071_455_335, datapoints: 1, json: json.into() }
    }
}
