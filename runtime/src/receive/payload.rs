//! A posted payload, read as the pattoo server reads it (`converter.cache_to_keypairs` of
//! pattoo_shared).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use pattoo_base::text::one_line;
use serde_json::{Map, Value};

/// The keys that every datapoint has.
const REQUIRED: [&str; 10] = [
    "pattoo_agent_hostname",
    "pattoo_agent_id",
    "pattoo_agent_polled_target",
    "pattoo_agent_polling_interval",
    "pattoo_agent_program",
    "pattoo_checksum",
    "pattoo_data_type",
    "pattoo_key",
    "pattoo_timestamp",
    "pattoo_value",
];

/// A payload that the server would accept.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedPayload {
    /// The agent that created it.
    pub agent_id: String,
    /// When it was created, in Unix milliseconds.
    pub timestamp: u64,
    /// The agent's polling interval in milliseconds.
    pub polling_interval: u64,
    /// Its datapoints, in their order.
    pub datapoints: Vec<ReceivedDatapoint>,
}

/// One datapoint with its ids resolved: pattoo's pairs and the collector's metadata, in their
/// order. Datapoints share their pairs, as they do in the payload: a large pair that all refer to
/// is held once.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedDatapoint(Vec<Arc<(String, Value)>>);

impl ReceivedDatapoint {
    /// The first value of a key, such as `pattoo_value`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|pair| pair.0 == key).map(|pair| &pair.1)
    }

    /// The same as text; empty if there is none.
    pub fn text(&self, key: &str) -> String {
        match self.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// All pairs in their order.
    pub fn pairs(&self) -> impl Iterator<Item = &(String, Value)> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// Why the server would not accept a payload.
#[derive(Debug, thiserror::Error)]
pub enum ReceivedError {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// A part of it is missing, has the wrong type, or does not belong there.
    #[error("{0} {1}")]
    Shape(String, &'static str),
    /// A datapoint names an id that is not in the table.
    #[error("datapoint {datapoint} refers to the id {id}, which is not in `key_value_pairs`")]
    UnknownId {
        /// Its place in `datapoint_pairs`, from 0.
        datapoint: usize,
        /// The id.
        id: u64,
    },
    /// A datapoint has not all keys that every datapoint has.
    #[error("datapoint {datapoint} has no `{key}`")]
    MissingPair {
        /// Its place in `datapoint_pairs`, from 0.
        datapoint: usize,
        /// The missing key.
        key: &'static str,
    },
    /// The payload was posted to the address of another agent.
    #[error("the payload is from the agent {found} and was posted to the address of {expected}")]
    OtherAgent {
        /// The agent in the URL.
        expected: String,
        /// The agent in the body.
        found: String,
    },
}

fn shape(place: impl Into<String>, wrong: &'static str) -> ReceivedError {
    ReceivedError::Shape(place.into(), wrong)
}

/// The value of `key`, which must be there.
fn take<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Value, ReceivedError> {
    object.get(key).ok_or_else(|| shape(format!("`{key}`"), "is missing"))
}

/// Checks that an object has no other keys than these.
fn exactly(object: &Map<String, Value>, keys: &[&str]) -> Result<(), ReceivedError> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(other) => Err(shape(format!("{other:?}"), "does not belong there")),
        None => Ok(()),
    }
}

impl ReceivedPayload {
    /// Reads a payload that was posted to the address of `agent_id`.
    ///
    /// # Errors
    ///
    /// When the server would not accept it.
    pub fn parse(agent_id: &str, json: &[u8]) -> Result<Self, ReceivedError> {
        let body: Value = serde_json::from_slice(json)?;
        let body = body.as_object().ok_or_else(|| shape("the payload", "is not an object"))?;
        exactly(
            body,
            &["pattoo_agent_timestamp", "pattoo_agent_id", "pattoo_agent_polling_interval", "pattoo_datapoints"],
        )?;
        let number = |key: &str| {
            take(body, key)?.as_u64().ok_or_else(|| shape(format!("`{key}`"), "is not an integer of milliseconds"))
        };
        let found = take(body, "pattoo_agent_id")?.as_str().unwrap_or_default();
        if found != agent_id {
            return Err(ReceivedError::OtherAgent { expected: agent_id.to_owned(), found: found.to_owned() });
        }
        let datapoints = take(body, "pattoo_datapoints")?
            .as_object()
            .ok_or_else(|| shape("`pattoo_datapoints`", "is not an object"))?;
        exactly(datapoints, &["key_value_pairs", "datapoint_pairs"])?;
        Ok(Self {
            agent_id: found.to_owned(),
            timestamp: number("pattoo_agent_timestamp")?,
            polling_interval: number("pattoo_agent_polling_interval")?,
            datapoints: resolved_datapoints(datapoints)?,
        })
    }
}

