//! The checksum that identifies a series on the server: a chain of SHA-256. Each link hashes the
//! hexadecimal text of the previous link and one more key and value (pattoo's `DataPoint.__init__`
//! and `DataPoint.add`).
//!
//! There is no separator between the parts, so different datapoints can have the same checksum:
//! metadata (`xy`, `z`) and (`x`, `yz`), or key `a3` of type 2 and key `a` of type 32. Pattoo
//! computes it so, and it cannot change: the same input must lead to the same series.

use sha2::compress256;

use super::{datapoint::Datapoint, python_text::write_hex, value::DataType};

/// The block size of SHA-256 in bytes. A link has as many digits, so its digits are one block.
const BLOCK: usize = 64;

/// How many chains are computed together. The processor's instructions for SHA-256 wait for each
/// other within a chain; those of other chains run in the gaps. More than four chains gain nothing.
pub(super) const AT_ONCE: usize = 4;

/// One link of the chain: the eight words of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Checksum([u32; 8]);

impl Checksum {
    /// The initial words of SHA-256 (FIPS 180-4, 5.3.3).
    const START: Self =
        Self([0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]);

    /// The text of the checksum: 64 lower-case hexadecimal digits, ASCII.
    #[inline]
    pub(super) fn hex(self) -> [u8; BLOCK] {
        let mut bytes = [0; BLOCK / 2];
        for (four, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *four = word.to_be_bytes();
        }
        let mut text = [0; BLOCK];
        write_hex(&mut text, &bytes);
        text
    }

    /// The first eight bytes.
    pub(super) fn head(self) -> u64 {
        let [first, second, ..] = self.0;
        u64::from(first) << 32 | u64::from(second)
    }

    /// The start of the next link: it has hashed the digits of this link and nothing else.
    #[inline]
    fn next(self) -> Self {
        let mut next = Self::START;
        next.add_block(&self.hex());
        next
    }

    #[inline]
    fn add_block(&mut self, block: &[u8; BLOCK]) {
        compress256(&mut self.0, std::slice::from_ref(block.into()));
    }

    /// Hashes the rest of the message.
    fn end(mut self, rest: &Rest) -> Self {
        rest.blocks().iter().for_each(|block| self.add_block(block));
        self
    }
}

/// The rest of a message in whole blocks, with the padding of SHA-256 (FIPS 180-4, 5.1.1).
#[derive(Debug, Default)]
struct Rest(Vec<u8>);

impl Rest {
    /// Sets the rest of a message that has `before` bytes before these two parts.
    fn lay_out(&mut self, before: usize, parts: [&str; 2]) -> &Self {
        let Self(bytes) = self;
        bytes.clear();
        bytes.reserve(parts.iter().fold(2 * BLOCK, |sum, part| sum.saturating_add(part.len())));
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
        let bits = u64::try_from(before.saturating_add(bytes.len())).unwrap_or(u64::MAX).wrapping_mul(8);
        bytes.push(0x80);
        let length = bytes.len().saturating_add(size_of_val(&bits)).next_multiple_of(BLOCK);
        bytes.resize(length.saturating_sub(size_of_val(&bits)), 0);
        bytes.extend_from_slice(&bits.to_be_bytes());
        self
    }

    fn blocks(&self) -> &[[u8; BLOCK]] {
        self.0.as_chunks().0
    }
}

/// Computes the checksums of one agent and target.
#[derive(Debug)]
pub(super) struct Chains {
    /// The part after the digits in each of the last links. It is the same for all datapoints.
    ending: [Rest; 4],
    /// The same for the link that is being computed.
    rest: Rest,
}

impl Chains {
    /// Chains that end with these keys and values, in this order.
    pub(super) fn new(ending: [(&str, &str); 4]) -> Self {
        let rest = |(key, value)| {
            let mut rest = Rest::default();
            rest.lay_out(BLOCK, [key, value]);
            rest
        };
        Self { ending: ending.map(rest), rest: Rest::default() }
    }

    /// The first links of a datapoint: its key and data type, then its identifying metadata.
    pub(super) fn begin(&mut self, point: &Datapoint) -> Checksum {
        let rest = self.rest.lay_out(0, [&point.key, DataType::of(&point.value).digits()]);
        let first = Checksum::START.end(rest);
        point.identifying().fold(first, |chain, metadatum| {
            chain.next().end(self.rest.lay_out(BLOCK, [&metadatum.key, &metadatum.value]))
        })
    }

