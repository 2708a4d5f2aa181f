//! The checksum by which the server knows a series: a chain of SHA-256, each link over the hexadecimal text of the one
//! before it and one more key and value (pattoo's `DataPoint.__init__` and `DataPoint.add`).
//!
//! Nothing separates the parts, so different datapoints can share a checksum: metadata (`xy`, `z`) and (`x`, `yz`), or
//! key `a3` of type 2 and key `a` of type 32. That is how pattoo computes it and how it stays: the same inputs must
//! find the same series.

use sha2::compress256;

use super::{datapoint::Datapoint, text::write_hex, value::DataType};

/// How many bytes SHA-256 takes in at a time. As many are the digits of a link, so that these are a block of their own.
const BLOCK: usize = 64;

/// How many chains are computed at once. Each of the processor's instructions for SHA-256 waits for the one before it in its
/// chain; where those of other chains stand beside it they fill the gaps. More than these gain nothing.
pub(super) const AT_ONCE: usize = 4;

/// One link of the chain: the eight words of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Checksum([u32; 8]);

impl Checksum {
    /// The words that SHA-256 begins with (FIPS 180-4, 5.3.3).
    const START: Self =
        Self([0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]);

    /// As it is written: 64 lower-case hexadecimal digits, ASCII.
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

    /// The first eight bytes, as good as any others.
    pub(super) fn head(self) -> u64 {
        let [first, second, ..] = self.0;
        u64::from(first) << 32 | u64::from(second)
    }

    /// The link after this one, which has taken in the digits of this and nothing else yet.
    #[inline]
    fn next(self) -> Self {
        let mut next = Self::START;
        next.take_in(&self.hex());
        next
    }

    #[inline]
    fn take_in(&mut self, block: &[u8; BLOCK]) {
        compress256(&mut self.0, std::slice::from_ref(block.into()));
    }

    /// Takes in the rest of its message.
    fn end(mut self, rest: &Rest) -> Self {
        rest.blocks().iter().for_each(|block| self.take_in(block));
        self
    }
}

/// The rest of a message from some byte on, in whole blocks, padded as SHA-256 wants it (FIPS 180-4, 5.1.1).
#[derive(Debug, Default)]
struct Rest(Vec<u8>);

impl Rest {
    /// Of a message that consists of so many bytes and these two parts.
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
    /// What follows on the digits in each of the last links, which are the same for all its datapoints.
    ending: [Rest; 4],
    /// The same of the link that is being computed.
    rest: Rest,
}

impl Chains {
    /// Whose chains end with these keys and values, in their order.
    pub(super) fn new(ending: [(&str, &str); 4]) -> Self {
        let rest = |(key, value)| {
            let mut rest = Rest::default();
            rest.lay_out(BLOCK, [key, value]);
            rest
        };
        Self { ending: ending.map(rest), rest: Rest::default() }
    }

    /// The links that are a datapoint's own: its key and data type, then its identifying metadata.
    pub(super) fn begin(&mut self, point: &Datapoint) -> Checksum {
        let rest = self.rest.lay_out(0, [&point.key, DataType::of(&point.value).digits()]);
        let first = Checksum::START.end(rest);
        point.identifying().fold(first, |chain, metadatum| {
            chain.next().end(self.rest.lay_out(BLOCK, [&metadatum.key, &metadatum.value]))
        })
    }

    /// Adds the ending to each of these, to [`AT_ONCE`] of them block by block in turns.
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
                    group.iter_mut().flatten().for_each(|chain| chain.take_in(block));
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

    /// The checksum as its definition says, out of the library.
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

    /// Of lengths where one more or less is another block, and of others.
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
        fn chains_computed_at_once_are_those_of_the_definition(
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
    fn the_chain_worked_by_hand_comes_out() {
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
    fn nothing_separates_the_parts() {
        let of = |key, value, identifying| begin(&point(key, value, identifying));
        assert_eq!(of("a3", Value::Text(String::new()), &[]), of("a", Value::Counter32(1), &[]));
        assert_eq!(of("a", Value::Float(1.0), &[("xy", "z")]), of("a", Value::Float(1.0), &[("x", "yz")]));
    }
}
