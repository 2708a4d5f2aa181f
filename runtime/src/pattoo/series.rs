//! The series of one target: which datapoints it had, and their checksums.
//!
//! A checksum is a chain of five hashes and more, and a collector emits the same series over and over. So a series is known
//! by what its checksum is made of (data type, key, identifying metadata), written down in full and compared in full; a
//! checksum is taken from here only for exactly that. The same list tells duplicates within one collection.
//!
//! As a rule a collector emits in the same order each time, so the place after the last one found is looked at first, and
//! for such a collector no table is asked at all.

use std::hash::{BuildHasher as _, RandomState};

use super::{checksum::Checksum, datapoint::Datapoint, table::Table, text::make_room};

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
    /// How long the text of the target's rows was in the collection before.
    pub(super) rows: usize,
}

/// One series.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its part of the text. (Beyond four thousand million bytes there is none: such a series is computed each time.)
    start: u32,
    end: u32,
    checksum: Checksum,
    /// The collection that had it last.
    round: u32,
}

impl Entry {
    /// What its checksum is made of.
    fn text<'a>(&self, all: &'a [u8]) -> Option<&'a [u8]> {
        all.get(index(self.start)..index(self.end))
    }
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
            rows: 0,
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

    /// The checksum of a datapoint, from `compute` unless it is known.
    pub(super) fn find(&mut self, point: &Datapoint, compute: impl FnOnce() -> Checksum) -> Found {
        make_room(&mut self.text, 128);
        let start = self.text.len();
        write(&mut self.text, point);
        if let Some(place) = self.place_of(start) {
            self.text.truncate(start);
            self.cursor = place.saturating_add(1);
            return self.mark(place);
        }
        let checksum = compute();
        let hash = self.hasher.hash_one(checksum.head());
        let same = |number: usize| self.entry(number).is_some_and(|entry| entry.checksum == checksum);
        if let Some(number) = self.by_checksum.find(hash, same) {
            self.text.truncate(start);
            return self.mark(number.saturating_sub(1));
        }
        let [start, end] = [start, self.text.len()].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        // (Four thousand million series of one target are more than any memory holds.)
        self.by_checksum.insert(hash, self.entries.len().saturating_add(1));
        make_room(&mut self.entries, 1);
        self.entries.push(Entry { start, end, checksum, round: self.round });
        self.live = self.live.saturating_add(1);
        Found::Fresh(checksum)
    }

    /// The place of the entry that was known before this collection and has the text from `start` on.
    fn place_of(&mut self, start: usize) -> Option<usize> {
        if self.known == 0 {
            return None;
        }
        let (listed, wanted) = self.text.split_at_checked(start)?;
        let text_at = |place: usize| self.entries.get(place).and_then(|entry| entry.text(listed));
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

    /// Counts an entry in, once a collection.
    fn mark(&mut self, place: usize) -> Found {
        match self.entries.get_mut(place) {
            Some(entry) if entry.round != self.round => {
                entry.round = self.round;
                self.live = self.live.saturating_add(1);
                Found::Fresh(entry.checksum)
            }
            _ => Found::Duplicate,
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// What a datapoint's checksum is made of, but for what all of its target share; lengths keep the parts apart.
fn write(out: &mut Vec<u8>, point: &Datapoint) {
    let mut part = |text: &str| {
        out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    part(point.value.data_type().digits());
    part(&point.key);
    for metadatum in point.metadata.iter().filter(|metadatum| metadatum.identifying) {
        part(&metadatum.key);
        part(&metadatum.value);
    }
}
