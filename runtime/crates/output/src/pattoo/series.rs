//! The series of one target: which datapoints it had, and their checksums.
//!
//! A checksum is a chain of five hashes and more, and a collector emits the same series over and over. So a series is known
//! by what its checksum is made of (data type, key, identifying metadata), written down in full and compared in full; a
//! checksum is taken from here only for exactly that. The same list tells duplicates within one collection.
//!
//! As a rule a collector emits in the same order each time, so the place after the last one found is looked at first, and
//! for such a collector no table is asked at all.

use std::hash::{BuildHasher as _, RandomState};

use super::{checksum::Checksum, datapoint::Datapoint, table::Table, value::DataType};
use crate::json::make_room;

/// What is known of one target's series.
#[derive(Debug)]
pub(super) struct Series {
    /// Counts the collections.
    round: u32,
    /// How many there were before this one began.
    known: usize,
    /// How many were found or added in this one.
    live: usize,
    /// What each checksum is made of, one after another.
    text: Vec<u8>,
    entries: Vec<Entry>,
    /// Where the next one is looked for.
    cursor: usize,
    /// Places of the first `indexed` entries by their text: only for collectors that change their order. Counted from 1.
    by_text: Table,
    indexed: usize,
    /// Places of all entries by their checksum. Counted from 1.
    by_checksum: Table,
    /// Keyed at random: guests choose what is hashed.
    hasher: RandomState,
}

/// One series.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its part of the text begins; it ends where that of the next one begins. (Beyond four thousand million bytes there is none: such
    /// a series is computed each time.)
    start: u32,
    checksum: Checksum,
    /// The collection that had it last.
    round: u32,
}

/// What came of looking for a datapoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is the first of its series in this collection.
    Fresh(Checksum),
    /// The collection has one of this series.
    Duplicate,
}

impl Series {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            round: 1,
            known: 0,
            live: 0,
            text: Vec::new(),
            entries: Vec::new(),
            cursor: 0,
            by_text: Table::new(),
            indexed: 0,
            by_checksum: Table::new(),
            hasher: RandomState::new(),
        }
    }

    /// The next collection begins. `false` when more of this is about series that are gone than about others.
    pub(super) fn next_round(&mut self) -> bool {
        let worth_keeping = self.live.saturating_mul(2) >= self.entries.len();
        self.round = self.round.wrapping_add(1);
        (self.known, self.live, self.cursor) = (self.entries.len(), 0, 0);
        worth_keeping
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let entries = self.entries.capacity().saturating_mul(size_of::<Entry>());
        let tables = self.by_text.bytes().saturating_add(self.by_checksum.bytes());
        size_of::<Self>().saturating_add(self.text.capacity()).saturating_add(entries).saturating_add(tables)
    }

    /// Makes room for so many more, unless they are as likely to be known.
    pub(super) fn expect(&mut self, more: usize) {
        if self.known == 0 {
            make_room(&mut self.entries, more);
            self.by_checksum.expect(more);
        }
    }

    /// Looks for a datapoint's series among those of the collection before.
    pub(super) fn place_of(&mut self, point: &Datapoint) -> Option<usize> {
        if self.known == 0 {
            return None;
        }
        let start = self.write(point);
        let place = self.place_of_text(start);
        self.text.truncate(start);
        if let Some(place) = place {
            self.cursor = place.saturating_add(1);
        }
        place
    }

    /// Counts a datapoint in whose series is at this place.
    pub(super) fn find(&mut self, place: usize) -> Found {
        match self.entries.get_mut(place) {
            Some(entry) if entry.round != self.round => {
                entry.round = self.round;
                self.live = self.live.saturating_add(1);
                Found::Fresh(entry.checksum)
            }
            _ => Found::Duplicate,
        }
    }

    /// Counts a datapoint in whose series was in none of these places. Another series can have its checksum.
    pub(super) fn add(&mut self, point: &Datapoint, checksum: Checksum) -> Found {
        let hash = self.hasher.hash_one(checksum.head());
        let same = |number: usize| self.entry(number).is_some_and(|entry| entry.checksum == checksum);
        if let Some(number) = self.by_checksum.find(hash, same) {
            return self.find(number.saturating_sub(1));
        }
        let start = self.write(point);
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        // (Four thousand million series of one target are more than any memory holds.)
        self.by_checksum.insert(hash, self.entries.len().saturating_add(1));
        make_room(&mut self.entries, 1);
        self.entries.push(Entry { start, checksum, round: self.round });
        self.live = self.live.saturating_add(1);
        Found::Fresh(checksum)
    }

    /// Writes what a datapoint's checksum is made of behind all else; returns where that begins.
    fn write(&mut self, point: &Datapoint) -> usize {
        make_room(&mut self.text, 128);
        let start = self.text.len();
        write(&mut self.text, point);
        start
    }

    /// The place of the entry that was known before this collection and has the text from `start` on.
    fn place_of_text(&mut self, start: usize) -> Option<usize> {
        let (listed, wanted) = self.text.split_at_checked(start)?;
        let start_of = |place: usize| self.entries.get(place).map(|entry| index(entry.start));
        let text_at =
            |place: usize| listed.get(start_of(place)?..start_of(place.saturating_add(1)).unwrap_or(listed.len()));
        if self.cursor < self.known && text_at(self.cursor) == Some(wanted) {
            return Some(self.cursor);
        }
        for place in self.indexed..self.known {
            self.by_text.insert(self.hasher.hash_one(text_at(place).unwrap_or_default()), place.saturating_add(1));
        }
        self.indexed = self.known;
        let is = |number: usize| text_at(number.saturating_sub(1)) == Some(wanted);
        self.by_text.find(self.hasher.hash_one(wanted), is).map(|number| number.saturating_sub(1))
    }

    fn entry(&self, number: usize) -> Option<&Entry> {
        self.entries.get(number.checked_sub(1)?)
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// What a datapoint's checksum is made of, but for what all of its target share. The parts end with a byte that is in no text.
fn write(out: &mut Vec<u8>, point: &Datapoint) {
    const END: u8 = 0xff;
    out.push(DataType::of(&point.value).number());
    let parts = point.identifying().flat_map(|metadatum| [metadatum.key.as_str(), metadatum.value.as_str()]);
    for part in std::iter::once(point.key.as_str()).chain(parts) {
        out.extend_from_slice(part.as_bytes());
        out.push(END);
    }
}
