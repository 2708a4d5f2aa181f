//! Why a connection cannot be used any more.

use std::io;

use thiserror::Error;

/// A fault of a connection. Where the operator can choose to tolerate it, the message says how.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("the device closed the connection")]
    Closed,
    #[error("the device closed the connection in the middle of a reply")]
    ClosedWithin,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("the device sent bytes without a request")]
    Unrequested,
    #[error(
        "the device sent bytes before the first request; help: set `pause_after_connect: 500ms` in the grant of the device, \
         which discards what the device sends in this time"
    )]
    Banner,
    #[error("the device sent more than one reply to a request")]
    Surplus,
    #[error(
        "the device sent more than one reply to a request, or padding behind it; help: add `tolerate: [padding]` to the grant \
         of the device"
    )]
    Padding,
    #[error(
        "the device sent the request back before its reply; help: add `tolerate: [echo]` to the grant of the device, or switch \
         the echo of the adapter off"
    )]
    Echo,
    #[error("the device announced a reply of {0} bytes, which is not a valid length")]
    Length(u16),
    #[error("the device sent bytes that are not a frame of Modbus ASCII: found {0:#04x}")]
    NotAscii(u8),
    #[error("the device sent bytes that are not a Modbus reply: the protocol identifier is {0}, not 0")]
    ProtocolId(u16),
    #[error(
        "the device sent the reply to another request: the reply has transaction {found}, the request had {expected}; help: \
         add `tolerate: [wrong-transaction]` to the grant of the device, if it numbers all its replies itself"
    )]
    OtherTransaction { found: u16, expected: u16 },
    #[error(
        "the device sent a reply of another unit: the reply is of unit {found}, the request was to unit {expected}; help: add \
         `tolerate: [wrong-unit]` to the grant of the device, if all its replies are of another unit{}", or_padding(*.found)
    )]
    OtherUnit { found: u8, expected: u8 },
    #[error("the device replied with another function: the reply has {found}, the request had {expected}")]
    OtherFunction { found: u8, expected: u8 },
    #[error("the device replied with {found} bytes where {expected} were requested")]
    Size { found: u8, expected: u8 },
    #[error("the checksum of the reply is wrong")]
    Checksum,
}

/// What a unit may be instead: a byte of padding before the reply.
fn or_padding(unit: u8) -> &'static str {
    match unit {
        0 | 0xFF => ", or `tolerate: [padding]`, if it sends bytes before its replies",
        _ => "",
    }
}

impl Fault {
    /// The end of the connection, possibly within a reply.
    pub(super) fn closed(is_within: bool) -> Self {
        if is_within { Self::ClosedWithin } else { Self::Closed }
    }

    /// An error of a read, possibly within a reply.
    pub(super) fn of_read(error: io::Error, is_within: bool) -> Self {
        // A device that closes a TLS connection without saying so.
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::closed(is_within) } else { Self::Broken(error) }
    }

    /// Whether the device may have closed the connection because it was idle. There was no part of
    /// a reply, so the request can be sent again over a new connection: reading changes nothing.
    pub(super) fn may_be_idle_close(&self) -> bool {
        matches!(self, Self::Closed | Self::Broken(_) | Self::Unrequested)
    }

    /// Whether the device violated the protocol; otherwise the connection was lost.
    pub(super) fn is_protocol(&self) -> bool {
        !matches!(self, Self::Closed | Self::ClosedWithin | Self::Broken(_))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}
