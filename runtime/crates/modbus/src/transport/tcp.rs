//! The frames of Modbus TCP: a prefix with the length of the rest.

use super::frame_filter::{Fault, Framing};

/// The number of bytes before those that the length field counts (Modbus Messaging on TCP/IP
/// Implementation Guide V1.0b, section 3.1.3).
const PREFIX: usize = 6;
/// The minimum length in a reply: unit, function, exception code.
const MIN_LENGTH: u16 = 3;
/// The maximum length in a reply: the unit and a PDU of 253 bytes.
const MAX_LENGTH: u16 = 254;

/// The position within the expected reply.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Mbap {
    /// No reply is expected.
    #[default]
    NotExpecting,
    /// The number of bytes of the prefix that have arrived, and the length so far.
    Prefix { passed: usize, length: u16 },
    /// The number of bytes that are still missing.
    Body { left: usize },
}

impl Mbap {
    /// The position after these bytes.
    fn after(mut self, bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = bytes.iter();
        while let Self::Prefix { passed, length } = self {
            let Some(&byte) = rest.next() else { return Ok(self) };
            // The last two bytes of the prefix are the length, big-endian; the bytes before are
            // shifted out.
            let length = length << 8 | u16::from(byte);
            let passed = passed.saturating_add(1);
            self = if passed < PREFIX {
                Self::Prefix { passed, length }
            } else if (MIN_LENGTH..=MAX_LENGTH).contains(&length) {
                Self::Body { left: length.into() }
            } else {
                return Err(Fault::Length(length));
            };
        }
        match self {
            Self::Body { left } => match left.checked_sub(rest.len()) {
                Some(0) => Ok(Self::NotExpecting),
                Some(left) => Ok(Self::Body { left }),
                None => Err(Fault::Surplus),
            },
            _ => Err(Fault::Unrequested),
        }
    }
}

impl Framing for Mbap {
    fn begin(&mut self, _request: &[u8]) {
        *self = Self::Prefix { passed: 0, length: 0 };
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        *self = self.after(bytes)?;
        Ok(())
    }

    fn is_expecting(&self) -> bool {
        !matches!(self, Self::NotExpecting)
    }

    fn is_partial(&self) -> bool {
        !matches!(self, Self::NotExpecting | Self::Prefix { passed: 0, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTING: Mbap = Mbap::Prefix { passed: 0, length: 0 };
    const REPLY: [u8; 9] = [0, 0, 0, 0, 0, 3, 1, 0x83, 2];

    #[test]
    fn reply_may_arrive_in_any_pieces_and_nothing_may_follow_it() {
        for cut in 0..REPLY.len() {
            let (head, tail) = REPLY.split_at(cut);
            let end = EXPECTING.after(head).unwrap().after(tail).unwrap();
            assert!(matches!(end, Mbap::NotExpecting), "cut at {cut}");
            assert!(matches!(end.after(&[0]), Err(Fault::Unrequested)));
        }
        let twice = [REPLY, REPLY].concat();
        assert!(matches!(EXPECTING.after(&twice), Err(Fault::Surplus)));
    }

    #[test]
    fn invalid_length_is_a_fault_at_once() {
        for length in [0, 1, 2, 255, 256, u16::MAX] {
            let [high, low] = length.to_be_bytes();
            let outcome = EXPECTING.after(&[0, 0, 0, 0, high, low]);
            assert!(matches!(outcome, Err(Fault::Length(found)) if found == length));
        }
    }
}