fn resolved_datapoints(datapoints: &Map<String, Value>) -> Result<Vec<ReceivedDatapoint>, ReceivedError> {
    let pairs = take(datapoints, "key_value_pairs")?
        .as_object()
        .ok_or_else(|| shape("`key_value_pairs`", "is not an object"))?;
    let resolved: HashMap<&str, Arc<(String, Value)>> = pairs
        .iter()
        .map(|(id, pair)| resolve(id, pair).map(|pair| (id.as_str(), Arc::new(pair))))
        .collect::<Result<_, _>>()?;
    let lists =
        take(datapoints, "datapoint_pairs")?.as_array().ok_or_else(|| shape("`datapoint_pairs`", "is not a list"))?;
    let resolve_one = |(datapoint, ids): (usize, &Value)| {
        let place = || format!("datapoint {datapoint}");
        let ids = ids.as_array().ok_or_else(|| shape(place(), "is not a list of ids"))?;
        let mut seen = HashSet::with_capacity(ids.len());
        let found = ids.iter().map(|id| {
            let id = id.as_u64().ok_or_else(|| shape(place(), "has an id that is not a number"))?;
            if !seen.insert(id) {
                return Err(shape(place(), "names an id twice"));
            }
            resolved.get(id.to_string().as_str()).cloned().ok_or(ReceivedError::UnknownId { datapoint, id })
        });
        let resolved_one = ReceivedDatapoint(found.collect::<Result<_, _>>()?);
        match REQUIRED.into_iter().find(|key| resolved_one.get(key).is_none()) {
            Some(key) => Err(ReceivedError::MissingPair { datapoint, key }),
            None => Ok(resolved_one),
        }
    };
    lists.iter().enumerate().map(resolve_one).collect()
}

/// A pair of `key_value_pairs`.
fn resolve(id: &str, pair: &Value) -> Result<(String, Value), ReceivedError> {
    match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(key), value]) => Ok((key.clone(), value.clone())),
        _ => Err(shape(format!("pair {}", one_line(id, 40)), "is not a list of a key and a value")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{REQUIRED, ReceivedPayload};

    fn body(change: impl FnOnce(&mut Value)) -> Result<ReceivedPayload, String> {
        let pairs: serde_json::Map<_, _> =
            REQUIRED.iter().enumerate().map(|(id, key)| (id.to_string(), json!([key, "x"]))).collect();
        let ids: Vec<_> = (0..REQUIRED.len()).collect();
        let mut body = json!({
            "pattoo_agent_timestamp": 1, "pattoo_agent_id": "a", "pattoo_agent_polling_interval": 1000,
            "pattoo_datapoints": {"key_value_pairs": pairs, "datapoint_pairs": [ids]},
        });
        change(&mut body);
        ReceivedPayload::parse("a", body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn valid_payload_is_accepted() {
        assert_eq!(body(|_| {}).unwrap().datapoints.len(), 1);
    }

    #[test]
    fn invalid_payload_is_refused_with_the_reason() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 8] = [
            (|body| body["more"] = json!(1), "\"more\" does not belong there"),
            (|body| body["pattoo_agent_timestamp"] = json!("1"), "`pattoo_agent_timestamp` is not an integer"),
            (|body| body["pattoo_agent_id"] = json!("b"), "is from the agent b"),
            (|body| body["pattoo_datapoints"] = json!([]), "`pattoo_datapoints` is not an object"),
            (|body| body["pattoo_datapoints"]["datapoint_pairs"] = json!([[99]]), "the id 99"),
            (|body| body["pattoo_datapoints"]["datapoint_pairs"] = json!([[0, 0]]), "names an id twice"),
            (
                |body| body["pattoo_datapoints"]["datapoint_pairs"] = json!([[0]]),
                "datapoint 0 has no `pattoo_agent_id`",
            ),
            (|body| body["pattoo_datapoints"]["key_value_pairs"]["0"] = json!([1, 2]), "pair 0 is not a list"),
        ];
        for (change, words) in cases {
            let error = body(change).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
