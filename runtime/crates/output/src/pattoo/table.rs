//! A table of numbers by hashes, for bodies that do not fit into the caches: a question costs one miss, and even that can be had
//! in advance.
//!
//! Linear probing. Half of a slot is the upper half of a hash, half is the number; so it grows without asking anybody for a hash. The
//! hashes are to be keyed at random, since guests choose what is hashed.

/// Numbers by hashes. None is 0.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two of them.
    slots: Vec<u64>,
    used: usize,
}

impl Table {
    const FEWEST: usize = 16;

    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), used: 0 }
    }

    /// The place of this hash that is the right one.
    pub(super) fn find(&self, hash: u64, right: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            match *self.slots.get(at)? {
                0 => return None,
                slot if slot >> 32 == hash >> 32 => {
                    let place = usize::try_from(slot & 0xffff_ffff).ok().filter(|place| right(*place));
                    if place.is_some() {
                        return place;
                    }
                }
                _ => {}
            }
            at = self.after(at);
        }
    }

    /// Enters a number. 0 and what has more than 32 bits is left out, and will not be found.
    pub(super) fn insert(&mut self, hash: u64, place: usize) {
        let Some(place) = u32::try_from(place).ok().filter(|place| *place > 0) else { return };
        if self.used.saturating_mul(4) >= self.slots.len().saturating_mul(3) {
            self.grow(self.slots.len().saturating_mul(2));
        }
        self.put(hash >> 32 << 32 | u64::from(place));
        self.used = self.used.saturating_add(1);
    }

    /// Has the memory where this hash is looked for fetched, which takes a while; nobody waits for it.
    pub(super) fn fetch(&self, hash: u64) {
        #[cfg(target_arch = "x86_64")]
        if let Some(slot) = self.slots.get(self.home(hash)) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            #[expect(unsafe_code, reason = "a hint to the processor: it reads nothing that the program could see")]
            // SAFETY: the address is that of a live slot, and a prefetch is allowed to any address.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(slot).cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = hash;
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity().saturating_mul(size_of::<u64>())
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(slot);
        while let Some(there) = self.slots.get_mut(at) {
            if *there == 0 {
                *there = slot;
                return;
            }
            at = self.after(at);
        }
    }

    /// Makes room for so many more.
    pub(super) fn expect(&mut self, more: usize) {
        let wanted = self.used.saturating_add(more).saturating_mul(4).div_ceil(3).next_power_of_two();
        if wanted > self.slots.len() {
            self.grow(wanted);
        }
    }

    /// In order of the old slots, so that old and new are both walked from front to back.
    fn grow(&mut self, slots: usize) {
        let more = vec![0; slots.max(Self::FEWEST)];
        for slot in std::mem::replace(&mut self.slots, more) {
            if slot != 0 {
                self.put(slot);
            }
        }
    }

    /// Where a hash belongs: its uppermost bits, of which the slots have 32.
    fn home(&self, hash: u64) -> usize {
        let bits = self.slots.len().trailing_zeros().min(32);
        usize::try_from(hash >> 32 >> 32_u32.saturating_sub(bits)).unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_whose_hashes_are_the_same_are_told_apart() {
        let mut table = Table::new();
        for place in 1..=200 {
            table.insert(u64::MAX, place);
        }
        for place in 1..=200 {
            assert_eq!(table.find(u64::MAX, |found| found == place), Some(place));
        }
        assert_eq!(table.find(u64::MAX, |_| false), None);
        assert_eq!(table.find(0, |_| true), None);
    }
}
