//! `key_value_pairs`: each distinct pair once, numbered in the order first seen.
//!
//! Pairs are written as JSON the moment they are seen, and a pair is recognised by that JSON: two pairs are the same
//! exactly when they are written the same, so `1` and `1.0` stay two. The table holds places in the text, no copies.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use super::{checksum::Checksum, table::PlaceTable, value::Scalar};
use crate::json::make_room;

/// The pairs of one body so far.
#[derive(Debug)]
pub(super) struct Pairs {
    /// What the body begins with, then `"0":["key",value],"1":...`, without the braces.
    text: Vec<u8>,
    /// Where the pairs begin.
    first: usize,
    table: PlaceTable,
    /// Keyed at random: guests choose the pairs, and must not be able to choose where they collide.
    hasher: RandomState,
    count: usize,
}

/// What a pair begins with, of a key that is ours: `["pattoo_key",`. And a number that stands for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head(&'static str, u8);

impl Head {
    pub(super) const KEY: Self = Self("[\"pattoo_key\",", 1);
    pub(super) const DATA_TYPE: Self = Self("[\"pattoo_data_type\",", 2);
    pub(super) const VALUE: Self = Self("[\"pattoo_value\",", 3);
    pub(super) const TIMESTAMP: Self = Self("[\"pattoo_timestamp\",", 4);
    pub(super) const CHECKSUM: Self = Self("[\"pattoo_checksum\",", 5);
}

/// The hash of a pair that will be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced(u64);

impl Pairs {
    /// None yet, in a payload that begins with `frame`.
    pub(super) fn new(frame: Vec<u8>) -> Self {
        Self { first: frame.len(), text: frame, table: PlaceTable::new(), hasher: RandomState::new(), count: 0 }
    }

