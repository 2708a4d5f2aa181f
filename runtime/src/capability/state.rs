//! `pattoo:agent/state`: values that survive from one collection to the next.
//!
//! A collection works on what was there when it first asked. What it changes stays here until the collection has ended well and
//! its datapoints are safe: then [`StateChanges::keep`] writes all of it at once. A collection that fails or is stopped
//! changes nothing. Of two collections of one program at the same time (a command beside a daemon) each key has the value
//! of the one that ended last.

use std::{collections::BTreeSet, sync::Arc};

use super::{Assignment, Host, LimitReached, bindings::pattoo::agent::state as wit};
use crate::state::{Changes, StateError, Values};

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// One collection's view of its program's values.
#[derive(Debug, Default)]
pub struct StateUse {
    /// As they were when they were first asked for, with what the collection changed.
    values: Option<Values>,
    /// What they take with their keys, in bytes.
    bytes: usize,
    changes: Changes,
    /// The keys that were not there before. Once such a key is removed there is nothing of it to be remembered, so that what a
    /// collection changes never takes more than what it found and what it may leave.
    fresh: BTreeSet<String>,
}

/// What a collection that ended well wants to be kept.
///
/// Keep it once the collection's body is safe. If the process dies in between, the next collection repeats from the values before;
/// the other way round it would go on from a place whose measurements were lost.
#[derive(Debug)]
#[must_use = "it is kept only by `keep`"]
pub struct StateChanges {
    assignment: Arc<Assignment>,
    changes: Changes,
}

impl StateChanges {
    /// Keeps it, all at once. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it could not be kept: then everything is as it was before.
    pub async fn keep(self) -> Result<(), StateError> {
        self.assignment.state.keep(&self.assignment.agent.program, self.changes).await
    }
}

impl StateUse {
    /// What there is to be kept, if anything.
    pub(super) fn into_changes(self, assignment: &Arc<Assignment>) -> Option<StateChanges> {
        let changes = self.changes;
        (!changes.is_empty()).then(|| StateChanges { assignment: Arc::clone(assignment), changes })
    }
}

impl Host {
    async fn values(&mut self) -> wasmtime::Result<&mut Values> {
        if self.state.values.is_none() {
            let loaded = self.assignment.state.load(&self.assignment.agent.program).await?;
            self.state.bytes = loaded.iter().map(|(key, value)| size(key, value)).sum();
            self.state.values = Some(loaded);
        }
        Ok(self.state.values.get_or_insert_default())
    }
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len().saturating_add(value.len())
}

