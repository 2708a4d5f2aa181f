//! What a collection asked of the world, granted or not: for its operator's eyes, and part of no
//! decision.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use pattoo_base::lock::lock;

use super::{CAPABILITIES, Request, Requested};

/// How many different requests of one collection are recorded, and how many bytes of them. A guest
/// can make up any number of them.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

/// Records what the collections of an assignment ask for. Clones are the same record.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<RequestedAccess>>);

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct RequestedAccess {
    /// By capability.
    pub by_capability: Requested,
    /// What no grant should allow, in words: addresses of cloud metadata services, and our own
    /// endpoints.
    pub beyond: BTreeSet<String>,
    /// How many requests were too many to be recorded.
    pub left_out: usize,
    recorded: usize,
    bytes: usize,
}

impl Recorder {
    /// What was asked for until now.
    pub fn requested(&self) -> RequestedAccess {
        lock(&self.0).clone()
    }

    /// Records a request with so many bytes of text that the guest chose, if it is not one too
    /// many.
    pub(super) fn record(&self, bytes: usize, record: impl FnOnce(&mut RequestedAccess)) {
        let mut requested = lock(&self.0);
        if requested.has_space(bytes) {
            record(&mut requested);
        }
    }
}

impl RequestedAccess {
    /// Whether there is space for one more with so many bytes of text.
    fn has_space(&mut self, bytes: usize) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        let fits = self.recorded < MOST && bytes <= MOST_BYTES;
        if fits {
            self.bytes = bytes;
        }
        let counted = if fits { &mut self.recorded } else { &mut self.left_out };
        *counted = counted.saturating_add(1);
        fits
    }

    /// Everything that was asked for, each once.
    pub fn requests(&self) -> Vec<Request> {
        CAPABILITIES.iter().filter_map(|capability| capability.grant).flat_map(|grant| (grant.requests)(self)).collect()
    }

    /// The grant that allows what was asked for and nothing else, as the lines of a `--grants`
    /// file; empty if nothing was asked for that could be granted.
    ///
    /// It is made of canonical parts, each in quotes: nothing that a guest said gets out of its
    /// place.
    pub fn narrowest_grant(&self) -> String {
        CAPABILITIES.iter().filter_map(|capability| capability.grant).map(|grant| (grant.narrowest)(self)).collect()
    }
}

/// A text in quotes: JSON's are YAML's too.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list, as it is written in YAML.
pub(super) fn list<T>(all: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    format!("[{}]", all.into_iter().map(show).collect::<Vec<_>>().join(", "))
}