    /// Reserves about the least space that this many datapoints need: a key and a checksum each.
    pub(super) fn expect(&mut self, datapoints: usize) {
        const LEAST: usize = 136;
        make_room(&mut self.text, datapoints.saturating_mul(LEAST));
        self.table.expect(datapoints.saturating_mul(2));
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> usize {
        self.text.len().saturating_sub(self.first)
    }

    /// What it holds in memory, in bytes.
    pub(super) fn held(&self) -> usize {
        self.text.capacity().saturating_add(self.table.bytes())
    }

    /// The hash of a pair of a key that is ours.
    pub(super) fn announce(&self, head: Head, value: Scalar<'_>) -> Announced {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(head.1);
        value.hash(&mut hasher);
        let hash = hasher.finish();
        Announced(hash)
    }

    /// The number of a pair of a key that is ours. It is listed if it was not yet.
    pub(super) fn id_of_own(&mut self, head: Head, value: Scalar<'_>) -> usize {
        let announced = self.announce(head, value);
        self.id_of_announced(head, value, announced)
    }

    /// The same of one that was announced.
    pub(super) fn id_of_announced(&mut self, head: Head, value: Scalar<'_>, Announced(hash): Announced) -> usize {
        let before = self.begin();
        let start = self.text.len();
        self.text.extend_from_slice(head.0.as_bytes());
        self.end(before, start, value, hash)
    }

    /// The same of any pair.
    pub(super) fn id(&mut self, key: &str, value: Scalar<'_>) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(0);
        hasher.write_usize(key.len());
        hasher.write(key.as_bytes());
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.begin();
        let start = self.text.len();
        self.text.push(b'[');
        Scalar::Text(key).push_json(&mut self.text);
        self.text.push(b',');
        self.end(before, start, value, hash)
    }

    /// The hash of the pair of a checksum: of its first eight bytes, which differ as well as all of them.
    pub(super) fn announce_checksum(&self, checksum: Checksum) -> Announced {
        Announced(self.hasher.hash_one(checksum.head()))
    }

    /// Whether the pair of one of our keys and these digits is listed.
    pub(super) fn lists(&self, head: Head, digits: &[u8; 64], Announced(hash): Announced) -> bool {
        let digits_at = |place: usize| self.text.get(place..)?.strip_prefix(head.0.as_bytes())?.strip_prefix(b"\"");
        let same = |place: usize| digits_at(place).is_some_and(|text| text.starts_with(digits));
        self.table.find(hash, same).is_some()
    }

    /// Lists a pair that is not listed yet, and returns its number.
    pub(super) fn add_new(&mut self, head: Head, value: Scalar<'_>, Announced(hash): Announced) -> usize {
        self.begin();
        self.table.insert(hash, self.text.len());
        self.text.extend_from_slice(head.0.as_bytes());
        value.push_json(&mut self.text);
        self.text.push(b']');
        self.next_id()
    }

    /// Writes what stands before a pair; returns where that begins.
    fn begin(&mut self) -> usize {
        // Of a longer one the list makes room itself.
        make_room(&mut self.text, 256);
        let before = self.text.len();
        self.text.extend_from_slice(if self.count > 0 { b",\"" } else { b"\"" });
        self.text.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
        self.text.extend_from_slice(b"\":");
        before
    }

    /// Writes the rest of a pair whose bracket opens at `start`; takes all back if it is listed already.
    fn end(&mut self, before: usize, start: usize, value: Scalar<'_>, hash: u64) -> usize {
        value.push_json(&mut self.text);
        self.text.push(b']');
        let (listed, pair) = self.text.split_at_checked(start).unwrap_or_default();
        // A JSON array ends where its brackets close, so what starts with it is it.
        let same = |place: usize| listed.get(place..).is_some_and(|stored| stored.starts_with(pair));
        if let Some(place) = self.table.find(hash, same) {
            let id = listed.get(..place).map_or(0, id_before);
            self.text.truncate(before);
            return id;
        }
        self.table.insert(hash, start);
        self.next_id()
    }

    fn next_id(&mut self) -> usize {
        let id = self.count;
        self.count = id.saturating_add(1);
        id
    }

    /// The text alone; the table is given back before the body is put together.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }
}

/// The number that `"12":` at the end of the text says.
fn id_before(text: &[u8]) -> usize {
    let digits = text.iter().rev().skip(2).take_while(|byte| byte.is_ascii_digit());
    let (id, _) = digits.fold((0_usize, 1_usize), |(id, factor), digit| {
        let digit = usize::from(digit.wrapping_sub(b'0'));
        (id.wrapping_add(digit.wrapping_mul(factor)), factor.wrapping_mul(10))
    });
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_listed_once_and_types_are_kept_apart() {
        let mut pairs = Pairs::new(b"{".to_vec());
        let ids = [
            pairs.id("k", Scalar::Signed(1)),
            pairs.id("k", Scalar::Float(1.0)),
            pairs.id("k", Scalar::Text("1")),
            pairs.id("k", Scalar::Unsigned(1)),
            pairs.id("k", Scalar::Signed(12)),
            pairs.id("k", Scalar::Float(1.0)),
            pairs.id("k", Scalar::Float(-0.0)),
            pairs.id("k", Scalar::Float(0.0)),
            pairs.add_new(Head::CHECKSUM, Scalar::Digits(&[b'0'; 64]), Announced(7)),
        ];
        assert_eq!(ids, [0, 1, 2, 0, 3, 1, 4, 5, 6]);
        assert_eq!(
            String::from_utf8(pairs.into_text()).unwrap(),
            format!(
                r#"{{"0":["k",1],"1":["k",1.0],"2":["k","1"],"3":["k",12],"4":["k",-0.0],"5":["k",0.0],"6":["pattoo_checksum","{}"]"#,
                "0".repeat(64)
            )
        );
    }

    #[test]
    fn listed_checksum_is_found_and_no_other() {
        let mut pairs = Pairs::new(b"{".to_vec());
        let [listed, other] = [[b'0'; 64], [b'1'; 64]];
        pairs.add_new(Head::CHECKSUM, Scalar::Digits(&listed), Announced(7));
        assert!(pairs.lists(Head::CHECKSUM, &listed, Announced(7)));
        // The same hash does not make them the same.
        assert!(!pairs.lists(Head::CHECKSUM, &other, Announced(7)));
        assert!(!pairs.lists(Head::VALUE, &listed, Announced(7)));
    }

    #[test]
    fn each_of_many_pairs_is_found_again() {
        let mut pairs = Pairs::new(b"{".to_vec());
        for _ in 0..2 {
            for number in 0..20_000 {
                assert_eq!(pairs.id("k", Scalar::Unsigned(number)), usize::try_from(number).unwrap());
            }
        }
        assert_eq!(pairs.count, 20_000);
    }
}