    /// Adds the last links to each chain, to [`AT_ONCE`] chains block by block in turns.
    pub(super) fn end<'c>(&self, chains: impl IntoIterator<Item = &'c mut Checksum>) {
        let mut chains = chains.into_iter();
        loop {
            let mut group: [_; AT_ONCE] = std::array::from_fn(|_| chains.next());
            if matches!(group, [None, ..]) {
                return;
            }
            for link in &self.ending {
                group.iter_mut().flatten().for_each(|chain| **chain = chain.next());
                for block in link.blocks() {
                    group.iter_mut().flatten().for_each(|chain| chain.add_block(block));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pattoo_measurement::{Metadatum, Value};
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn point(key: &str, value: Value, identifying: &[(&str, &str)]) -> Datapoint {
        let metadatum =
            |&(key, value): &(&str, &str)| Metadatum { key: key.into(), value: value.into(), identifying: true };
        let metadata = identifying.iter().map(metadatum).collect();
        Datapoint { key: key.to_owned(), value, timestamp: 0, metadata }
    }

    fn begin(point: &Datapoint) -> Checksum {
        Chains::new([("", ""); 4]).begin(point)
    }

    fn then(chain: Checksum, key: &str, value: &str) -> Checksum {
        chain.next().end(Rest::default().lay_out(BLOCK, [key, value]))
    }

    fn text(checksum: Checksum) -> String {
        String::from_utf8(checksum.hex().to_vec()).unwrap()
    }

    /// The checksum by its definition, computed with the library alone.
    fn defined(point: &Datapoint, ending: &[(String, String)]) -> String {
        let hex = |bytes: [u8; 32]| {
            let mut digits = [0; BLOCK];
            write_hex(&mut digits, &bytes);
            String::from_utf8(digits.to_vec()).unwrap()
        };
        let start = Sha256::new().chain_update(&point.key).chain_update(DataType::of(&point.value).digits());
        let own = point.identifying().map(|metadatum| (&metadatum.key, &metadatum.value));
        let links = own.chain(ending.iter().map(|(key, value)| (key, value)));
        links.fold(hex(start.finalize().into()), |digits, (key, value)| {
            hex(Sha256::new().chain_update(digits).chain_update(key).chain_update(value).finalize().into())
        })
    }

    /// Lengths at the limits of a block, and others.
    fn any_text() -> impl Strategy<Value = String> {
        let length = prop_oneof![prop::sample::select(vec![0, 53, 54, 55, 56, 63, 64, 119, 120, 128]), 0..300_usize];
        (length, "[a-z0-9]").prop_map(|(length, letter)| letter.repeat(length))
    }

    fn any_point() -> impl Strategy<Value = Datapoint> {
        let value = prop::sample::select(vec![Value::Integer(1), Value::Counter32(1), Value::Text(String::new())]);
        let metadata = prop::collection::vec((any_text(), any_text(), any::<bool>()), 0..4);
        (any_text(), value, metadata).prop_map(|(key, value, metadata)| {
            let metadata =
                metadata.into_iter().map(|(key, value, identifying)| Metadatum { key, value, identifying }).collect();
            Datapoint { key, value, timestamp: 0, metadata }
        })
    }

    proptest! {
        #[test]
        fn chains_computed_together_match_the_definition(
            points in prop::collection::vec(any_point(), 0..11),
            ending in prop::collection::vec((any_text(), any_text()), 4),
        ) {
            let pairs: Vec<_> = ending.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let mut chains = Chains::new(pairs.try_into().unwrap());
            let mut sums: Vec<_> = points.iter().map(|point| chains.begin(point)).collect();
            chains.end(&mut sums);
            for (point, sum) in points.iter().zip(sums) {
                prop_assert_eq!(text(sum), defined(point, &ending));
            }
        }
    }

    #[test]
    fn known_chain_has_its_known_links() {
        let mut chain = begin(&point("agent_modbustcpd_input_register_30386", Value::Integer(1), &[]));
        assert_eq!(text(chain), "fccb10952f00921c817931a47a529da9681b9204fb9ae8671bc90af0a2df77bc");
        for (key, value, after) in [
            ("unit", "000", "f6ce7b9db4c34564ac6a77cc23026201117cc87d1cbdf415901a9d9a3fdef66b"),
            ("pattoo_agent_hostname", "palisadoes", "0667defaf6f32021a17c00d880751662c3c500870e85bff91f144e4e1a45d103"),
            (
                "pattoo_agent_id",
                "66cf7a8e560f75e23d557023ce591120abd094925bde6d97f09561b69b6ed3c4",
                "ad291e6da111267163b43718332b6af299902bbc57852e883b63e12cc034da52",
            ),
            (
                "pattoo_agent_polled_target",
                "foo.example.org",
                "879944938b1de4efcff506a56f9a50bcca0b944212e39489f63d8784aa857469",
            ),
            (
                "pattoo_agent_program",
                "pattoo_agent_modbustcpd",
                "83457a3b3df176790a825294c41f6688ea5fb569446fd5b104fdb2181b322503",
            ),
        ] {
            chain = then(chain, key, value);
            assert_eq!(text(chain), after, "after {key}");
        }
    }

    #[test]
    fn parts_are_hashed_without_separator() {
        let of = |key, value, identifying| begin(&point(key, value, identifying));
        assert_eq!(of("a3", Value::Text(String::new()), &[]), of("a", Value::Counter32(1), &[]));
        assert_eq!(of("a", Value::Float(1.0), &[("xy", "z")]), of("a", Value::Float(1.0), &[("x", "yz")]));
    }
}
