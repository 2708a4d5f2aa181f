//! Requests and replies as bytes on a connection or a line: Modbus TCP and RTU, correct, or wrong
//! on demand.
//!
//! No library is used for the frames: a simulated device must accept anything that a client sends,
//! and a library never writes a wrong frame.

use std::{io, time::Duration};

use pattoo_base::invariant::Invariant as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::timeout,
};

use super::{fault::Fault, value::scatter};

/// How long a connection may send no request.
pub(super) const MAX_SILENCE: Duration = Duration::from_mins(10);
/// The longest PDU: 253 bytes (MODBUS Application Protocol V1.1b3, section 4.1).
const MAX_PDU: usize = 253;
/// The longest RTU frame (MODBUS over Serial Line V1.02, section 2.5.1).
const MAX_RTU: usize = 256;
/// The silence that ends an RTU frame whose length does not follow from its function. The
/// specification has 3.5 characters; over a network and on a pseudo-terminal the system's scheduler
/// causes longer ones.
const RTU_SILENCE: Duration = Duration::from_millis(50);

/// The format of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A header with transaction and length (Modbus Messaging on TCP/IP Implementation Guide V1.0b,
    /// section 3.1.3).
    Tcp,
    /// The unit in front, a checksum behind (MODBUS over Serial Line V1.02, section 2.5.1).
    Rtu,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// 0 in RTU, which has none.
    pub(super) transaction: u16,
    pub(super) unit: u8,
    /// Function code and data: at least one byte.
    pub(super) pdu: Vec<u8>,
}

impl Framing {
    /// The next request. In RTU, bytes without a correct checksum are ignored, as by devices.
    ///
    /// # Errors
    /// The connection ended or was silent for too long, or a request is not Modbus.
    pub(super) async fn read(self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
        match self {
            Self::Tcp => read_tcp(stream).await,
            Self::Rtu => read_rtu(stream).await,
        }
    }

    /// The bytes of a reply to `request`, with the faults that change the frame.
    pub(super) fn reply(self, request: &Request, pdu: Vec<u8>, fault: Option<Fault>) -> Vec<u8> {
        let pdu = match fault {
            Some(Fault::Exception(code)) => vec![request.pdu.first().map_or(0x80, |function| function | 0x80), code.0],
            Some(Fault::ShortReply) => resized(pdu, false),
            Some(Fault::LongReply) => resized(pdu, true),
            _ => pdu,
        };
        let unit = if fault == Some(Fault::WrongUnit) { request.unit.wrapping_add(1) } else { request.unit };
        let mut frame = match self {
            Self::Tcp => {
                let step = u16::from(fault == Some(Fault::WrongTransaction));
                let transaction = request.transaction.wrapping_add(step).to_be_bytes();
                // The length includes the unit.
                let length = u16::try_from(pdu.len())
                    .or_broken("a PDU is at most 255 bytes", u16::MAX)
                    .saturating_add(1)
                    .to_be_bytes();
                [&transaction[..], &[0, 0], &length, &[unit], &pdu].concat()
            }
            Self::Rtu => {
                let mut frame = [&[unit], pdu.as_slice()].concat();
                let wrong = if fault == Some(Fault::WrongChecksum) { 0x5A5A } else { 0 };
                frame.extend((checksum(&frame) ^ wrong).to_le_bytes());
                frame
            }
        };
        match fault {
            Some(Fault::Garbage) => {
                let length = frame.len();
                frame = (0_u64..).flat_map(|step| scatter(step).to_le_bytes()).take(length).collect();
            }
            Some(Fault::CutReply) => frame.truncate(frame.len() / 2),
            _ => {}
        }
        frame
    }
}

async fn read_tcp(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    // Transaction (2 bytes), protocol (2), length of what follows (2), unit (1).
    let mut header = [0; 7];
    timeout(MAX_SILENCE, stream.read_exact(&mut header)).await??;
    let [transaction_high, transaction_low, 0, 0, length_high, length_low, unit] = header else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a protocol other than 0"));
    };
    // The length includes the unit, and a PDU has at least its function code.
    let length = usize::from(u16::from_be_bytes([length_high, length_low])).saturating_sub(1);
    if !(1..=MAX_PDU).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an invalid length of a request"));
    }
    let mut pdu = vec![0; length];
    timeout(MAX_SILENCE, stream.read_exact(&mut pdu)).await??;
    Ok(Request { transaction: u16::from_be_bytes([transaction_high, transaction_low]), unit, pdu })
}

async fn read_rtu(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    let mut frame = Vec::new();
    // After bytes that are not a frame, only silence shows where the next frame begins.
    let mut lost = false;
    loop {
        let wait = if frame.is_empty() { MAX_SILENCE } else { RTU_SILENCE };
        let silent = match timeout(wait, stream.read_u8()).await {
            Ok(byte) => {
                frame.push(byte?);
                false
            }
            Err(elapsed) if frame.is_empty() => return Err(elapsed.into()),
            Err(_) => true,
        };
        let whole =
            if lost { false } else { silent || frame.len() >= MAX_RTU || request_length(&frame) == Some(frame.len()) };
        if whole {
            if let Some(request) = checked(&frame) {
                return Ok(request);
            }
            lost = true;
        }
        if silent {
            frame.clear();
            lost = false;
        } else if lost {
            frame.truncate(1);
        }
    }
}

/// The length of a request, if its beginning has it: for functions 1 to 6, 15 and 16.
fn request_length(frame: &[u8]) -> Option<usize> {
    match *frame {
        [_, 1..=6, ..] => Some(8),
        [_, 15 | 16, _, _, _, _, bytes, ..] => Some(usize::from(bytes).saturating_add(9)),
        _ => None,
    }
}

