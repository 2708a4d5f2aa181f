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
    /// The device sent something that is not a reply to the request; the reason.
    #[error("{0}")]
    Protocol(String),
}
