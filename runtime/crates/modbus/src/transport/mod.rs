//! Connections to endpoints: TCP and serial lines, one request at a time, every reply checked.

mod connection;
mod fault;
mod frame_filter;
mod framing;
mod happy_eyeballs;
mod open;
mod rtu;
mod tcp;
mod timeout;

#[cfg(fuzzing)]
pub use self::connection::read_stream;
#[cfg(test)]
pub(crate) use self::rtu::with_checksum;
pub(crate) use self::{
    connection::{Connection, LostConnection, Opening, Resend},
    open::{DeniedAddresses, LineLock},
    timeout::after,
};
