//! Values in payloads.

use serde_json::Value;

/// The value of a key in a payload with one datapoint.
pub fn value_of(payload: &Value, key: &str) -> Value {
    let pairs = payload.pointer("/pattoo_datapoints/key_value_pairs").and_then(Value::as_object).expect("pairs");
    let pair = pairs.values().find(|pair| pair.get(0).is_some_and(|name| name == key));
    pair.and_then(|pair| pair.get(1)).cloned().unwrap_or(Value::Null)
}
