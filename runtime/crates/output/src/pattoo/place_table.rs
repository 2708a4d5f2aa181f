//! A hash table of positions in a text or list of the caller.

use hashbrown::HashTable;

/// Finds the position of an item by its hash. The caller compares the items.
///
/// Hashes must have a random key, because collectors choose what is hashed.
#[derive(Debug, Default)]
pub(super) struct PlaceTable(HashTable<Slot>);

/// Eight bytes. Half of a hash is enough to tell items apart, and to grow the table without hashing
/// again.
#[derive(Debug, Clone, Copy)]
struct Slot {
    half: u32,
    place: u32,
}

impl Slot {
    /// A hash of 64 bits for the table, which uses bits of both ends.
    fn hash(self) -> u64 {
        u64::from(self.half) << 32 | u64::from(self.half)
    }
}

/// The half of a hash that is kept.
fn half(hash: u64) -> u32 {
    let [upper @ .., _, _, _, _] = hash.to_be_bytes();
    u32::from_be_bytes(upper)
}

impl PlaceTable {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The place with this hash for which `is` returns true.
    pub(super) fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let wanted = Slot { half: half(hash), place: 0 };
        let index = |slot: &Slot| usize::try_from(slot.place).ok();
        let same = |slot: &Slot| slot.half == wanted.half && index(slot).is_some_and(&is);
        self.0.find(wanted.hash(), same).and_then(index)
    }

    /// Adds a place. A place of more than 32 bits is left out, and is not found.
    pub(super) fn insert(&mut self, hash: u64, place: usize) {
        let Ok(place) = u32::try_from(place) else { return };
        let slot = Slot { half: half(hash), place };
        self.0.insert_unique(slot.hash(), slot, |slot| slot.hash());
    }

    /// Reserves memory for `more` places.
    pub(super) fn expect(&mut self, more: usize) {
        self.0.reserve(more, |slot| slot.hash());
    }

    /// Its size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_with_the_same_hash_are_told_apart() {
        let mut table = PlaceTable::new();
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
