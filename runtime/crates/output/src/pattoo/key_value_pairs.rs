//! `key_value_pairs`: each distinct pair once, numbered in the order of their first use.
//!
//! A pair is written as JSON when it is first used, and that JSON identifies it: two pairs are
//! equal if they are written the same, so `1` and `1.0` are two pairs. The table stores positions
//! in the text and no copies.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use pattoo_base::invariant::Invariant as _;

use super::{checksum::Checksum, place_table::PlaceTable, value::Scalar};
use crate::json::make_room;

/// The pairs of one body.
#[derive(Debug)]
pub(super) struct Pairs {
    /// The start of the body, then `"0":["key",value],"1":...`, without the braces.
    text: Vec<u8>,
    /// The position of the first pair.
    first: usize,
    table: PlaceTable,
    /// Has a random key: collectors choose the pairs and must not be able to choose collisions.
    hasher: RandomState,
    count: usize,
}

/// The start of a pair with one of pattoo's own keys, `["pattoo_key",`, and a number for the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head(&'static str, u8);

impl Head {
    pub(super) const KEY: Self = Self("[\"pattoo_key\",", 1);
    pub(super) const DATA_TYPE: Self = Self("[\"pattoo_data_type\",", 2);
    pub(super) const VALUE: Self = Self("[\"pattoo_value\",", 3);
    pub(super) const TIMESTAMP: Self = Self("[\"pattoo_timestamp\",", 4);
    pub(super) const CHECKSUM: Self = Self("[\"pattoo_checksum\",", 5);
}

/// The hash of the pair of a checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairHash(u64);

impl Pairs {
    /// No pairs, in a body that starts with `frame`.
    pub(super) fn new(frame: Vec<u8>) -> Self {
        Self { first: frame.len(), text: frame, table: PlaceTable::new(), hasher: RandomState::new(), count: 0 }
    }

    /// Reserves memory for a key and a checksum of this many more datapoints.
    pub(super) fn expect(&mut self, datapoints: usize) {
        const LEAST: usize = 136;
        make_room(&mut self.text, datapoints.saturating_mul(LEAST));
        self.table.expect(datapoints.saturating_mul(2));
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> usize {
        self.text.len().saturating_sub(self.first)
    }

    /// The memory that it uses, in bytes.
    pub(super) fn held(&self) -> usize {
        self.text.capacity().saturating_add(self.table.bytes())
    }

    /// The number of a pair with one of pattoo's own keys. Lists the pair if it is new.
    pub(super) fn id_of_own(&mut self, head: Head, value: Scalar<'_>) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(head.1);
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.begin();
        let start = self.text.len();
        self.text.extend_from_slice(head.0.as_bytes());
        self.end(before, start, value, hash)
    }

    /// The same for a pair with any key.
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

    /// The hash of the pair of a checksum. Its first eight bytes are enough, since they are a hash
    /// already.
    pub(super) fn hash_of_checksum(&self, checksum: Checksum) -> PairHash {
        PairHash(self.hasher.hash_one(checksum.head()))
    }

    /// Whether a pair with one of pattoo's own keys and these digits is listed.
    pub(super) fn lists(&self, head: Head, digits: &[u8; 64], PairHash(hash): PairHash) -> bool {
        let digits_at = |place: usize| self.text.get(place..)?.strip_prefix(head.0.as_bytes())?.strip_prefix(b"\"");
        let same = |place: usize| digits_at(place).is_some_and(|text| text.starts_with(digits));
        self.table.find(hash, same).is_some()
    }

    /// Lists a pair that is not listed yet, and returns its number.
    pub(super) fn add_new(&mut self, head: Head, value: Scalar<'_>, PairHash(hash): PairHash) -> usize {
        self.begin();
        self.table.insert(hash, self.text.len());
        self.text.extend_from_slice(head.0.as_bytes());
        value.push_json(&mut self.text);
        self.text.push(b']');
        self.next_id()
    }

    /// Writes the text before a pair, and returns the position of that text.
    fn begin(&mut self) -> usize {
        // For a longer pair, `Vec` reserves memory itself.
        make_room(&mut self.text, 256);
        let before = self.text.len();
        self.text.extend_from_slice(if self.count > 0 { b",\"" } else { b"\"" });
        self.text.extend_from_slice(itoa::Buffer::new().format(self.count).as_bytes());
        self.text.extend_from_slice(b"\":");
        before
    }

    /// Writes the rest of a pair whose bracket opens at `start`. Removes it again if it is listed
    /// already.
    fn end(&mut self, before: usize, start: usize, value: Scalar<'_>, hash: u64) -> usize {
        value.push_json(&mut self.text);
        self.text.push(b']');
        let (listed, pair) = self.text.split_at_checked(start).or_broken("a pair begins within the text", (&[], &[]));
        // A JSON array ends where its bracket closes, so no other pair can start with it.
        let same = |place: usize| listed.get(place..).is_some_and(|stored| stored.starts_with(pair));
        if let Some(place) = self.table.find(hash, same) {
            let id = listed.get(..place).map(id_before).or_broken("a listed pair is in the text", 0);
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

    /// The text. The table is freed before the body is joined.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }
}

/// The number in `"12":` at the end of the text.
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
    fn pair_is_listed_once_and_types_are_kept_apart() {
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
            pairs.add_new(Head::CHECKSUM, Scalar::Digits(&[b'0'; 64]), PairHash(7)),
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
        pairs.add_new(Head::CHECKSUM, Scalar::Digits(&listed), PairHash(7));
        assert!(pairs.lists(Head::CHECKSUM, &listed, PairHash(7)));
        // The same hash does not make them the same.
        assert!(!pairs.lists(Head::CHECKSUM, &other, PairHash(7)));
        assert!(!pairs.lists(Head::VALUE, &listed, PairHash(7)));
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
