//! `limits:` of a collector: each limit by its name, with its unit and its range.
//!
//! One table says all of it. The reader, the schema for editors, the reference page and the effective settings come from it,
//! so that none of them can know a limit that another does not.

use std::time::Duration;

use bytesize::ByteSize;

use crate::{capability, http};

/// How much one collection may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorLimits {
    /// Of everything but one fetch.
    pub collection: capability::Limits,
    /// Of each fetch.
    pub http: http::Limits,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A duration: `5s`, `250ms`, `2m`. Kept in milliseconds.
    Time,
    /// A size: `64MiB`, `4096`. Kept in bytes.
    Size,
    /// A plain number.
    Count,
}

/// One limit that can be set.
#[derive(Debug)]
pub struct Limit {
    /// Its name under `limits:`.
    pub name: &'static str,
    /// What it limits.
    pub doc: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The least it can be, in its unit.
    pub min: u64,
    /// The most it can be, in its unit.
    pub max: u64,
    get: fn(&CollectorLimits) -> u64,
    set: fn(&mut CollectorLimits, u64),
}

/// Why a limit cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It is not written in its unit.
    #[error("`{text}` is not {}", unit.words())]
    NotInUnit {
        /// What was written.
        text: String,
        /// What it should be.
        unit: Unit,
    },
    /// It is out of range.
    #[error("`{name}` is {min} to {max}, not {text}")]
    OutOfRange {
        /// The limit.
        name: &'static str,
        /// What was written.
        text: String,
        /// The least, with its unit.
        min: String,
        /// The most, with its unit.
        max: String,
    },
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

fn duration(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The limit on a field, with the conversion from and to a number in its unit.
macro_rules! limit {
    ($name:literal, $doc:literal, $unit:ident, $min:expr, $max:expr, $part:ident.$field:ident, $from:expr, $to:expr) => {
        Limit {
            name: $name,
            doc: $doc,
            unit: Unit::$unit,
            min: $min,
            max: $max,
            get: |limits| $from(limits.$part.$field),
            set: |limits, value| limits.$part.$field = $to(value),
        }
    };
}

fn same(number: u64) -> u64 {
    number
}

fn widen(number: usize) -> u64 {
    number as u64
}

/// Every limit that can be set, in the order in which the reference lists them.
pub static LIMITS: &[Limit] = &[
    limit!(
        "timeout",
        "time for the whole collection, waiting included",
        Time,
        1,
        24 * HOUR,
        collection.timeout,
        millis,
        duration
    ),
    limit!("memory", "linear memory, all memories together", Size, 64 * KIB, 4 * GIB, collection.memory, widen, size),
    limit!(
        "table_elements",
        "elements of tables, all tables together",
        Count,
        0,
        100_000,
        collection.table_elements,
        widen,
        size
    ),
    limit!(
        "instances",
        "core instances, memories and tables of one component, each",
        Count,
        1,
        50,
        collection.instances,
        widen,
        size
    ),
    limit!("call_bytes", "bytes handed to the host in one call", Size, KIB, GIB, collection.call_bytes, widen, size),
    limit!(
        "resources",
        "handles of WASI resources at the same time",
        Count,
        16,
        1_000_000,
        collection.resources,
        widen,
        size
    ),
    limit!("random_bytes", "random bytes in one call", Size, 0, 64 * MIB, collection.random_bytes, same, same),
    limit!("datapoints", "datapoints", Count, 0, 1_000_000, collection.datapoints, widen, size),
    limit!(
        "datapoint_bytes",
        "bytes of normalised datapoints",
        Size,
        KIB,
        GIB,
        collection.datapoint_bytes,
        widen,
        size
    ),
    limit!(
        "timestamp_ahead",
        "how far a timestamp may lie ahead of the host's clock",
        Time,
        0,
        24 * HOUR,
        collection.timestamp_ahead,
        millis,
        duration
    ),
    limit!(
        "log_lines",
        "log lines, standard output and error included",
        Count,
        0,
        1_000_000,
        collection.log_lines,
        u64::from,
        count
    ),
    limit!("log_line_bytes", "bytes of a log line", Size, 64, MIB, collection.log_line_bytes, widen, size),
    limit!("fetches", "HTTP requests", Count, 0, 1_000_000, collection.fetches, u64::from, count),
    limit!(
        "concurrent_fetches",
        "HTTP requests at the same time",
        Count,
        1,
        1_000,
        collection.concurrent_fetches,
        widen,
        size
    ),
    limit!("spans", "Modbus spans", Count, 0, 1_000_000, collection.spans, u64::from, count),
    limit!("fetch_timeout", "time for one fetch, all redirects included", Time, 1, HOUR, http.total, millis, duration),
    limit!(
        "fetch_connect_timeout",
        "time for one connection: name, TCP and TLS",
        Time,
        1,
        HOUR,
        http.connect,
        millis,
        duration
    ),
    limit!("fetch_idle_timeout", "silence of a site", Time, 1, HOUR, http.idle, millis, duration),
    limit!("redirects", "redirects that one fetch follows", Count, 0, 20, http.redirects, u64::from, count),
    limit!("url_bytes", "bytes of a URL", Size, 64, 64 * KIB, http.url_bytes, same, same),
    limit!("request_bytes", "bytes of a request body", Size, 0, GIB, http.request_bytes, same, same),
    limit!("request_headers", "header fields of a request", Count, 0, 1_000, http.request_headers, widen, size),
    limit!(
        "request_header_bytes",
        "bytes of a request's header fields",
        Size,
        0,
        256 * KIB,
        http.request_header_bytes,
        same,
        same
    ),
    limit!("response_bytes", "bytes of a response body, decompressed", Size, 0, GIB, http.response_bytes, same, same),
    limit!("compressed_bytes", "bytes of a response body on the wire", Size, 0, GIB, http.compressed_bytes, same, same),
    limit!("response_headers", "header fields of a response", Count, 1, 1_000, http.response_headers, widen, size),
    limit!(
        "response_header_bytes",
        "bytes of a response's header fields",
        Size,
        KIB,
        256 * KIB,
        http.response_header_bytes,
        same,
        same
    ),
];

impl Unit {
    /// What a value of it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Time => "a duration such as 5s, 250ms or 2m",
            Self::Size => "a size such as 64MiB, 16KiB or a number of bytes",
            Self::Count => "a whole number",
        }
    }

    fn parse(self, text: &str) -> Option<u64> {
        let whole = |text: &str| text.parse::<u64>().ok();
        match self {
            Self::Time => humantime::parse_duration(text).ok().map(millis),
            Self::Size => whole(text).or_else(|| text.parse::<ByteSize>().ok().map(|size| size.as_u64())),
            Self::Count => whole(text),
        }
    }

    /// A value as it is written in a configuration.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Time => humantime::format_duration(duration(value)).to_string(),
            Self::Size => [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")]
                .into_iter()
                .find(|(unit, _)| value > 0 && value.is_multiple_of(*unit))
                .map_or_else(
                    || value.to_string(),
                    |(unit, name)| format!("{}{name}", value.checked_div(unit).unwrap_or(0)),
                ),
            Self::Count => value.to_string(),
        }
    }
}

