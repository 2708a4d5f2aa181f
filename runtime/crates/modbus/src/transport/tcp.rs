//! The frames of Modbus TCP: a prefix with a transaction number and the length of the rest.

use super::{
    fault::Fault,
    framing::{Framing, Reply, RequestInProgress},
};

/// The number of bytes before those that the length field counts (Modbus Messaging on TCP/IP
/// Implementation Guide V1.0b, section 3.1.3).
pub(super) const PREFIX: usize = 6;
/// The minimum length in a reply: unit, function, exception code.
const MIN_LENGTH: u16 = 3;
/// The maximum length in a reply: the unit and a PDU of 253 bytes.
const MAX_LENGTH: u16 = 254;

/// The frames of Modbus TCP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mbap;

/// A frame of Modbus TCP.
pub(super) fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let [transaction_high, transaction_low] = transaction.to_be_bytes();
    // The unit counts too. A PDU is never longer than 253 bytes.
    let [high, low] = u16::try_from(pdu.len()).unwrap_or(u16::MAX).saturating_add(1).to_be_bytes();
    let mut frame = vec![transaction_high, transaction_low, 0, 0, high, low, unit];
    frame.extend(pdu);
    frame
}

impl Framing for Mbap {
    const IS_NUMBERED: bool = true;

    fn encode(&self, request: RequestInProgress, pdu: &[u8]) -> Vec<u8> {
        frame(request.transaction, request.unit, pdu)
    }

    fn decode<'a>(&self, request: RequestInProgress, bytes: &'a [u8]) -> Result<Option<Reply<'a>>, Fault> {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let word = |high, low| u16::from_be_bytes([high, low]);
        let [transaction_high, transaction_low, protocol_high, protocol_low, high, low] = *prefix;
        let length = word(high, low);
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            return Err(Fault::Length(length));
        }
        match word(protocol_high, protocol_low) {
            0 => request.check_transaction(word(transaction_high, transaction_low))?,
            other => return Err(Fault::ProtocolId(other)),
        }
        let Some((unit, pdu)) = rest.split_first() else { return Ok(None) };
        request.check_unit(*unit)?;
        let pdu = pdu.get(..usize::from(length.saturating_sub(1)));
        Ok(pdu.map(|pdu| Reply { pdu: pdu.into(), length: PREFIX.saturating_add(length.into()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::Tolerance;

    const REPLY: [u8; 9] = [0, 7, 0, 0, 0, 3, 1, 0x83, 2];

    fn expecting() -> RequestInProgress {
        RequestInProgress::new(7, 1, &[3, 0, 0, 0, 1], Tolerance::NONE).unwrap()
    }

    #[test]
    fn reply_is_complete_with_its_last_byte() {
        for cut in 0..REPLY.len() {
            assert_eq!(Mbap.decode(expecting(), &REPLY[..cut]).unwrap(), None, "cut at {cut}");
        }
        let twice = [REPLY, REPLY].concat();
        assert_eq!(Mbap.decode(expecting(), &twice).unwrap(), Some(Reply { pdu: [0x83, 2][..].into(), length: 9 }));
    }

    #[test]
    fn invalid_length_is_a_fault_at_once() {
        for length in [0, 1, 2, 255, 256, u16::MAX] {
            let [high, low] = length.to_be_bytes();
            let prefix = [0, 7, 0, 0, high, low];
            let outcome = Mbap.decode(expecting(), &prefix);
            assert!(matches!(outcome, Err(Fault::Length(found)) if found == length));
        }
    }
}
