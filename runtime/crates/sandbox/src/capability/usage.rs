//! What a collection used of the world outside: for its operator's eyes, and part of no decision.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

/// What a collection used, by the names of capabilities.
#[derive(Debug, Clone, Default)]
pub struct Usage(BTreeMap<&'static str, Calls>);

/// What a collection used of one capability.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How long the guest waited for the host, all calls together.
    pub time: Duration,
    /// By device or origin. Only those that were granted are listed: what a guest made up is not.
    pub by_peer: BTreeMap<String, PeerCalls>,
}

/// What became of the requests to one device or origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PeerCalls {
    /// Requests.
    pub requests: u64,
    /// Those of them that have no answer.
    pub failures: u64,
    /// How often one was sent once more, since the peer had closed the connection before.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: u64,
    /// Answers by the class of their status, such as `4xx`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<&'static str, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    pub(super) fn insert(&mut self, capability: &'static str, calls: Calls) {
        self.0.insert(capability, calls);
    }

    /// What was used of a capability.
    pub fn of(&self, capability: &str) -> Option<&Calls> {
        self.0.get(capability)
    }

    /// What was used of each capability.
    pub fn into_calls(self) -> impl Iterator<Item = (&'static str, Calls)> {
        self.0.into_iter()
    }

    /// Adds what another collection used.
    pub fn add(&mut self, other: Self) {
        for (capability, calls) in other.0 {
            self.0.entry(capability).or_default().add(calls);
        }
    }
}

impl Calls {
    /// Counts what became of requests to `peer`.
    pub(super) fn count(&mut self, peer: String, calls: PeerCalls) {
        let all = self.by_peer.entry(peer).or_default();
        all.requests = all.requests.saturating_add(calls.requests);
        all.failures = all.failures.saturating_add(calls.failures);
        all.repeated = all.repeated.saturating_add(calls.repeated);
        for (class, count) in calls.responses {
            let of_class = all.responses.entry(class).or_default();
            *of_class = of_class.saturating_add(count);
        }
    }

    /// Adds those of another collection.
    pub fn add(&mut self, other: Self) {
        self.time = self.time.saturating_add(other.time);
        for (peer, calls) in other.by_peer {
            self.count(peer, calls);
        }
    }
}
