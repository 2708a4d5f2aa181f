//! What a collection used of the world outside: for its operator's eyes, and part of no decision.

use std::{collections::BTreeMap, time::Duration};

/// What a collection used.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Web origins. Only those that were granted are listed: what a guest made up is not.
    pub http: Calls,
    /// Modbus devices, by the names in the grants.
    pub modbus: Calls,
}

/// What a collection used of one interface.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How long the guest waited for the host, all calls together.
    pub time: Duration,
    /// By device or origin: how often it was asked, and how many of these times in vain.
    pub by_peer: BTreeMap<String, (u64, u64)>,
}

impl Calls {
    /// Counts `asked` requests to `peer`, of which `failed` failed.
    pub(super) fn count(&mut self, peer: String, asked: u64, failed: u64) {
        let (requests, errors) = self.by_peer.entry(peer).or_default();
        *requests = requests.saturating_add(asked);
        *errors = errors.saturating_add(failed);
    }

    /// Adds those of another collection.
    pub fn add(&mut self, other: Self) {
        self.time = self.time.saturating_add(other.time);
        for (peer, (requests, errors)) in other.by_peer {
            self.count(peer, requests, errors);
        }
    }
}
