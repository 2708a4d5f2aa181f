//! The frames of a serial line in RTU mode: unit, function, data and checksum, without a length
//! (Modbus over Serial Line Specification and Implementation Guide V1.02, section 2.5.1).
//!
//! They have no transaction number either, so a reply is compared with its request byte by byte:
//! the same unit, the same function, the requested number of bytes, and a correct checksum. The
//! first wrong byte is a fault, because a frame after noise may belong to another request.

use super::{
    fault::Fault,
    framing::{Framing, Reply, RequestInProgress},
};

/// The frames of a serial line in RTU mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rtu;

impl Framing for Rtu {
    const IS_NUMBERED: bool = false;

    fn encode(&self, request: RequestInProgress, pdu: &[u8]) -> Vec<u8> {
        with_checksum([&[request.unit], pdu].concat())
    }

    fn decode<'a>(&self, request: RequestInProgress, bytes: &'a [u8]) -> Result<Option<Reply<'a>>, Fault> {
        let Some(length) = request.length_of(bytes)?.map(|length| length.saturating_add(2)) else { return Ok(None) };
        let Some((body, found)) = bytes.get(..length).and_then(<[u8]>::split_last_chunk::<2>) else { return Ok(None) };
        if *found != checksum(body) {
            return Err(Fault::Checksum);
        }
        Ok(body.get(1..).map(|pdu| Reply { pdu: pdu.into(), length }))
    }
}

/// A frame with its checksum.
pub(crate) fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    frame.extend(checksum(&frame));
    frame
}

/// CRC-16/MODBUS, low byte first (V1.02, appendix B).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let shift = |sum: u16| if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 };
    let sum = bytes.iter().fold(0xFFFF, |sum, byte| (0..8).fold(sum ^ u16::from(*byte), |sum, _| shift(sum)));
    sum.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::Tolerance;

    fn expecting(unit: u8, pdu: &[u8]) -> RequestInProgress {
        RequestInProgress::new(0, unit, pdu, Tolerance::NONE).unwrap()
    }

    fn two_registers() -> RequestInProgress {
        expecting(17, &[3, 0, 107, 0, 2])
    }

    #[test]
    fn checksum_is_that_of_the_specification() {
        // The example of V1.02, appendix B: function 7 to unit 2.
        assert_eq!(with_checksum(vec![2, 7]), [2, 7, 0x41, 0x12]);
    }

    #[test]
    fn reply_is_complete_with_its_last_byte() {
        for reply in [with_checksum(vec![17, 3, 4, 1, 2, 3, 4]), with_checksum(vec![17, 0x83, 2])] {
            for cut in 0..reply.len() {
                assert_eq!(Rtu.decode(two_registers(), &reply[..cut]).unwrap(), None, "cut at {cut}");
            }
            let (pdu, length) = (reply[1..reply.len() - 2].into(), reply.len());
            let more = [&reply[..], &[17]].concat();
            assert_eq!(Rtu.decode(two_registers(), &more).unwrap(), Some(Reply { pdu, length }));
        }
    }

    #[test]
    fn bits_arrive_in_whole_bytes() {
        let reply = with_checksum(vec![1, 1, 2, 255, 1]);
        assert!(Rtu.decode(expecting(1, &[1, 0, 0, 0, 9]), &reply).unwrap().is_some());
    }

    #[test]
    fn any_changed_byte_is_a_fault() {
        let reply = with_checksum(vec![17, 3, 4, 1, 2, 3, 4]);
        for at in 0..reply.len() {
            for change in 1..=255 {
                let mut changed = reply.clone();
                changed[at] ^= change;
                // A changed function code can be that of the exception, which has another checksum.
                assert!(Rtu.decode(two_registers(), &changed).is_err(), "{changed:?}");
            }
        }
    }
}
