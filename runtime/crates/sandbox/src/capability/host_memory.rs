//! The host memory of one collection: one account, in bytes.
//!
//! Whatever the host keeps for a guest outside the guest's own linear memory is charged here before
//! it is kept: datapoints, the handles of `wasi:http`, requests and responses under way, state,
//! denials, tables. A quota that counts things lets a guest choose how large the things are; this
//! one counts bytes. What exceeds [`CollectionLimits::host_memory`] ends the collection.
//!
//! What is not charged lives only while one call is under way and is bounded by
//! [`CollectionLimits::call_bytes`]: the arguments that the engine copies out of the guest's memory.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{CollectionLimits, LimitReached};

/// What one open handle takes at most beside its text: its entry in the tables, and what a library
/// keeps in it (a pollable, a stream, a request without text). All handles that there may be are
/// charged from the start, since libraries open them by themselves.
const HANDLE: usize = 512;

/// The account of one collection. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// Bytes that are held, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the bytes back"]
pub struct Charge {
    account: Account,
    bytes: usize,
}

impl Account {
    /// An account that holds nothing but room for the handles that may be open.
    pub(crate) fn new(limits: &CollectionLimits) -> Self {
        // An operator who allows very many handles has to raise this limit too: half of it is for
        // what else there is.
        let handles = limits.resources.saturating_mul(HANDLE).min(limits.host_memory / 2);
        Self(Arc::new(Inner {
            limit: limits.host_memory,
            held: AtomicUsize::new(handles),
            peak: AtomicUsize::new(handles),
        }))
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// The most bytes held at any moment.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// Holds so many bytes.
    ///
    /// # Errors
    ///
    /// When the account then held more than its limit. It holds what it held before.
    pub fn charge(&self, bytes: usize) -> Result<Charge, LimitReached> {
        let mut charge = self.nothing();
        charge.resize(bytes)?;
        Ok(charge)
    }

    /// A charge of nothing yet.
    pub(crate) fn nothing(&self) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }

    fn grow(&self, bytes: usize) -> Result<(), LimitReached> {
        let Inner { limit, held, peak } = &*self.0;
        let grown = |held: usize| held.checked_add(bytes).filter(|sum| sum <= limit);
        match held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(before) => {
                peak.fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(LimitReached::of_bytes("the host's memory for one collection", *limit, "host_memory")),
        }
    }
}

impl Charge {
    /// Holds this many bytes instead.
    ///
    /// # Errors
    ///
    /// When the account then held more than its limit. This holds what it held before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), LimitReached> {
        match self.bytes.checked_sub(bytes) {
            Some(fewer) => self.release(fewer),
            None => self.account.grow(bytes.saturating_sub(self.bytes))?,
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds so many bytes more.
    ///
    /// # Errors
    ///
    /// As [`resize`](Self::resize).
    pub fn add(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.resize(self.bytes.saturating_add(bytes))
    }

    /// Holds what another charge of the same account holds as well.
    pub fn absorb(&mut self, mut other: Self) {
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
    }

    fn release(&self, bytes: usize) {
        self.account.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

/// What the handles of one collection hold, by their numbers.
#[derive(Debug, Default)]
pub(in crate::capability) struct Handles(HashMap<u32, Charge>);

impl Handles {
    /// A handle holds this many bytes from now on, beside those of [`HANDLE`].
    pub(super) fn hold(&mut self, account: &Account, handle: u32, bytes: usize) -> Result<(), LimitReached> {
        if let Some(charge) = self.0.get_mut(&handle) {
            return charge.resize(bytes);
        }
        if bytes > 0 {
            self.0.insert(handle, account.charge(bytes)?);
        }
        Ok(())
    }

    /// A handle is gone.
    pub(super) fn release(&mut self, handle: u32) {
        self.0.remove(&handle);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Account, Handles};
    use crate::capability::CollectionLimits;

    fn account(bytes: usize) -> Account {
        Account::new(&CollectionLimits { host_memory: bytes, resources: 0, ..CollectionLimits::default() })
    }

    #[test]
    fn what_exceeds_the_limit_is_refused_and_holds_nothing() {
        let account = account(100);
        let mut first = account.charge(60).unwrap();
        assert_eq!(account.charge(41).unwrap_err().setting, "host_memory");
        assert_eq!(account.held(), 60);
        first.resize(100).unwrap();
        assert!(first.add(1).is_err());
        drop(first);
        assert_eq!((account.held(), account.peak()), (0, 100));
    }

    proptest! {
        /// However handles come, change and go, the account is the sum of what they hold, and never
        /// above its limit.
        #[test]
        fn account_is_the_sum_of_what_is_held(steps in proptest::collection::vec((0u32..8, 0usize..60), 0..200)) {
            let (account, mut handles) = (account(200), Handles::default());
            let mut model = [0; 8];
            for (handle, bytes) in steps {
                let slot = usize::try_from(handle).unwrap();
                if bytes < 10 {
                    handles.release(handle);
                    model[slot] = 0;
                } else if handles.hold(&account, handle, bytes).is_ok() {
                    model[slot] = bytes;
                }
                let sum: usize = model.iter().sum();
                prop_assert_eq!(account.held(), sum);
                prop_assert!(sum <= 200);
            }
            drop(handles);
            prop_assert_eq!(account.held(), 0);
        }
    }
}
