//! Values and their data types.

use std::hash::Hasher;

use super::text::push_json;

/// A measurement as a collector gives it: one variant per data type of pattoo, integers with and without a fraction
/// kept apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Type 99, a whole number. Stays one on the wire, all 64 bits of it.
    Integer(i64),
    /// Type 99 with a fraction: what pattoo's own agents send once a multiplier was applied. Finite, below 1e30.
    Scaled(f64),
    /// Type 101. Finite, below 1e30.
    Float(f64),
    /// Type 32: a counter that wraps at 2^32. The server stores its rate of change.
    Counter32(u32),
    /// Type 64: a counter that wraps at 2^64.
    Counter64(u64),
    /// Type 2. Taken as it is, to the last space. The server accepts text and keeps it in none of its tables.
    Text(String),
}

impl Value {
    /// Pattoo's number for what kind of value this is.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Integer(_) | Self::Scaled(_) => DataType::Integer,
            Self::Float(_) => DataType::Float,
            Self::Counter32(_) => DataType::Counter32,
            Self::Counter64(_) => DataType::Counter64,
            Self::Text(_) => DataType::Text,
        }
    }

    /// Why the server could not store it, if it could not: its column is NUMERIC(40, 10), thirty digits before the
    /// point, and one value that does not fit takes its whole batch down with it.
    pub(super) fn fault(&self) -> Option<String> {
        const BOUND: f64 = 1e30;
        match *self {
            Self::Scaled(v) | Self::Float(v) if !v.is_finite() => {
                Some(format!("{v} is not a number that pattoo can store"))
            }
            Self::Scaled(v) | Self::Float(v) if v.abs() >= BOUND => {
                Some(format!("{v:e} is too large: pattoo stores values between -1e30 and 1e30, both excluded"))
            }
            _ => None,
        }
    }
}

/// The number that stands for a kind of value in `pattoo_data_type` and in the checksum (`pattoo_shared.constants`).
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

/// What can stand on the right of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    /// A checksum: written as text, with nothing in it to escape.
    Digits(&'a [u8; 64]),
    Signed(i64),
    Unsigned(u64),
    /// Always finite; written with a point or an exponent, so that it stays a float for every reader.
    Float(f64),
}

impl Scalar<'_> {
    /// Hashes alike what is written alike.
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
    fn what_the_server_cannot_store_is_a_fault() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30, f64::MAX] {
            assert!(Value::Float(bad).fault().is_some(), "{bad}");
            assert!(Value::Scaled(bad).fault().is_some(), "{bad}");
        }
        for good in [0.0, -0.0, 1e30_f64.next_down(), f64::MIN_POSITIVE, 5e-324] {
            assert_eq!(Value::Float(good).fault(), None, "{good}");
        }
        assert_eq!(Value::Integer(i64::MIN).fault(), None);
        assert_eq!(Value::Counter64(u64::MAX).fault(), None);
        assert_eq!(Value::Text("NaN".into()).fault(), None);
    }

    #[test]
    fn a_float_never_looks_like_an_integer() {
        for n in [0.0, -0.0, 1.0, 732.0, 1e15, 1e16, 1e17, 1e22, 5e-324, 9_007_199_254_740_993.0, 123.456] {
            let mut json = Vec::new();
            Scalar::Float(n).push_json(&mut json);
            let json = String::from_utf8(json).unwrap();
            assert!(json.contains(['.', 'e']), "{json}");
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), n.to_bits(), "{json}");
        }
    }
}
