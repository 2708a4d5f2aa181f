//! `pattoo:agent/state`: values that survive from one collection to the next.
//!
//! A collection works on what was there when it first asked. What it changes stays here until the
//! collection has ended well and its datapoints are safe: then [`StateChanges::keep`] writes all of
//! it at once. A collection that fails or is stopped changes nothing. Of two collections of one
//! program at the same time (a command beside a daemon) each key has the value of the one that
//! ended last.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pattoo_base::invariant::Invariant as _;
use pattoo_settings::{
    MIB, Quantity,
    convert::{narrow, widen},
    quantity,
};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use super::{
    Account, Assignment, AssignmentBuilder, Capability, CapabilityDefinition, Charge, Context, GrantError, Host,
    HostView, Interface, LimitReached, Power, bindings::pattoo::agent::state as wit,
};
use crate::state_store::{Changes, StateError, StateStore};

/// What is reached with it.
pub(super) static POWER: Power = Power { what: "state", does: "stores its own values for later collections" };

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&POWER),
    limits: LIMITS,
    ..CapabilityDefinition::new(
        "state",
        &[Interface::ours(
            "pattoo:agent/state",
            Some(&POWER),
            "stores values for later collections",
            include_str!("../../../../../../wit/state.wit"),
        )],
    )
};

/// How much a program may keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLimits {
    /// Bytes of all keys and values that the program keeps, and [`STATE_ENTRY`] for each of them.
    pub bytes: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20 }
    }
}

static LIMITS: &[Quantity<super::CollectionLimits>] = &[quantity!(
    "state_bytes",
    "bytes of the keys and values that a program stores, plus 128 for each",
    Size,
    0,
    64 * MIB,
    state.bytes,
    widen,
    narrow
)];

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// What each value takes beside its key and itself: its row and its index entry on disk, its nodes
/// in memory. It counts towards the limit, or a program could keep hundreds of thousands of keys of
/// a byte.
pub const STATE_ENTRY: usize = 128;
/// What an entry takes in the host's memory beside its texts.
const IN_MEMORY: usize = 256;

/// One collection's view of its program's values.
#[derive(Debug)]
pub struct State {
    /// As they are now, if they were asked for.
    values: Option<BTreeMap<String, StateEntry>>,
    /// The keys that were there and are removed.
    removed: BTreeSet<String>,
    /// What the values take with their keys, as they count towards the limit.
    bytes: usize,
    /// What all of this takes in memory.
    charge: Charge,
}

/// One value.
#[derive(Debug)]
struct StateEntry {
    value: Vec<u8>,
    /// Whether the key was there before this collection. Once another is removed there is nothing
    /// of it to be remembered.
    found: bool,
    /// Whether the value is to be kept.
    changed: bool,
}

/// What a collection that ended well wants to be kept.
///
/// Keep it once the collection's body is safe. If the process dies in between, the next collection
/// repeats from the values before; the other way round it would go on from a place whose
/// measurements were lost.
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
        self.assignment.resources.state.keep(&self.assignment.agent.program, self.changes).await
    }
}

impl Capability for State {
    type Grant = ();
    type Limits = StateLimits;
    type Resource = StateStore;
    type Shared = ();
    type Requested = ();

    fn resource(assignment: &AssignmentBuilder, (): &()) -> Result<StateStore, GrantError> {
        Ok(assignment.state.clone())
    }

