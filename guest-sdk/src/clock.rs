//! The time.

use core::time::Duration;

use crate::host;

/// A moment, as pattoo has it: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From Unix milliseconds, such as `1_700_000_000_000`.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From Unix seconds, as most web sites give them, such as `1_700_000_000`. Beyond the end of what 64 bits of milliseconds can
    /// hold it stays at that end, which the runtime refuses as too far in the future.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// As Unix milliseconds.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }
}

/// The host's wall clock. It may jump when the operator sets it. For the datapoints of one collection prefer
/// [`agent::collection_time`](crate::agent::collection_time).
pub fn now() -> Timestamp {
    Timestamp(host::now())
}

/// The time since this collection began, in steps of a nanosecond. It never goes back.
///
/// ```
/// # use pattoo_guest::{Value, clock, http, target, testing::Host};
/// # fn collect() -> pattoo_guest::Result {
/// let start = clock::monotonic();
/// http::get("http://site-a.example/abc.json")?;
/// let took = clock::monotonic() - start;
/// target("SITE_A").emit("response_seconds", Value::float(took.as_secs_f64()))?;
/// # Ok(())
/// # }
/// # let host = Host::new().http("http://site-a.example/abc.json", serde_json::json!({}));
/// # assert!({host}.collect(collect).value("SITE_A", "response_seconds").is_some());
/// ```
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}
