//! The checksum by which the server knows a series: a chain of SHA-256, each link over the hexadecimal text of the one
//! before it and one more key and value (pattoo's `DataPoint.__init__` and `DataPoint.add`).
//!
//! Nothing separates the parts, so different datapoints can share a checksum: metadata (`xy`, `z`) and (`x`, `yz`), or
//! key `a3` of type 2 and key `a` of type 32. That is how pattoo computes it and how it stays: the same inputs must
//! find the same series.

use sha2::{Digest, Sha256};

use super::{text::write_hex, value::DataType};

/// Hexadecimal digits of a link.
const DIGITS: usize = 64;

/// One link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Checksum([u8; 32]);

impl Checksum {
    /// The first link: a datapoint's key and data type.
    pub(super) fn of(key: &str, data_type: DataType) -> Self {
        let hasher = Sha256::new().chain_update(key).chain_update(data_type.digits());
        Self(hasher.finalize().into())
    }

    /// The next link: one more key and value.
    pub(super) fn then(self, key: &str, value: &str) -> Self {
        let hasher = Sha256::new().chain_update(self.hex()).chain_update(key).chain_update(value);
        Self(hasher.finalize().into())
    }

    /// As it is written: 64 lower-case hexadecimal digits, ASCII.
    pub(super) fn hex(self) -> [u8; DIGITS] {
        let mut text = [0; DIGITS];
        write_hex(&mut text, &self.0);
        text
    }

    /// The first eight bytes, as good as any others.
    pub(super) fn head(self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// The last links of a chain, which are the same for every datapoint of an agent and target. Each is laid out once, with room
/// for the digits that come before it, so that it is hashed in one piece.
#[derive(Debug)]
pub(super) struct Ending(Vec<Vec<u8>>);

impl Ending {
    /// Of these keys and values, in their order.
    pub(super) fn new(pairs: [(&str, &str); 4]) -> Self {
        Self(pairs.map(|(key, value)| [&[0; DIGITS], key.as_bytes(), value.as_bytes()].concat()).into())
    }

    /// Adds these links to a chain.
    pub(super) fn after(&mut self, mut chain: Checksum) -> Checksum {
        for link in &mut self.0 {
            if let Some(digits) = link.first_chunk_mut::<DIGITS>() {
                write_hex(digits, &chain.0);
            }
            chain = Checksum(Sha256::digest(&link).into());
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_worked_by_hand_comes_out() {
        let mut chain = Checksum::of("agent_modbustcpd_input_register_30386", DataType::Integer);
        let hex = |chain: Checksum| String::from_utf8(chain.hex().to_vec()).unwrap();
        assert_eq!(hex(chain), "fccb10952f00921c817931a47a529da9681b9204fb9ae8671bc90af0a2df77bc");
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
            chain = chain.then(key, value);
            assert_eq!(hex(chain), after, "after {key}");
        }
    }

    #[test]
    fn links_that_were_laid_out_before_are_the_same_links() {
        let pairs = [("a", "x"), ("pattoo_agent_id", &"0f".repeat(32)), ("", ""), ("k", &"long ".repeat(40))];
        let mut ending = Ending::new(pairs);
        for key in ["one", "two", "one"] {
            let start = Checksum::of(key, DataType::Float);
            assert_eq!(ending.after(start), pairs.iter().fold(start, |chain, (key, value)| chain.then(key, value)));
        }
    }

    #[test]
    fn nothing_separates_the_parts() {
        assert_eq!(Checksum::of("a3", DataType::Text), Checksum::of("a", DataType::Counter32));
        let start = Checksum::of("a", DataType::Float);
        assert_eq!(start.then("xy", "z"), start.then("x", "yz"));
    }
}
