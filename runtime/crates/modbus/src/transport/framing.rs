//! Frames: how the unit and the protocol data unit (PDU) of a request and its reply travel on a
//! transport.

use std::{borrow::Cow, fmt};

use super::fault::Fault;
use crate::{
    model::Table,
    tolerance::{Deviation, Tolerance},
};

/// Bit 7 of the function code marks an exception (V1.1b3, section 7).
const EXCEPTION: u8 = 0x80;

/// The request in progress: what its reply has to match.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestInProgress {
    /// Its number on the wire, where frames have one.
    pub(super) transaction: u16,
    pub(super) unit: u8,
    function: u8,
    /// The byte count that the reply has to have.
    bytes: u8,
    tolerance: Tolerance,
}

impl RequestInProgress {
    /// The request with this PDU; `None` if it reads no table.
    pub(super) fn new(transaction: u16, unit: u8, pdu: &[u8], tolerance: Tolerance) -> Option<Self> {
        let [function, _, _, high, low] = *pdu else { return None };
        let count = u16::from_be_bytes([high, low]);
        let bytes = if Table::from_function(function)?.is_bits() { count.div_ceil(8) } else { count.checked_mul(2)? };
        Some(Self { transaction, unit, function, bytes: u8::try_from(bytes).ok()?, tolerance })
    }

    pub(super) fn tolerates(self, deviation: Deviation) -> bool {
        self.tolerance.contains(deviation)
    }

    /// Whether the frame of its reply can be the same bytes as its own frame: both have five bytes
    /// between unit and checksum.
    pub(super) fn can_equal_its_reply(self) -> bool {
        self.bytes == 3
    }

    /// Checks the unit of a reply.
    pub(super) fn check_unit(self, found: u8) -> Result<(), Fault> {
        let expected = self.unit;
        let matches = found == expected || self.tolerates(Deviation::WrongUnit);
        if matches { Ok(()) } else { Err(Fault::OtherUnit { found, expected }) }
    }

    /// Checks the transaction of a reply.
    pub(super) fn check_transaction(self, found: u16) -> Result<(), Fault> {
        let expected = self.transaction;
        let matches = found == expected || self.tolerates(Deviation::WrongTransaction);
        if matches { Ok(()) } else { Err(Fault::OtherTransaction { found, expected }) }
    }

    /// Checks the beginning of a reply, from its unit on, and returns the length of unit and PDU
    /// once it is known. For frames that have no length: it follows from the request.
    pub(super) fn length_of(self, reply: &[u8]) -> Result<Option<usize>, Fault> {
        let mut bytes = reply.iter().copied();
        let Some(unit) = bytes.next() else { return Ok(None) };
        self.check_unit(unit)?;
        let Some(function) = bytes.next() else { return Ok(None) };
        if function == self.function | EXCEPTION {
            return Ok(Some(3));
        }
        if function != self.function {
            return Err(Fault::OtherFunction { found: function, expected: self.function });
        }
        match bytes.next() {
            None => Ok(None),
            Some(found) if found != self.bytes => Err(Fault::Size { found, expected: self.bytes }),
            Some(count) => Ok(Some(usize::from(count).saturating_add(3))),
        }
    }
}

/// A reply at the beginning of the bytes that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    /// Its function and data.
    pub(super) pdu: Cow<'a, [u8]>,
    /// The length of its frame.
    pub(super) length: usize,
}

/// The frames of a transport.
pub(super) trait Framing: fmt::Debug + Unpin + Send + 'static {
    /// Whether each frame has the transaction number of its request.
    const IS_NUMBERED: bool;

    /// The frame of a request with this PDU.
    fn encode(&self, request: RequestInProgress, pdu: &[u8]) -> Vec<u8>;

    /// The reply with which `bytes` begin; `None` as long as it is not complete. The first byte
    /// that cannot belong to the reply is a fault, even if the frame is not complete.
    fn decode<'a>(&self, request: RequestInProgress, bytes: &'a [u8]) -> Result<Option<Reply<'a>>, Fault>;
}
