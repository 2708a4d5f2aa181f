//! A body in two.
//!
//! Any body of pattoo's form can be divided, also one that a Python agent wrote: numbers and texts are copied as they are
//! written.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::output_type::Encoded;

/// A body, whose parts are not looked into further than is needed to divide it.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of pattoo's JSON")]
struct Whole<'a> {
    pattoo_agent_timestamp: u64,
    #[serde(borrow)]
    pattoo_agent_id: &'a RawValue,
    #[serde(borrow)]
    pattoo_agent_polling_interval: &'a RawValue,
    #[serde(borrow)]
    pattoo_datapoints: Datapoints<'a>,
}

#[derive(Deserialize)]
struct Datapoints<'a> {
    #[serde(borrow)]
    key_value_pairs: HashMap<Cow<'a, str>, &'a RawValue>,
    datapoint_pairs: Vec<Vec<u64>>,
}

/// A part of a body, in pattoo's order.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of pattoo's JSON")]
struct Part<'a> {
    pattoo_agent_timestamp: u64,
    pattoo_agent_id: &'a RawValue,
    pattoo_agent_polling_interval: &'a RawValue,
    pattoo_datapoints: PartDatapoints<'a>,
}

#[derive(Serialize)]
struct PartDatapoints<'a> {
    key_value_pairs: Pairs<'a>,
    datapoint_pairs: Vec<Vec<u64>>,
}

/// Pairs by their numbers, which count up from 0.
struct Pairs<'a>(Vec<&'a RawValue>);

impl Serialize for Pairs<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().enumerate())
    }
}

/// The first and the second half of a body's datapoints, each a complete body with the pairs that it needs, renumbered in the
/// order in which they are needed. `None` if there is only one datapoint, or it is no body.
///
/// The server names a file after agent and timestamp. So the second half has a later timestamp than the first, by a power of
/// two of milliseconds that is another one each time that a part is divided again: no two parts have the same.
pub(super) fn split(body: &[u8], depth: u32) -> Option<[Encoded; 2]> {
    let whole: Whole<'_> = serde_json::from_slice(body).ok()?;
    let rows = &whole.pattoo_datapoints.datapoint_pairs;
    let (first, second) = rows.split_at_checked(rows.len().div_ceil(2)).filter(|(_, second)| !second.is_empty())?;
    let later = 1_u64.checked_shl(depth).unwrap_or_default();
    Some([part(&whole, first, 0)?, part(&whole, second, later)?])
}