fn checked(frame: &[u8]) -> Option<Request> {
    let (body, sum) = frame.split_last_chunk()?;
    let (unit, pdu) = body.split_first()?;
    let right = checksum(body).to_le_bytes() == *sum && !pdu.is_empty();
    right.then(|| Request { transaction: 0, unit: *unit, pdu: pdu.to_vec() })
}

/// CRC-16 with polynomial 0xA001, beginning with all ones (V1.02, section 6.2.2); its low byte is
/// sent first.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xA001 } else { sum >> 1 })
    })
}

/// A reply with a register (or eight bits) more or less than requested, and with the right count of
/// its bytes.
fn resized(mut pdu: Vec<u8>, longer: bool) -> Vec<u8> {
    let step = match pdu.first() {
        Some(1 | 2) => 1,
        Some(3 | 4) => 2,
        // An exception has no length.
        _ => return pdu,
    };
    let length = if longer { pdu.len().saturating_add(step) } else { pdu.len().saturating_sub(step).max(2) };
    pdu.resize(length, 0xAA);
    if let Some(count) = pdu.get_mut(1) {
        *count = u8::try_from(length.saturating_sub(2)).unwrap_or(u8::MAX);
    }
    pdu
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Read one holding register of unit 1 from address 0, and its answer 732.
    const REQUEST: [u8; 8] = [1, 3, 0, 0, 0, 1, 0x84, 0x0A];
    const REPLY: [u8; 7] = [1, 3, 2, 0x02, 0xDC, 0xB8, 0xBD];

    fn request() -> Request {
        Request { transaction: 7, unit: 1, pdu: vec![3, 0, 0, 0, 1] }
    }

    fn reply(framing: Framing, fault: Fault) -> Vec<u8> {
        framing.reply(&request(), vec![3, 2, 0x02, 0xDC], Some(fault))
    }

    #[test]
    fn frames_of_both_kinds_follow_the_specifications() {
        assert_eq!(
            Framing::Tcp.reply(&request(), vec![3, 2, 0x02, 0xDC], None),
            [0, 7, 0, 0, 0, 5, 1, 3, 2, 0x02, 0xDC]
        );
        assert_eq!(Framing::Rtu.reply(&request(), vec![3, 2, 0x02, 0xDC], None), REPLY);
    }

    #[test]
    fn each_fault_changes_only_its_part_of_the_frame() {
        use Fault::{CutReply, LongReply, ShortReply, WrongChecksum, WrongTransaction, WrongUnit};
        assert_eq!(reply(Framing::Tcp, WrongTransaction), [0, 8, 0, 0, 0, 5, 1, 3, 2, 0x02, 0xDC]);
        assert_eq!(reply(Framing::Tcp, WrongUnit), [0, 7, 0, 0, 0, 5, 2, 3, 2, 0x02, 0xDC]);
        assert_eq!(reply(Framing::Tcp, ShortReply), [0, 7, 0, 0, 0, 3, 1, 3, 0]);
        assert_eq!(reply(Framing::Tcp, LongReply), [0, 7, 0, 0, 0, 7, 1, 3, 4, 0x02, 0xDC, 0xAA, 0xAA]);
        assert_eq!(reply(Framing::Tcp, CutReply), [0, 7, 0, 0, 0]);
        let wrong = reply(Framing::Rtu, WrongChecksum);
        assert_eq!((wrong.len(), wrong[..5] == REPLY[..5], checked(&wrong)), (7, true, None));
        let garbage = reply(Framing::Rtu, Fault::Garbage);
        assert_eq!((garbage.len(), checked(&garbage)), (7, None));
        let unit = reply(Framing::Rtu, WrongUnit);
        assert_eq!(checked(&unit).unwrap().unit, 2);
    }

    #[tokio::test]
    async fn request_in_pieces_is_read_completely() {
        // No more than three bytes fit in between.
        let (mut ours, mut theirs) = tokio::io::duplex(3);
        let (sent, read) = tokio::join!(ours.write_all(&REQUEST), Framing::Rtu.read(&mut theirs));
        sent.unwrap();
        assert_eq!(read.unwrap(), Request { transaction: 0, ..request() });
    }

    #[tokio::test]
    async fn invalid_bytes_are_ignored_until_there_is_silence() {
        let (mut ours, mut theirs) = tokio::io::duplex(512);
        let sending = async {
            let mut wrong = REQUEST;
            wrong[7] ^= 1;
            // Without silence in between, the valid frame is treated as the rest of the wrong one.
            ours.write_all(&[&wrong[..], &REQUEST].concat()).await.unwrap();
            tokio::time::sleep(RTU_SILENCE * 4).await;
            ours.write_all(&[0x55; 300]).await.unwrap();
            tokio::time::sleep(RTU_SILENCE * 4).await;
            // An unknown function, which only silence ends; then a valid frame.
            let unknown = [&[1, 0x2B, 14][..], &checksum(&[1, 0x2B, 14]).to_le_bytes()].concat();
            ours.write_all(&unknown).await.unwrap();
            tokio::time::sleep(RTU_SILENCE * 4).await;
            ours.write_all(&REQUEST).await.unwrap();
        };
        let reading = async {
            let first = Framing::Rtu.read(&mut theirs).await.unwrap();
            assert_eq!(first.pdu, [0x2B, 14]);
            assert_eq!(Framing::Rtu.read(&mut theirs).await.unwrap().pdu, request().pdu);
        };
        tokio::join!(sending, reading);
    }
}
