//! How pattoo writes values, and which of them its server can store.

use std::hash::Hasher;

use pattoo_measurement::Value;

use crate::json::push_json;

/// Why the server cannot store a value. Its column is `NUMERIC(40, 10)`, thirty digits before the
/// point, and a value that does not fit makes the server reject everything that it ingests with it.
pub(super) fn value_fault(value: &Value) -> Option<String> {
    const BOUND: f64 = 1e30;
    match *value {
        Value::Scaled(v) | Value::Float(v) if !v.is_finite() => {
            Some(format!("pattoo cannot store {v}: expected a finite number"))
        }
        Value::Scaled(v) | Value::Float(v) if v.abs() >= BOUND => {
            Some(format!("pattoo cannot store {v:e}: expected a number greater than -1e30 and less than 1e30"))
        }
        _ => None,
    }
}

/// The number of a kind of value in `pattoo_data_type` and in the checksum
/// (`pattoo_shared.constants`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 2, `DATA_STRING`.
    Text,
    /// 32, `DATA_COUNT`.
    Counter32,
    /// 64, `DATA_COUNT64`.
    Counter64,
    /// 99, `DATA_INT`.
    Integer,
    /// 101, `DATA_FLOAT`.
    Float,
}

impl DataType {
    /// The kind of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Integer(_) | Value::Scaled(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::Counter32(_) => Self::Counter32,
            Value::Counter64(_) => Self::Counter64,
            Value::Text(_) => Self::Text,
        }
    }

    /// The number itself.
    pub fn number(self) -> u8 {
        match self {
            Self::Text => 2,
            Self::Counter32 => 32,
            Self::Counter64 => 64,
            Self::Integer => 99,
            Self::Float => 101,
        }
    }

    /// The number as it is hashed.
    pub(super) fn digits(self) -> &'static str {
        match self {
            Self::Text => "2",
            Self::Counter32 => "32",
            Self::Counter64 => "64",
            Self::Integer => "99",
            Self::Float => "101",
        }
    }
}

/// The second part of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    /// A checksum: text without characters to escape.
    Digits(&'a [u8; 64]),
    Signed(i64),
    Unsigned(u64),
    /// Always finite. Written with a point or an exponent, so that every reader sees a float.
    Float(f64),
}

impl Scalar<'_> {
    /// Scalars that are written the same have the same hash.
    pub(super) fn hash(self, hasher: &mut impl Hasher) {
        match self {
            Self::Text(text) => {
                hasher.write_u8(1);
                hasher.write(text.as_bytes());
            }
            Self::Digits(digits) => {
                hasher.write_u8(1);
                hasher.write(digits);
            }
            Self::Signed(n) => hasher.write_i64(n),
            Self::Unsigned(n) => hasher.write_u64(n),
            Self::Float(n) => hasher.write_u64(n.to_bits()),
        }
    }

    pub(super) fn push_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => push_json(out, text),
            Self::Digits(digits) => {
                out.push(b'"');
                out.extend_from_slice(digits);
                out.push(b'"');
            }
            Self::Signed(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            Self::Unsigned(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            Self::Float(n) => out.extend_from_slice(zmij::Buffer::new().format_finite(n).as_bytes()),
        }
    }
}

impl<'a> From<&'a Value> for Scalar<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Integer(n) => Self::Signed(*n),
            Value::Scaled(n) | Value::Float(n) => Self::Float(*n),
            Value::Counter32(n) => Self::Unsigned(u64::from(*n)),
            Value::Counter64(n) => Self::Unsigned(*n),
            Value::Text(text) => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_that_the_server_cannot_store_is_a_fault() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30, f64::MAX] {
            assert!(value_fault(&Value::Float(bad)).is_some(), "{bad}");
            assert!(value_fault(&Value::Scaled(bad)).is_some(), "{bad}");
        }
        for good in [0.0, -0.0, 1e30_f64.next_down(), f64::MIN_POSITIVE, 5e-324] {
            assert_eq!(value_fault(&Value::Float(good)), None, "{good}");
        }
        assert_eq!(value_fault(&Value::Integer(i64::MIN)), None);
        assert_eq!(value_fault(&Value::Counter64(u64::MAX)), None);
        assert_eq!(value_fault(&Value::Text("NaN".into())), None);
    }

    #[test]
    fn float_is_never_written_like_an_integer() {
        for n in [0.0, -0.0, 1.0, 732.0, 1e15, 1e16, 1e17, 1e22, 5e-324, 9_007_199_254_740_993.0, 123.456] {
            let mut json = Vec::new();
            Scalar::Float(n).push_json(&mut json);
            let json = String::from_utf8(json).unwrap();
            assert!(json.contains(['.', 'e']), "{json}");
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), n.to_bits(), "{json}");
        }
    }
}
