//! What a collection was refused for want of a grant.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// What an operator would have to grant for a call that was refused.
///
/// Ordered, so that a report lists each only once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// What was refused, in words.
    pub what: String,
    /// The flag of `pattoo-wasm run` that grants it, where a flag can say it.
    pub flag: Option<String>,
    /// The lines under `grants:` that grant it, where anything can.
    pub line: Option<String>,
}

/// How many different refused calls of one collection are remembered for its report.
const MAX_DENIALS: usize = 20;

/// The refused calls of one collection. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denials(Arc<Mutex<BTreeSet<Denial>>>);

impl Denials {
    /// Remembers a refused call, if it is not one too many.
    pub(super) fn add(&self, denial: Denial) {
        let mut denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if denials.len() < MAX_DENIALS {
            denials.insert(denial);
        }
    }

    /// What was remembered.
    pub(super) fn take(&self) -> BTreeSet<Denial> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
