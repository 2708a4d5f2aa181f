//! What can go wrong with a read.

use std::time::Duration;

use thiserror::Error;

use super::{span::Span, table::ExceptionCode};

/// Why a span could not be read. No text here names a host, a port or an address on the network: guests see these texts,
/// and know devices by name only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The span is not among what may be read; nothing was sent.
    #[error("{0} may not be read")]
    Denied(Span),
    /// The device answered with an exception.
    #[error("the device answered {0}")]
    Exception(ExceptionCode),
    /// No reply, or not a whole one, within this time.
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// There is no connection, or it was lost before the reply was there. In words.
    #[error("{0}")]
    Connection(String),
    /// What came is not the reply to what was asked. In words.
    #[error("{0}")]
    Protocol(String),
}