impl wit::Host for Host {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.values().await?.get(&key).cloned())
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), wit::Error>> {
        if key.is_empty() || key.len() > MAX_KEY {
            let why = format!("the key has {} bytes, and may have 1 to {MAX_KEY}", key.len());
            return Ok(Err(wit::Error::Invalid(why)));
        }
        let limit = self.assignment.limits.state_bytes;
        let before = self.values().await?.get(&key);
        if before == Some(&value) {
            return Ok(Ok(()));
        }
        let is_new = before.is_none();
        let replaced = before.map_or(0, |before| size(&key, before));
        let grown = self.state.bytes.saturating_sub(replaced).saturating_add(size(&key, &value));
        if grown > limit {
            let reached = LimitReached::of_bytes("what a program keeps", limit, "state_bytes");
            return Ok(Err(wit::Error::Quota(self.reached.say(reached).to_string())));
        }
        self.state.bytes = grown;
        if is_new && !self.state.changes.contains_key(&key) {
            self.state.fresh.insert(key.clone());
        }
        self.values().await?.insert(key.clone(), value.clone());
        self.state.changes.insert(key, Some(value));
        Ok(Ok(()))
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        if let Some(removed) = self.values().await?.remove(&key) {
            self.state.bytes = self.state.bytes.saturating_sub(size(&key, &removed));
            if self.state.fresh.remove(&key) {
                self.state.changes.remove(&key);
            } else {
                self.state.changes.insert(key, None);
            }
        }
        Ok(())
    }

    async fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        // Text in the order of its bytes, as the map has it.
        Ok(self.values().await?.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{Host, wit, wit::Host as _};
    use crate::{
        capability::{Assignment, Limits, modbus::Devices},
        http,
        modbus::Endpoints,
        pattoo::{Agent, PollingInterval},
        state::StateStore,
    };

    fn assignment(path: &Path, state_bytes: usize) -> Arc<Assignment> {
        let agent = Agent {
            program: "COUNTER".parse().unwrap(),
            id: "ab".repeat(32).parse().unwrap(),
            hostname: "gateway-7".parse().unwrap(),
            polling_interval: PollingInterval::from_seconds(20).unwrap(),
        };
        Arc::new(Assignment {
            memory: crate::pattoo::Memory::default(),
            agent: Arc::new(agent),
            settings: "{}".to_owned(),
            modbus: Devices::new(Vec::new(), &Endpoints::new()),
            http: http::Client::new(Vec::new(), http::Limits::default(), http::OwnEndpoints::default()).unwrap(),
            state: StateStore::at(path),
            limits: Limits { state_bytes, ..Limits::default() },
            recorder: None,
        })
    }

    #[tokio::test]
    async fn a_collection_sees_its_own_writes_and_the_next_one_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let assignment = assignment(&folder.path().join("state.sqlite3"), 1 << 20);
        let mut first = Host::new(Arc::clone(&assignment));
        assert_eq!(first.get("a".into()).await.unwrap(), None);
        for key in ["b", "a", "ä", "B"] {
            first.set(key.into(), key.into()).await.unwrap().unwrap();
        }
        first.remove("b".into()).await.unwrap();
        first.remove("never set".into()).await.unwrap();
        assert_eq!(first.keys().await.unwrap(), ["B", "a", "ä"]);
        // Not kept yet, and never if the collection does not end well.
        assert!(Host::new(Arc::clone(&assignment)).keys().await.unwrap().is_empty());
        first.finish().state.unwrap().keep().await.unwrap();

        let mut second = Host::new(Arc::clone(&assignment));
        assert_eq!(second.keys().await.unwrap(), ["B", "a", "ä"]);
        second.set("a".into(), "a".into()).await.unwrap().unwrap();
        assert!(second.finish().state.is_none(), "nothing changed");
        let mut third = Host::new(Arc::clone(&assignment));
        third.remove("a".into()).await.unwrap();
        third.finish().state.unwrap().keep().await.unwrap();
        assert_eq!(Host::new(assignment).get("a".into()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_set_and_removed_again_takes_no_room_however_often() {
        let folder = tempfile::tempdir().unwrap();
        let assignment = assignment(&folder.path().join("state.sqlite3"), 100);
        let mut first = Host::new(Arc::clone(&assignment));
        first.set("found".into(), vec![1]).await.unwrap().unwrap();
        first.finish().state.unwrap().keep().await.unwrap();

        let mut host = Host::new(Arc::clone(&assignment));
        for round in 0..1000 {
            let key = format!("key-{round}");
            host.set(key.clone(), vec![1]).await.unwrap().unwrap();
            host.set(key.clone(), vec![2]).await.unwrap().unwrap();
            host.remove(key).await.unwrap();
        }
        // What was found is removed, and there again, and removed.
        host.remove("found".into()).await.unwrap();
        host.set("found".into(), vec![2]).await.unwrap().unwrap();
        host.remove("found".into()).await.unwrap();
        assert_eq!((host.state.changes.len(), host.state.fresh.len(), host.state.bytes), (1, 0, 0));
        host.finish().state.unwrap().keep().await.unwrap();
        assert!(Host::new(assignment).keys().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn keys_and_values_together_stay_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Host::new(assignment(&folder.path().join("state.sqlite3"), 100));
        host.set("k".into(), vec![0; 99]).await.unwrap().unwrap();
        let error = host.set("l".into(), Vec::new()).await.unwrap().unwrap_err();
        assert!(matches!(&error, wit::Error::Quota(text) if text.contains("100 B")), "{error:?}");
        host.set("k".into(), vec![1; 99]).await.unwrap().unwrap();
        host.set("k".into(), vec![1; 98]).await.unwrap().unwrap();
        host.set("l".into(), Vec::new()).await.unwrap().unwrap();
        host.remove("k".into()).await.unwrap();
        host.set("m".into(), vec![0; 98]).await.unwrap().unwrap();
        for key in [String::new(), "k".repeat(256)] {
            assert!(matches!(host.set(key, Vec::new()).await.unwrap(), Err(wit::Error::Invalid(_))));
        }
    }
}
