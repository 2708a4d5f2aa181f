//! What a collector's series are remembered in from one collection to the next: see [`super::series`].
//!
//! It saves time and decides nothing: whatever is forgotten is computed again. So it has bounds, one for each collector and one
//! for all of them, and what does not fit is forgotten as a whole.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use pattoo_measurement::Agent;

use super::series::Series;

/// How many bytes the memories of all collectors may take together.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// This many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// What is usual, or a sixteenth of what there is for everything, if that is less.
    pub fn within(bytes: u64) -> Self {
        Self::new(usize::try_from(bytes / 16).unwrap_or(usize::MAX).min(Self::USUAL))
    }

    /// 128 MiB: about a million series.
    const USUAL: usize = 128 << 20;

    /// What nobody has taken.
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Option<Taken> {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Taken { budget: self.clone(), bytes })
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::USUAL)
    }
}

/// A share of a budget, given back when it is dropped.
#[derive(Debug)]
struct Taken {
    budget: Budget,
    bytes: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// The memory of one collector. Clones are the same memory.
#[derive(Debug, Clone)]
pub struct Memory {
    budget: Budget,
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    agent: Arc<Agent>,
    remembered: Remembered,
    _taken: Taken,
}

/// What is remembered of a collection.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The series of each target.
    pub(super) series: HashMap<String, Series>,
    /// How long the text of all pairs was.
    pub(super) pairs: usize,
    /// What the series hold in memory.
    pub(super) bytes: usize,
}

/// What the series of one target hold in memory, with its name.
pub(super) fn remembered_bytes(name: &str, series: &Series) -> usize {
    name.len().saturating_add(mem::size_of::<(String, Series)>()).saturating_add(series.bytes())
}

impl Memory {
    /// The most that one collector may take of the budget, in bytes.
    pub const MAX_BYTES: usize = 32 << 20;

    /// An empty one, within `budget`.
    pub fn new(budget: &Budget) -> Self {
        Self { budget: budget.clone(), kept: Arc::default() }
    }

    /// Takes out what is remembered of this agent. Nothing is, while another collection has it.
    pub(super) fn take(&self, agent: &Arc<Agent>) -> Remembered {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Its host name or its id are part of every checksum.
        kept.filter(|kept| kept.agent == *agent).map(|kept| kept.remembered).unwrap_or_default()
    }

    /// Remembers the targets of a collection that ended, if there is room.
    pub(super) fn keep(&self, agent: &Arc<Agent>, targets: impl Iterator<Item = (String, Series)>, pairs: usize) {
        let series: HashMap<_, _> =
            targets.filter_map(|(name, mut series)| series.next_round().then_some((name, series))).collect();
        let bytes = series.iter().map(|(name, series)| remembered_bytes(name, series)).fold(0, usize::saturating_add);
        let taken = (bytes <= Self::MAX_BYTES).then(|| self.budget.take(bytes)).flatten();
        let kept = taken.map(|taken| Kept {
            agent: Arc::clone(agent),
            remembered: Remembered { series, pairs, bytes },
            _taken: taken,
        });
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

impl Default for Memory {
    /// One with a budget of its own.
    fn default() -> Self {
        Self::new(&Budget::default())
    }
}
