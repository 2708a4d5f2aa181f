//! Fair shares of an endpoint's time: the caller that has used it for the shortest time is served
//! next.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Identifies a caller that shares an endpoint with others: usually one collector, with all devices
/// that it reads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(u64);

impl Caller {
    /// A caller that is different from all others.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::new()
    }
}

/// The time for which each caller has used the endpoint.
///
/// `now` is the usage of the caller that was served last. A caller without an entry has used that
/// much, so that a caller that returns after a while cannot claim the time in which it did not need
/// the endpoint.
#[derive(Debug, Default)]
pub(super) struct UsageAccounts {
    now: Duration,
    used: HashMap<Caller, Usage>,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    used: Duration,
    /// The duration of its last request, which is the estimate for the next.
    last: Duration,
}

impl UsageAccounts {
    /// A caller has new requests. The endpoint was idle for `idle` before.
    pub(super) fn enter(&mut self, caller: Caller, idle: Duration) {
        self.now = self.now.saturating_add(idle);
        let now = self.now;
        // An entry that is not above `now` is equal to no entry.
        self.used.retain(|known, usage| *known == caller || usage.used > now);
        let usage = self.used.entry(caller).or_insert(Usage { used: now, last: Duration::ZERO });
        usage.used = usage.used.max(now);
    }

    /// The time for which the caller has used the endpoint.
    pub(super) fn used(&self, caller: Caller) -> Duration {
        self.used.get(&caller).map_or(self.now, |usage| usage.used.max(self.now))
    }

    /// A request of the caller goes out. Charges its estimated duration, and returns it.
    pub(super) fn begin(&mut self, caller: Caller) -> Duration {
        let now = self.now;
        let usage = self.used.entry(caller).or_insert(Usage { used: now, last: Duration::ZERO });
        usage.used = usage.used.max(now);
        self.now = usage.used;
        usage.used = usage.used.saturating_add(usage.last);
        usage.last
    }

    /// The request took this long: replaces the estimate that was charged.
    pub(super) fn end(&mut self, caller: Caller, charged: Duration, took: Duration) {
        if let Some(usage) = self.used.get_mut(&caller) {
            usage.used = usage.used.saturating_sub(charged).saturating_add(took);
            usage.last = took;
        }
    }
}
