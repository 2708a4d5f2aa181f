//! The frames of a serial line in ASCII mode: a colon, two hexadecimal digits for each byte of unit,
//! function, data and checksum, carriage return, line feed (Modbus over Serial Line Specification
//! and Implementation Guide V1.02, section 2.5.2).
//!
//! They are compared with the request as those of RTU are.

use std::borrow::Cow;

use super::{
    fault::Fault,
    framing::{Framing, Reply, RequestInProgress},
};

const START: u8 = b':';
const END: &[u8; 2] = b"\r\n";

/// The frames of a serial line in ASCII mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ascii;

impl Framing for Ascii {
    const IS_NUMBERED: bool = false;

    fn encode(&self, request: RequestInProgress, pdu: &[u8]) -> Vec<u8> {
        with_checksum([&[request.unit], pdu].concat())
    }

    fn decode<'a>(&self, request: RequestInProgress, bytes: &'a [u8]) -> Result<Option<Reply<'a>>, Fault> {
        let Some((start, digits)) = bytes.split_first() else { return Ok(None) };
        if *start != START {
            return Err(Fault::NotAscii(*start));
        }
        let mut rest = digits;
        let mut body = Vec::new();
        // Unit and PDU, then one byte of checksum.
        while request.length_of(&body)?.is_none_or(|length| body.len() <= length) {
            let Some(([high, low], behind)) = rest.split_first_chunk() else { return Ok(None) };
            body.push(value(*high)? << 4 | value(*low)?);
            rest = behind;
        }
        let end = rest.get(..END.len()).unwrap_or(rest);
        if let Some((wrong, _)) = end.iter().zip(END).find(|(found, expected)| found != expected) {
            return Err(Fault::NotAscii(*wrong));
        }
        if end.len() < END.len() {
            return Ok(None);
        }
        if body.pop() != Some(checksum(&body)) {
            return Err(Fault::Checksum);
        }
        let length = bytes.len().saturating_sub(rest.len()).saturating_add(END.len());
        Ok(Some(Reply { pdu: Cow::Owned(body.split_off(1)), length }))
    }
}

/// A frame of these bytes, from its unit on.
pub(crate) fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(checksum(&bytes));
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0F)]);
    [START].into_iter().chain(digits).chain(*END).collect()
}

/// The longitudinal redundancy check: the sum of all bytes and this one is 0 (V1.02, section
/// 2.5.2.2).
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte))
}

/// The hexadecimal digit of a value below 16.
fn digit(value: u8) -> u8 {
    value.wrapping_add(if value < 10 { b'0' } else { b'A' - 10 })
}

/// The value of a hexadecimal digit. The specification has upper case only.
fn value(digit: u8) -> Result<u8, Fault> {
    match digit {
        b'0'..=b'9' => Ok(digit & 0x0F),
        b'A'..=b'F' | b'a'..=b'f' => Ok((digit & 0x0F).saturating_add(9)),
        other => Err(Fault::NotAscii(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::Tolerance;

    fn two_registers() -> RequestInProgress {
        RequestInProgress::new(0, 17, &[3, 0, 107, 0, 2], Tolerance::NONE).unwrap()
    }

    #[test]
    fn request_is_a_line_of_digits_with_its_checksum() {
        // 0x11 + 0x03 + 0x6B + 0x02 is 0x81.
        assert_eq!(Ascii.encode(two_registers(), &[3, 0, 107, 0, 2]), b":1103006B00027F\r\n");
    }

    #[test]
    fn reply_is_complete_with_its_last_byte() {
        for body in [vec![17, 3, 4, 1, 2, 0xAB, 4], vec![17, 0x83, 2]] {
            let reply = with_checksum(body.clone());
            for cut in 0..reply.len() {
                assert_eq!(Ascii.decode(two_registers(), &reply[..cut]).unwrap(), None, "cut at {cut}");
            }
            let expected = Reply { pdu: body[1..].into(), length: reply.len() };
            let more = [&reply[..], &[17]].concat();
            assert_eq!(Ascii.decode(two_registers(), &more).unwrap(), Some(expected));
        }
        let lower = with_checksum(vec![17, 3, 4, 1, 2, 0xAB, 4]).to_ascii_lowercase();
        assert!(Ascii.decode(two_registers(), &lower).unwrap().is_some());
    }

    #[test]
    fn any_changed_byte_is_a_fault() {
        let reply = with_checksum(vec![17, 3, 4, 1, 2, 3, 4]);
        for at in 0..reply.len() {
            for change in 1..=255 {
                let mut changed = reply.clone();
                changed[at] ^= change;
                let is_same = changed.eq_ignore_ascii_case(&reply);
                assert!(is_same || Ascii.decode(two_registers(), &changed).is_err(), "{changed:?}");
            }
        }
    }
}
