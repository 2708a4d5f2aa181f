//! How the frames of a serial line look: unit, function, data, checksum, and no word of how long they are (Modbus over
//! Serial Line Specification and Implementation Guide V1.02, section 2.5.1).
//!
//! There is no transaction number either, so a reply is held against its request byte by byte: the same unit, the same
//! function, as many bytes as were asked for, and a checksum that is right. The codec above would look for a frame
//! behind bytes that are none; here the first wrong byte ends it, since what comes after noise may be anybody's.

use super::{
    guard::{Fault, Framing},
    table::Table,
};

/// The longest that the data of a reply is: 250 bytes are 125 registers or 2000 bits.
const MAX_BYTES: u16 = 250;
/// Bit 7 of the function says that the reply is an exception (V1.1b3, section 7).
const EXCEPTION: u8 = 0x80;

/// The reply that is expected, and how much of it has passed.
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
    /// What its byte count has to say.
    bytes: u8,
}

impl Expected {
    /// The reply to the request that begins with these bytes.
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
            return Err(if self.passed == 0 { Fault::Unasked } else { Fault::Surplus });
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
        // Unit, function, exception code or byte count and bytes, two of checksum.
        let length = if self.is_exception { 5 } else { usize::from(bytes).saturating_add(5) };
        if self.passed < length {
            return Ok(());
        }
        self.expected = None;
        // The checksum of a frame and its own checksum, low byte first, is 0.
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

    fn is_asked(&self) -> bool {
        self.expected.is_some()
    }

    fn is_within(&self) -> bool {
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
pub(super) fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
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

    fn asked(request: &[u8]) -> Rtu {
        let mut rtu = Rtu::default();
        rtu.begin(request);
        rtu
    }

    const TWO_REGISTERS: [u8; 6] = [17, 3, 0, 107, 0, 2];

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // The example of V1.02, appendix B: function 7 to unit 2.
        assert_eq!(with_checksum(vec![2, 7]), [2, 7, 0x41, 0x12]);
    }

    #[test]
    fn a_reply_passes_in_any_pieces_and_nothing_passes_after_it() {
        let replies = [with_checksum(vec![17, 3, 4, 1, 2, 3, 4]), with_checksum(vec![17, 0x83, 2])];
        for reply in replies {
            for cut in 0..reply.len() {
                let mut rtu = asked(&TWO_REGISTERS);
                let (head, tail) = reply.split_at(cut);
                rtu.take(head).unwrap();
                assert!(rtu.is_asked() && rtu.is_within() == (cut > 0));
                rtu.take(tail).unwrap();
                assert!(!rtu.is_asked());
                assert!(matches!(rtu.take(&[17]), Err(Fault::Surplus)));
            }
        }
    }

    #[test]
    fn bits_come_in_whole_bytes() {
        let mut rtu = asked(&[1, 1, 0, 0, 0, 9]);
        rtu.take(&with_checksum(vec![1, 1, 2, 255, 1])).unwrap();
    }

    #[test]
    fn any_changed_byte_is_a_fault() {
        let reply = with_checksum(vec![17, 3, 4, 1, 2, 3, 4]);
        for at in 0..reply.len() {
            for change in 1..=255 {
                let mut changed = reply.clone();
                changed[at] ^= change;
                // A changed function can be the exception, which then is too long.
                assert!(asked(&TWO_REGISTERS).take(&changed).is_err(), "{changed:?}");
            }
        }
    }
}
