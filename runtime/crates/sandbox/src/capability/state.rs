//! `pattoo:agent/state`: values that survive from one collection to the next.
//!
//! A collection works on what was there when it first asked. What it changes stays here until the collection has ended well and
//! its datapoints are safe: then [`StateChanges::keep`] writes all of it at once. A collection that fails or is stopped
//! changes nothing. Of two collections of one program at the same time (a command beside a daemon) each key has the value
//! of the one that ended last.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Account, Assignment, Charge, Host, LimitReached, bindings::pattoo::agent::state as wit};
use crate::state::{Changes, StateError};

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// What each value takes beside its key and itself: its row and its index entry on disk, its nodes in memory. It counts towards the limit, or
/// a program could keep hundreds of thousands of keys of a byte.
pub const STATE_ENTRY: usize = 128;
/// What an entry takes in the host's memory beside its texts.
const IN_MEMORY: usize = 256;

/// One collection's view of its program's values.
#[derive(Debug)]
pub struct StateUse {
    /// As they are now, if they were asked for.
    values: Option<BTreeMap<String, Entry>>,
    /// The keys that were there and are removed.
    removed: BTreeSet<String>,
    /// What the values take with their keys, as they count towards the limit.
    bytes: usize,
    /// What all of this takes in memory.
    charge: Charge,
}

/// One value.
#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// Whether the key was there before this collection. Once another is removed there is nothing of it to be remembered.
    found: bool,
    /// Whether the value is to be kept.
    changed: bool,
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
    /// They stay charged until they are kept.
    _charge: Charge,
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
    pub(super) fn new(account: &Account) -> Self {
        Self { values: None, removed: BTreeSet::new(), bytes: 0, charge: account.nothing() }
    }

    /// What there is to be kept, if anything.
    pub(super) fn into_changes(self, assignment: &Arc<Assignment>) -> Option<StateChanges> {
        let changed = self.values.unwrap_or_default().into_iter().filter(|(_, entry)| entry.changed);
        let removed = self.removed.into_iter().map(|key| (key, None));
        let changes: Changes = removed.chain(changed.map(|(key, entry)| (key, Some(entry.value)))).collect();
        let charge = self.charge;
        (!changes.is_empty()).then(|| StateChanges { assignment: Arc::clone(assignment), changes, _charge: charge })
    }

    /// Charges what is kept in memory, when so many bytes come along.
    fn grow(&mut self, more: usize) -> Result<(), LimitReached> {
        let entries = self.values.as_ref().map_or(0, BTreeMap::len).saturating_add(1).saturating_mul(IN_MEMORY);
        let removed = self.removed.len().saturating_mul(IN_MEMORY.saturating_add(MAX_KEY));
        self.charge.resize([entries, removed, self.bytes, more].into_iter().fold(0, usize::saturating_add))
    }
}

impl Host {
    /// The values as they are now. Loads them the first time.
    async fn values(&mut self) -> wasmtime::Result<&mut BTreeMap<String, Entry>> {
        if self.state.values.is_none() {
            let loaded = self.assignment.state.load(&self.assignment.agent.program).await?;
            self.state.bytes = loaded.iter().map(|(key, value)| size(key, value)).fold(0, usize::saturating_add);
            let entry = |(key, value)| (key, Entry { value, found: true, changed: false });
            self.state.values = Some(loaded.into_iter().map(entry).collect());
            self.state.grow(0)?;
        }
        Ok(self.state.values.get_or_insert_default())
    }
}

/// What a value counts.
fn size(key: &str, value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(STATE_ENTRY)
}