/// These rows of a body as a body.
fn part(whole: &Whole<'_>, rows: &[Vec<u64>], later: u64) -> Option<Encoded> {
    let mut pairs = Vec::new();
    let mut numbers: HashMap<u64, u64> = HashMap::new();
    let mut renumbered = Vec::with_capacity(rows.len());
    for row in rows {
        let mut new_row = Vec::with_capacity(row.len());
        for old in row {
            let number = if let Some(number) = numbers.get(old) {
                *number
            } else {
                let pair = whole.pattoo_datapoints.key_value_pairs.get(old.to_string().as_str())?;
                let number = u64::try_from(pairs.len()).ok()?;
                pairs.push(*pair);
                numbers.insert(*old, number);
                number
            };
            new_row.push(number);
        }
        renumbered.push(new_row);
    }
    let part = Part {
        pattoo_agent_timestamp: whole.pattoo_agent_timestamp.saturating_add(later),
        pattoo_agent_id: whole.pattoo_agent_id,
        pattoo_agent_polling_interval: whole.pattoo_agent_polling_interval,
        pattoo_datapoints: PartDatapoints { key_value_pairs: Pairs(pairs), datapoint_pairs: renumbered },
    };
    Some(Encoded { count: u64::try_from(rows.len()).ok()?, bytes: serde_json::to_vec(&part).ok()? })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pattoo_measurement::{Agent, Candidate, DEFAULT_FUTURE_BOUND, Metadatum, PollingInterval, Value};
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::split;
    use crate::{
        encoders::pieces,
        output_type::Encoded,
        pattoo::{Batch, PattooJson},
    };

    fn agent() -> Arc<Agent> {
        Arc::new(Agent {
            program: "P".parse().unwrap(),
            id: "ab".repeat(32).parse().unwrap(),
            hostname: "h".parse().unwrap(),
            polling_interval: PollingInterval::from_seconds(20).unwrap(),
        })
    }

    fn any_candidates() -> impl Strategy<Value = Vec<(String, Candidate)>> {
        let value = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            (-1e29..1e29).prop_map(Value::Scaled),
            any::<u64>().prop_map(Value::Counter64),
            "\\PC{0,9}".prop_map(Value::Text),
        ];
        let metadata = prop::collection::vec(("[a-c]", "[ -~]{0,4}", any::<bool>()), 0..3).prop_map(|metadata| {
            let of = |(key, value, identifying)| Metadatum { key, value, identifying };
            metadata.into_iter().map(of).collect()
        });
        let one = ("[t-v]", "[a-z]{1,2}", value, metadata)
            .prop_map(|(target, key, value, metadata)| (target, Candidate { key, value, timestamp: None, metadata }));
        prop::collection::vec(one, 1..40)
    }

    /// Each datapoint of a body as its pairs, after everything that a body must be was asserted.
    fn rows(body: &Encoded) -> Vec<Vec<Json>> {
        let json: Json = serde_json::from_slice(&body.bytes).unwrap();
        let members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        let ours = ["pattoo_agent_timestamp", "pattoo_agent_id", "pattoo_agent_polling_interval", "pattoo_datapoints"];
        assert_eq!(members, ours);
        let pairs = json["pattoo_datapoints"]["key_value_pairs"].as_object().unwrap();
        assert!(pairs.keys().enumerate().all(|(number, key)| *key == number.to_string()));
        let rows = json["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap();
        assert_eq!(rows.len() as u64, body.count);
        let used: std::collections::BTreeSet<_> =
            rows.iter().flat_map(|row| row.as_array().unwrap()).map(|id| id.as_u64().unwrap()).collect();
        assert_eq!(used.len(), pairs.len(), "only the pairs that are needed");
        let pair = |id: &Json| pairs[&id.to_string()].clone();
        rows.iter().map(|row| row.as_array().unwrap().iter().map(pair).collect()).collect()
    }

    fn timestamp(body: &Encoded) -> u64 {
        serde_json::from_slice::<Json>(&body.bytes).unwrap()["pattoo_agent_timestamp"].as_u64().unwrap()
    }

    proptest! {
        #[test]
        fn splitting_loses_no_datapoint_and_every_part_is_a_body(
            candidates in any_candidates(),
            max in 1..4_000_usize,
        ) {
            let mut batch = Batch::new(agent(), DEFAULT_FUTURE_BOUND);
            for (target, candidate) in candidates {
                batch.emit(&target, vec![candidate], 1_700_000_000_000).unwrap();
            }
            let body = batch.into_body(1_700_000_000_000).unwrap();
            let whole = Encoded { count: body.datapoints() as u64, bytes: body.into_json() };
            let parts = pieces(&PattooJson, whole.clone(), max);
            prop_assert!(parts.iter().all(|part| part.count == 1 || part.bytes.len() <= max));
            // Pair by pair, the checksums among them.
            let joined: Vec<_> = parts.iter().flat_map(rows).collect();
            prop_assert_eq!(joined, rows(&whole));
            let stamps: std::collections::BTreeSet<u64> = parts.iter().map(timestamp).collect();
            prop_assert_eq!(stamps.len(), parts.len(), "each has a timestamp of its own");
        }

        #[test]
        fn what_is_no_body_is_not_divided(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(split(&bytes, 0), None);
        }
    }

    #[test]
    fn numbers_keep_their_spelling_and_a_body_of_python_can_be_divided() {
        let body = br#"{"pattoo_agent_id": "a", "pattoo_datapoints": {"datapoint_pairs": [[0, 1], [2, 1], [0, 3]],
            "key_value_pairs": {"3": ["v", 1e2], "1": ["v", 1.0], "0": ["k", "\u00e4"], "2": ["k", 9007199254740993]}},
            "pattoo_agent_polling_interval": 20000, "pattoo_agent_timestamp": 7}"#;
        let [first, second] = split(body, 3).unwrap();
        assert_eq!(
            String::from_utf8(first.bytes).unwrap(),
            r#"{"pattoo_agent_timestamp":7,"pattoo_agent_id":"a","pattoo_agent_polling_interval":20000,"pattoo_datapoints":{"key_value_pairs":{"0":["k", "\u00e4"],"1":["v", 1.0],"2":["k", 9007199254740993]},"datapoint_pairs":[[0,1],[2,1]]}}"#
        );
        assert_eq!(
            String::from_utf8(second.bytes.clone()).unwrap(),
            r#"{"pattoo_agent_timestamp":15,"pattoo_agent_id":"a","pattoo_agent_polling_interval":20000,"pattoo_datapoints":{"key_value_pairs":{"0":["k", "\u00e4"],"1":["v", 1e2]},"datapoint_pairs":[[0,1]]}}"#
        );
        assert_eq!((first.count, second.count), (2, 1));
        assert_eq!(split(&second.bytes, 0), None, "one datapoint is not divided");
    }
}
