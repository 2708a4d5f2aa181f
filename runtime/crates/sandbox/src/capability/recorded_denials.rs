//! What a collection was refused for want of a grant.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use pattoo_base::{lock::lock, text::one_line};

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
/// The most bytes of each text of one: a guest decides about paths and names in it, and each is a
/// line of the log.
const MAX_TEXT: usize = 512;

/// The refused calls of one collection. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denials(Arc<Mutex<BTreeSet<Denial>>>);

impl Denials {
    /// Remembers a refused call, if it is not one too many. What is too long is cut, and then
    /// nothing is said that would grant it: a part of a path grants something else.
    pub(super) fn add(&self, denial: Denial) {
        let mut denials = lock(&self.0);
        if denials.len() < MAX_DENIALS {
            let short = |text: &String| text.len() <= MAX_TEXT;
            denials.insert(Denial {
                what: one_line(&denial.what, MAX_TEXT),
                flag: denial.flag.filter(short),
                line: denial.line.filter(short),
            });
        }
    }

    /// What was remembered.
    pub(super) fn take(&self) -> BTreeSet<Denial> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Denial, Denials, MAX_DENIALS};

    #[test]
    fn denials_take_little_memory_whatever_is_denied() {
        let denials = Denials::default();
        for number in 0..100 {
            let long = format!("{number}{}", "x".repeat(100_000));
            denials.add(Denial { what: long.clone(), flag: Some(long.clone()), line: Some(long) });
        }
        let kept = denials.take();
        assert_eq!(kept.len(), MAX_DENIALS);
        assert!(kept.iter().all(|denial| denial.what.len() < 600 && denial.flag.is_none() && denial.line.is_none()));
    }
}
