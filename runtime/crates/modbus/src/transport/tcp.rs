//! How the frames of Modbus TCP look: a prefix that says how long the rest is.

use super::guard::{Fault, Framing};

/// Bytes before what the length field counts (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3).
const PREFIX: usize = 6;
/// The shortest that a reply announces: unit, function, exception code.
const MIN_LENGTH: u16 = 3;
/// The longest that a reply announces: the unit and a PDU of 253 bytes.
const MAX_LENGTH: u16 = 254;

/// How much of the reply has passed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Mbap {
    /// No request is out.
    #[default]
    NotAsked,
    /// So many bytes of the prefix have passed; the length so far.
    Prefix { passed: usize, length: u16 },
    /// So many bytes are still to come.
    Body { left: usize },
}

impl Mbap {
    /// The state after these bytes.
    fn after(mut self, bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = bytes.iter();
        while let Self::Prefix { passed, length } = self {
            let Some(&byte) = rest.next() else { return Ok(self) };
            // Big-endian in the last two bytes of the prefix; what came before is shifted out.
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
                Some(0) => Ok(Self::NotAsked),
                Some(left) => Ok(Self::Body { left }),
                None => Err(Fault::Surplus),
            },
            _ => Err(Fault::Unasked),
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

    fn is_asked(&self) -> bool {
        !matches!(self, Self::NotAsked)
    }

    fn is_within(&self) -> bool {
        !matches!(self, Self::NotAsked | Self::Prefix { passed: 0, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Mbap = Mbap::Prefix { passed: 0, length: 0 };
    const REPLY: [u8; 9] = [0, 0, 0, 0, 0, 3, 1, 0x83, 2];

    #[test]
    fn a_reply_passes_in_any_pieces_and_nothing_passes_after_it() {
        for cut in 0..REPLY.len() {
            let (head, tail) = REPLY.split_at(cut);
            let end = ASKED.after(head).unwrap().after(tail).unwrap();
            assert!(matches!(end, Mbap::NotAsked), "cut at {cut}");
            assert!(matches!(end.after(&[0]), Err(Fault::Unasked)));
        }
        let twice = [REPLY, REPLY].concat();
        assert!(matches!(ASKED.after(&twice), Err(Fault::Surplus)));
    }

    #[test]
    fn a_length_that_no_reply_has_is_a_fault_at_once() {
        for length in [0, 1, 2, 255, 256, u16::MAX] {
            let [high, low] = length.to_be_bytes();
            let outcome = ASKED.after(&[0, 0, 0, 0, high, low]);
            assert!(matches!(outcome, Err(Fault::Length(found)) if found == length));
        }
    }
}
