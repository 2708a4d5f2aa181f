//! What a collection used of the world outside: for its operator's eyes, and part of no decision.

use std::{collections::BTreeMap, time::Duration};

/// What a collection used, by the names of capabilities.
#[derive(Debug, Clone, Default)]
pub struct Usage(BTreeMap<&'static str, Calls>);

/// What a collection used of one capability.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How long the guest waited for the host, all calls together.
    pub time: Duration,
    /// By device or origin: the number of requests, and how many of them failed. Only those that
    /// were granted are listed: what a guest made up is not.
    pub by_peer: BTreeMap<String, (u64, u64)>,
}

impl Usage {
    pub(super) fn insert(&mut self, capability: &'static str, calls: Calls) {
        self.0.insert(capability, calls);
    }

    /// What was used of a capability.
    pub fn of(&self, capability: &str) -> Option<&Calls> {
        self.0.get(capability)
    }

    /// Adds what another collection used.
    pub fn add(&mut self, other: Self) {
        for (capability, calls) in other.0 {
            self.0.entry(capability).or_default().add(calls);
        }
    }
}

impl Calls {
    /// Counts `requests` to `peer`, of which `failed` failed.
    pub(super) fn count(&mut self, peer: String, requests: u64, failed: u64) {
        let (all, failures) = self.by_peer.entry(peer).or_default();
        *all = all.saturating_add(requests);
        *failures = failures.saturating_add(failed);
    }

    /// Adds those of another collection.
    pub fn add(&mut self, other: Self) {
        self.time = self.time.saturating_add(other.time);
        for (peer, (requests, failed)) in other.by_peer {
            self.count(peer, requests, failed);
        }
    }
}