impl wit::Host for Host {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let value = self.values().await?.get(&key).map(|entry| entry.value.clone());
        self.hand_over(value.as_ref().map_or(0, Vec::len))?;
        Ok(value)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), wit::Error>> {
        if key.is_empty() || key.len() > MAX_KEY {
            let why = format!("the key has {} bytes, and may have 1 to {MAX_KEY}", key.len());
            return Ok(Err(wit::Error::Invalid(why)));
        }
        let limit = self.assignment.limits.state_bytes;
        let before = self.values().await?.get(&key);
        if before.is_some_and(|before| before.value == value) {
            return Ok(Ok(()));
        }
        let replaced = before.map_or(0, |before| size(&key, &before.value));
        let grown = self.state.bytes.saturating_sub(replaced).saturating_add(size(&key, &value));
        if grown > limit {
            let reached = LimitReached::of_bytes("what a program keeps", limit, "state_bytes");
            return Ok(Err(wit::Error::Quota(self.reached.say(reached).to_string())));
        }
        self.state.grow(value.len().saturating_add(key.len()))?;
        self.state.bytes = grown;
        let was_removed = self.state.removed.remove(&key);
        let values = self.values().await?;
        let found = was_removed || values.get(&key).is_some_and(|before| before.found);
        values.insert(key, Entry { value, found, changed: true });
        self.state.grow(0)?;
        Ok(Ok(()))
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        if let Some(removed) = self.values().await?.remove(&key) {
            self.state.bytes = self.state.bytes.saturating_sub(size(&key, &removed.value));
            if removed.found {
                self.state.removed.insert(key);
            }
            self.state.grow(0)?;
        }
        Ok(())
    }

    async fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        // Text in the order of its bytes, as the map has it.
        let keys: Vec<String> = self.values().await?.keys().cloned().collect();
        let texts = keys.iter().map(String::capacity).fold(0, usize::saturating_add);
        self.hand_over(keys.capacity().saturating_mul(size_of::<String>()).saturating_add(texts))?;
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use pattoo_fetch as http;
    use pattoo_measurement::{Agent, PollingInterval};
    use pattoo_modbus::Endpoints;

    use super::{Host, STATE_ENTRY, wit, wit::Host as _};
    use crate::{
        capability::{Assignment, Limits, modbus::Devices},
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
            sinks: Arc::new(pattoo_measurement::Collected::default()),
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
        let assignment = assignment(&folder.path().join("state.sqlite3"), 1000);
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
        let left = host.state.values.as_ref().map(std::collections::BTreeMap::len);
        assert_eq!((left, host.state.removed.len(), host.state.bytes), (Some(0), 1, 0));
        host.finish().state.unwrap().keep().await.unwrap();
        assert!(Host::new(assignment).keys().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn keys_and_values_together_stay_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        // One key of a byte and a value of 99, and what each value counts beside that.
        let mut host = Host::new(assignment(&folder.path().join("state.sqlite3"), 100 + STATE_ENTRY));
        host.set("k".into(), vec![0; 99]).await.unwrap().unwrap();
        let error = host.set("l".into(), Vec::new()).await.unwrap().unwrap_err();
        assert!(matches!(&error, wit::Error::Quota(text) if text.contains("228 B")), "{error:?}");
        host.set("k".into(), vec![1; 99]).await.unwrap().unwrap();
        assert!(host.set("k".into(), vec![1; 100]).await.unwrap().is_err());
        host.remove("k".into()).await.unwrap();
        host.set("m".into(), vec![0; 99]).await.unwrap().unwrap();
        for key in [String::new(), "k".repeat(256)] {
            assert!(matches!(host.set(key, Vec::new()).await.unwrap(), Err(wit::Error::Invalid(_))));
        }
    }

    #[tokio::test]
    async fn many_tiny_values_take_no_more_on_disk_than_a_few_times_the_limit() {
        const LIMIT: usize = 256 << 10;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite3");
        let mut host = Host::new(assignment(&path, LIMIT));
        let mut kept = 0;
        while host.set(format!("{kept:x}"), Vec::new()).await.unwrap().is_ok() {
            kept += 1;
        }
        assert!(kept > 1_000, "{kept}");
        host.finish().state.unwrap().keep().await.unwrap();
        let on_disk: u64 =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(on_disk < 3 * LIMIT as u64, "{on_disk} bytes on disk for {kept} values");
    }

    #[tokio::test]
    async fn state_ends_the_collection_when_it_takes_more_of_the_hosts_memory_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let assignment = assignment(&folder.path().join("state.sqlite3"), 64 << 20);
        let limits = Limits { host_memory: 2 << 20, ..assignment.limits.clone() };
        let mut host = Host::new(Arc::new(Assignment { limits, ..Arc::try_unwrap(assignment).unwrap() }));
        let mut at_most = 0..100;
        let ended = loop {
            let number = at_most.next().expect("it ends before");
            if let Err(error) = host.set(format!("{number}"), vec![0; 100_000]).await {
                break error;
            }
        };
        assert_eq!(ended.downcast_ref::<crate::capability::LimitReached>().unwrap().setting, "host_memory");
        assert!(host.account.held() <= 2 << 20, "{}", host.account.held());
    }
}
