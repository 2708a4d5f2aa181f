//! What a collection used of the world outside: for its operator's eyes, and part of no decision.

use std::{collections::BTreeMap, time::Duration};

use pattoo_base::clock::unix_millis;
use serde::Serialize;

use super::{CAPABILITIES, Grants};

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
    /// Those of them that failed.
    pub failures: u64,
    /// When it was last asked, in Unix milliseconds.
    pub last_request: Option<u64>,
    /// When it last answered a request, with whatever answer, in Unix milliseconds.
    pub last_answer: Option<u64>,
    /// How often one was sent once more, since the peer had closed the connection before.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: u64,
    /// Answers by the class of their status, such as `4xx`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<&'static str, u64>,
}

impl PeerCalls {
    /// Nothing but that it was asked now, and whether it answered.
    pub(super) fn asked(answered: bool) -> Self {
        let now = Some(unix_millis());
        Self { last_request: now, last_answer: now.filter(|_| answered), ..Self::default() }
    }

    /// Whether it answered when it was last asked; unknown before.
    pub fn is_up(&self) -> Option<bool> {
        self.last_request.map(|asked| self.last_answer.is_some_and(|answered| answered >= asked))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// The devices and origins of grants, of which nothing was asked yet.
    pub(super) fn of_grants(grants: &Grants) -> Self {
        let mut usage = Self::default();
        for capability in CAPABILITIES {
            if let Some(granting) = capability.grant {
                let by_peer = (granting.peers)(grants).into_iter().map(|peer| (peer, PeerCalls::default())).collect();
                usage.insert(capability.name, Calls { time: Duration::ZERO, by_peer });
            }
        }
        usage
    }

    /// Has the devices and origins of `granted` and no others from now on.
    pub fn keep_granted(&mut self, granted: &Self) {
        for (capability, calls) in &mut self.0 {
            let granted = granted.of(capability).map(|granted| &granted.by_peer);
            calls.by_peer.retain(|peer, _| granted.is_some_and(|granted| granted.contains_key(peer)));
        }
        for (capability, calls) in &granted.0 {
            let own = self.0.entry(capability).or_default();
            for peer in calls.by_peer.keys() {
                own.by_peer.entry(peer.clone()).or_default();
            }
        }
    }

    pub(super) fn insert(&mut self, capability: &'static str, calls: Calls) {
        self.0.insert(capability, calls);
    }

    /// What was used of a capability.
    pub fn of(&self, capability: &str) -> Option<&Calls> {
        self.0.get(capability)
    }

    /// What was used of each capability.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &Calls)> {
        self.0.iter().map(|(capability, calls)| (*capability, calls))
    }

    /// The same, moved.
    pub fn into_calls(self) -> impl Iterator<Item = (&'static str, Calls)> {
        self.0.into_iter()
    }

    /// Adds what a collection used. Devices and origins that are not here were granted earlier, and are left out.
    pub fn add(&mut self, other: Self) {
        for (capability, mut calls) in other.0 {
            let own = self.0.entry(capability).or_default();
            calls.by_peer.retain(|peer, _| own.by_peer.contains_key(peer));
            own.add(calls);
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
        all.last_request = all.last_request.max(calls.last_request);
        all.last_answer = all.last_answer.max(calls.last_answer);
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