impl Limit {
    /// The limit of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        LIMITS.iter().find(|limit| limit.name == name)
    }

    /// Its value, as it is written in a configuration.
    pub fn show(&self, limits: &CollectorLimits) -> String {
        self.unit.show((self.get)(limits))
    }

    /// Sets it to what is written.
    ///
    /// # Errors
    ///
    /// When that is not in its unit, or out of range.
    pub fn set(&self, limits: &mut CollectorLimits, text: &str) -> Result<(), LimitError> {
        let value =
            self.unit.parse(text).ok_or_else(|| LimitError::NotInUnit { text: text.to_owned(), unit: self.unit })?;
        if !(self.min..=self.max).contains(&value) {
            return Err(LimitError::OutOfRange {
                name: self.name,
                text: text.to_owned(),
                min: self.unit.show(self.min),
                max: self.unit.show(self.max),
            });
        }
        (self.set)(limits, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{CollectorLimits, LIMITS, Limit, Unit};
    use crate::http::Cap;

    #[test]
    fn every_default_is_in_its_range_and_reads_back_as_it_is_shown() {
        for limit in LIMITS {
            let mut limits = CollectorLimits::default();
            let shown = limit.show(&limits);
            limit.set(&mut limits, &shown).unwrap();
            assert_eq!(limits, CollectorLimits::default(), "{}", limit.name);
            for edge in [limit.min, limit.max] {
                limit.set(&mut limits, &limit.unit.show(edge)).unwrap();
                assert_eq!((limit.get)(&limits), edge, "{}", limit.name);
            }
        }
    }

    #[test]
    fn units_are_read_as_people_write_them() {
        for (unit, text, value) in [
            (Unit::Time, "5s", Some(5000)),
            (Unit::Time, "250ms", Some(250)),
            (Unit::Time, "1m 30s", Some(90_000)),
            (Unit::Time, "5", None),
            (Unit::Size, "64MiB", Some(64 << 20)),
            (Unit::Size, "64 KiB", Some(64 << 10)),
            (Unit::Size, "4096", Some(4096)),
            (Unit::Size, "much", None),
            (Unit::Count, "16", Some(16)),
            (Unit::Count, "-1", None),
            (Unit::Count, "1.5", None),
        ] {
            assert_eq!(unit.parse(text), value, "{text}");
        }
    }

    #[test]
    fn a_limit_that_a_message_names_can_be_set() {
        for name in ["memory", "table_elements", "spans", "fetches", "datapoints", "datapoint_bytes"] {
            assert!(Limit::named(name).is_some(), "{name}");
        }
        for cap in [
            Cap::ResponseBody,
            Cap::CompressedBody,
            Cap::ResponseHeaders,
            Cap::ResponseHeaderBytes,
            Cap::RequestBody,
            Cap::RequestHeaders,
            Cap::RequestHeaderBytes,
        ] {
            assert!(Limit::named(cap.setting()).is_some(), "{}", cap.setting());
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        let error = Limit::named("memory").unwrap().set(&mut CollectorLimits::default(), "1KiB").unwrap_err();
        assert_eq!(error.to_string(), "`memory` is 64KiB to 4GiB, not 1KiB");
    }
}