    fn begin(context: &Context) -> Self {
        Self::new(&context.account)
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl State {
    fn new(account: &Account) -> Self {
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

    /// What the values take without one that takes so much.
    fn without(&self, value: usize) -> usize {
        self.bytes.checked_sub(value).or_broken("what is counted of the state holds each of its values", 0)
    }

    /// Charges what is kept in memory, when so many bytes come along.
    fn grow(&mut self, more: usize) -> Result<(), LimitReached> {
        let entries = self.values.as_ref().map_or(0, BTreeMap::len).saturating_add(1).saturating_mul(IN_MEMORY);
        let removed = self.removed.len().saturating_mul(IN_MEMORY.saturating_add(MAX_KEY));
        self.charge.resize([entries, removed, self.bytes, more].into_iter().fold(0, usize::saturating_add))
    }
}

/// What a value counts.
fn size(key: &str, value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(STATE_ENTRY)
}

/// Why a value is not set.
pub(super) enum Unset {
    /// The key cannot be one.
    Invalid(String),
    /// There would be too much.
    Quota(LimitReached),
}

impl Host {
    /// The values as they are now. Loads them the first time.
    async fn values(&mut self) -> wasmtime::Result<&mut BTreeMap<String, StateEntry>> {
        let state = &mut self.capabilities.state;
        if state.values.is_none() {
            let assignment = &self.context.assignment;
            let loaded = assignment.resources.state.load(&assignment.agent.program).await?;
            state.bytes = loaded.iter().map(|(key, value)| size(key, value)).fold(0, usize::saturating_add);
            let entry = |(key, value)| (key, StateEntry { value, found: true, changed: false });
            state.values = Some(loaded.into_iter().map(entry).collect());
            state.grow(0)?;
        }
        Ok(state.values.get_or_insert_default())
    }

    /// The value of a key, charged to what a call returns.
    pub(super) async fn state_value(&mut self, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        let size = self.state_size(key).await?;
        self.hand_over(size.unwrap_or(0))?;
        self.state_copy(key).await
    }

    /// How many bytes the value of a key has, if there is one.
    pub(super) async fn state_size(&mut self, key: &str) -> wasmtime::Result<Option<usize>> {
        Ok(self.values().await?.get(key).map(|entry| entry.value.len()))
    }

    /// A copy of the value of a key, which the caller charges.
    pub(super) async fn state_copy(&mut self, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.values().await?.get(key).map(|entry| entry.value.clone()))
    }

    /// Sets a value.
    pub(super) async fn set_state(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Unset>> {
        if key.is_empty() || key.len() > MAX_KEY {
            let why = format!("the key has {} bytes, and 1 to {MAX_KEY} are allowed", key.len());
            return Ok(Err(Unset::Invalid(why)));
        }
        let limit = self.context.assignment.limits.state.bytes;
        let before = self.values().await?.get(&key);
        if before.is_some_and(|before| before.value == value) {
            return Ok(Ok(()));
        }
        let replaced = before.map_or(0, |before| size(&key, &before.value));
        let grown = self.capabilities.state.without(replaced).saturating_add(size(&key, &value));
        if grown > limit {
            let reached = LimitReached::of_bytes("the state of a program", limit, "state_bytes");
            return Ok(Err(Unset::Quota(self.context.reached.say(reached))));
        }
        let state = &mut self.capabilities.state;
        state.grow(value.len().saturating_add(key.len()))?;
        state.bytes = grown;
        let was_removed = state.removed.remove(&key);
        let values = self.values().await?;
        let found = was_removed || values.get(&key).is_some_and(|before| before.found);
        values.insert(key, StateEntry { value, found, changed: true });
        self.capabilities.state.grow(0)?;
        Ok(Ok(()))
    }

    /// Removes a value, if it is there.
    pub(super) async fn remove_state(&mut self, key: String) -> wasmtime::Result<()> {
        if let Some(removed) = self.values().await?.remove(&key) {
            let state = &mut self.capabilities.state;
            state.bytes = state.without(size(&key, &removed.value));
            if removed.found {
                state.removed.insert(key);
            }
            state.grow(0)?;
        }
        Ok(())
    }

    /// All keys in the order of their bytes, charged to what a call returns.
    pub(super) async fn state_keys(&mut self) -> wasmtime::Result<Vec<String>> {
        let keys: Vec<String> = self.values().await?.keys().cloned().collect();
        let texts = keys.iter().map(String::capacity).fold(0, usize::saturating_add);
        self.hand_over(keys.capacity().saturating_mul(size_of::<String>()).saturating_add(texts))?;
        Ok(keys)
    }
}

impl wit::Host for Host {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.state_value(&key).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(self.set_state(key, value).await?.map_err(|unset| match unset {
            Unset::Invalid(why) => wit::Error::Invalid(why),
            Unset::Quota(reached) => wit::Error::Quota(reached.to_string()),
        }))
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        self.remove_state(key).await
    }

    async fn keys(&mut self) -> wasmtime::Result<Vec<String>> {
        self.state_keys().await
    }
}
#[cfg(test)]
mod tests;
