//! The frames of a serial line: unit, function, data and checksum, without a length (Modbus over
//! Serial Line Specification and Implementation Guide V1.02, section 2.5.1).
//!
//! They have no transaction identifier either, so a reply is compared with its request byte by
//! byte: the same unit, the same function, the requested number of bytes, and a correct checksum.
//! The codec above would search for a frame after invalid bytes; here the first wrong byte is a
//! fault, because a frame after noise may belong to another request.

use super::frame_filter::{Fault, Framing};
use crate::model::Table;

/// The maximum length of the data in a reply: 250 bytes are 125 registers or 2000 bits.
const MAX_BYTES: u16 = 250;
/// Bit 7 of the function code marks an exception (V1.1b3, section 7).
const EXCEPTION: u8 = 0x80;

/// The expected reply, and how much of it has arrived.
#[derive(Debug, Default)]
pub(super) struct Rtu {
    expected: Option<Expected>,
    passed: usize,
    checksum: Checksum,
    is_exception: bool,
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    unit: u8,
    function: u8,
    /// The byte count that it has to have.
    bytes: u8,
}

impl Expected {
    /// The reply to a request that begins with these bytes.
    fn of(request: &[u8]) -> Option<Self> {
        let [unit, function, _, _, high, low, ..] = *request else { return None };
        let count = u16::from_be_bytes([high, low]);
        let bytes = if Table::from_function(function)?.is_bits() { count.div_ceil(8) } else { count.saturating_mul(2) };
        Some(Self { unit, function, bytes: u8::try_from(bytes.min(MAX_BYTES)).ok()? })
    }
}

impl Rtu {
    fn take_byte(&mut self, byte: u8) -> Result<(), Fault> {
        let Some(Expected { unit, function, bytes }) = self.expected else {
            return Err(if self.passed == 0 { Fault::Unrequested } else { Fault::Surplus });
        };
        match self.passed {
            0 if byte != unit => return Err(Fault::OtherUnit),
            1 if byte == function | EXCEPTION => self.is_exception = true,
            1 if byte != function => return Err(Fault::OtherFunction),
            2 if !self.is_exception && byte != bytes => return Err(Fault::Size { found: byte, expected: bytes }),
            _ => {}
        }
        self.checksum.add(byte);
        self.passed = self.passed.saturating_add(1);
        // Unit, function, exception code (or byte count and data), two bytes of checksum.
        let length = if self.is_exception { 5 } else { usize::from(bytes).saturating_add(5) };
        if self.passed < length {
            return Ok(());
        }
        self.expected = None;
        // The checksum over a frame with its checksum, low byte first, is 0.
        if self.checksum.0 == 0 { Ok(()) } else { Err(Fault::Checksum) }
    }
}

impl Framing for Rtu {
    fn begin(&mut self, request: &[u8]) {
        *self = Self { expected: Expected::of(request), ..Self::default() };
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        bytes.iter().try_for_each(|byte| self.take_byte(*byte))
    }

    fn is_expecting(&self) -> bool {
        self.expected.is_some()
    }

    fn is_partial(&self) -> bool {
        self.expected.is_some() && self.passed > 0
    }
}

/// CRC-16/MODBUS (V1.02, appendix B).
#[derive(Debug, Clone, Copy)]
struct Checksum(u16);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xFFFF)
    }
}

impl Checksum {
    fn add(&mut self, byte: u8) {
        self.0 ^= u16::from(byte);
        for _ in 0..8 {
            self.0 = if self.0 & 1 == 1 { self.0 >> 1 ^ 0xA001 } else { self.0 >> 1 };
        }
    }
}

#[cfg(test)]
pub(crate) fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let mut checksum = Checksum::default();
    for byte in &frame {
        checksum.add(*byte);
    }
    frame.extend(checksum.0.to_le_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(request: &[u8]) -> Rtu {
        let mut rtu = Rtu::default();
        rtu.begin(request);
        rtu
    }

    const TWO_REGISTERS: [u8; 6] = [17, 3, 0, 107, 0, 2];

    #[test]
    fn checksum_is_that_of_the_specification() {
        // The example of V1.02, appendix B: function 7 to unit 2.
        assert_eq!(with_checksum(vec![2, 7]), [2, 7, 0x41, 0x12]);
    }

    #[test]
    fn reply_may_arrive_in_any_pieces_and_nothing_may_follow_it() {
        let replies = [with_checksum(vec![17, 3, 4, 1, 2, 3, 4]), with_checksum(vec![17, 0x83, 2])];
        for reply in replies {
            for cut in 0..reply.len() {
                let mut rtu = expecting(&TWO_REGISTERS);
                let (head, tail) = reply.split_at(cut);
                rtu.take(head).unwrap();
                assert!(rtu.is_expecting() && rtu.is_partial() == (cut > 0));
                rtu.take(tail).unwrap();
                assert!(!rtu.is_expecting());
                assert!(matches!(rtu.take(&[17]), Err(Fault::Surplus)));
            }
        }
    }

    #[test]
    fn bits_arrive_in_whole_bytes() {
        let mut rtu = expecting(&[1, 1, 0, 0, 0, 9]);
        rtu.take(&with_checksum(vec![1, 1, 2, 255, 1])).unwrap();
    }

    #[test]
    fn any_changed_byte_is_a_fault() {
        let reply = with_checksum(vec![17, 3, 4, 1, 2, 3, 4]);
        for at in 0..reply.len() {
            for change in 1..=255 {
                let mut changed = reply.clone();
                changed[at] ^= change;
                // A changed function code can be that of the exception, which is then too long.
                assert!(expecting(&TWO_REGISTERS).take(&changed).is_err(), "{changed:?}");
            }
        }
    }
}
