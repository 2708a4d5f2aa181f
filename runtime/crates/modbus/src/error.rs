//! Errors of a read.

use std::time::Duration;

use thiserror::Error;

use crate::model::{ExceptionCode, Span};

/// Why a span could not be read.
///
/// The messages contain no host, port or network address, so that a program may show them to code
/// that knows devices by name only. Log events of this crate have the endpoint as a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The caller may not read the span; nothing was sent.
    #[error("no grant allows reading {0}")]
    Denied(Span),
    /// The device replied with an exception.
    #[error("the device answered {0}")]
    Exception(ExceptionCode),
    /// No complete reply within this time.
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// There is no connection, or it was lost before the reply was complete; the reason.
    #[error("{0}")]
    Connection(String),
    /// The deadline of the read came before the reply.
    #[error("no reply before the deadline")]
    Deadline,
    /// The device sent something that is not a reply to the request; the reason.
    #[error("{0}")]
    Protocol(String),
    /// Nothing was sent for the span, or only a request for more than the span; the reason.
    #[error("not read: {0}")]
    NotSent(NotSent),
}

impl ReadError {
    /// Whether the device replied. A gateway that says that the unit behind it is silent is no reply.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::Exception(code) => !code.says_unit_is_silent(),
            Self::Protocol(_) => true,
            Self::Denied(_) | Self::Timeout(_) | Self::Connection(_) | Self::Deadline | Self::NotSent(_) => false,
        }
    }
}

/// Why nothing was sent for a span that may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotSent {
    /// Other requests to the unit got no reply, in this read or in the last ones.
    #[error("the unit does not answer")]
    UnitSilent,
    /// The unit answers, but earlier requests for the span got no reply. It is requested again after
    /// ten minutes.
    #[error("earlier requests for it got no reply")]
    AddressSilent,
    /// The deadline of the read was near.
    #[error("the deadline was near")]
    Deadline,
    /// Too many requests of this read got no reply. The next read continues.
    #[error("too many requests to the unit got no reply")]
    TooManySilences,
}

/// Why a request has no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// It failed with this error.
    Failed(ReadError),
    /// It was sent, and no reply came: either its unit or one of its addresses is silent. The error
    /// is that of its spans, if nothing more is found out.
    NoReply(ReadError),
    /// It was not sent, because an earlier request of the same list to the same unit got no reply.
    Skipped,
}

impl From<ReadError> for RequestError {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}
