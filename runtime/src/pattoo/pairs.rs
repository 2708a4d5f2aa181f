//! `key_value_pairs`: each distinct pair once, numbered in the order first seen.
//!
//! Pairs are written as JSON the moment they are seen, and a pair is recognised by that JSON: two pairs are the same
//! exactly when they are written the same, so `1` and `1.0` stay two. The table holds places in the text, no copies.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::value::Scalar;

/// The pairs of one body so far.
#[derive(Debug)]
pub(super) struct Pairs {
    /// `"0":["key",value],"1":...`, without the braces.
    text: Vec<u8>,
    table: HashTable<Place>,
    /// Keyed at random: guests choose the pairs, and must not be able to choose where they collide.
    hasher: RandomState,
    count: usize,
}

/// Where a pair is written.
#[derive(Debug)]
struct Place {
    hash: u64,
    /// Of the opening bracket in the text.
    start: usize,
    id: usize,
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self { text: Vec::new(), table: HashTable::new(), hasher: RandomState::new(), count: 0 }
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The number of a pair, which is listed if it was not yet.
    pub(super) fn id(&mut self, key: &str, value: Scalar<'_>) -> usize {
        let before = self.text.len();
        let start = self.write(key, value);
        let (listed, pair) = self.text.split_at_checked(start).unwrap_or_default();
        let hash = self.hasher.hash_one(pair);
        // A JSON array ends where its brackets close, so what starts with it is it.
        let same = |place: &Place| {
            place.hash == hash && listed.get(place.start..).is_some_and(|stored| stored.starts_with(pair))
        };
        if let Some(Place { id, .. }) = self.table.find(hash, same) {
            let id = *id;
            self.text.truncate(before);
            return id;
        }
        let id = self.count;
        self.table.insert_unique(hash, Place { hash, start, id }, |place| place.hash);
        self.count = id.saturating_add(1);
        id
    }

    /// Lists a pair of which the caller knows that it comes once, and returns its number.
    pub(super) fn add_unique(&mut self, key: &str, value: Scalar<'_>) -> usize {
        self.write(key, value);
        let id = self.count;
        self.count = id.saturating_add(1);
        id
    }

    /// Writes a pair as the next one; returns where its bracket opens.
    fn write(&mut self, key: &str, value: Scalar<'_>) -> usize {
        if self.count > 0 {
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
        self.text.extend_from_slice(b"\":");
        let start = self.text.len();
        self.text.push(b'[');
        Scalar::Text(key).push_json(&mut self.text);
        self.text.push(b',');
        value.push_json(&mut self.text);
        self.text.push(b']');
        start
    }

    /// The text alone; the table is given back before the body is put together.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_listed_once_and_types_are_kept_apart() {
        let mut pairs = Pairs::new();
        let ids = [
            pairs.id("k", Scalar::Signed(1)),
            pairs.id("k", Scalar::Float(1.0)),
            pairs.id("k", Scalar::Text("1")),
            pairs.id("k", Scalar::Unsigned(1)),
            pairs.id("k", Scalar::Signed(12)),
            pairs.id("k", Scalar::Float(1.0)),
            pairs.id("k", Scalar::Float(-0.0)),
            pairs.id("k", Scalar::Float(0.0)),
            pairs.add_unique("u", Scalar::Text("")),
        ];
        assert_eq!(ids, [0, 1, 2, 0, 3, 1, 4, 5, 6]);
        assert_eq!(
            String::from_utf8(pairs.into_text()).unwrap(),
            r#""0":["k",1],"1":["k",1.0],"2":["k","1"],"3":["k",12],"4":["k",-0.0],"5":["k",0.0],"6":["u",""]"#
        );
    }
}
