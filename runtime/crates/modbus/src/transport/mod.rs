//! Connections to endpoints: TCP and serial lines, one request at a time, every reply checked.

mod ascii;
mod attempts;
mod connect;
mod connection;
mod datagram;
mod discard;
mod fault;
mod frame_filter;
mod framing;
mod happy_eyeballs;
mod link;
mod rtu;
mod serial_port;
mod tcp;
mod timeout;

#[cfg(fuzzing)]
pub use self::connection::read_stream;
#[cfg(test)]
pub(crate) use self::{ascii::with_checksum as ascii_frame, rtu::with_checksum};
pub(crate) use self::{
    attempts::Attempts,
    connect::DeniedAddresses,
    connection::{Connection, LostConnection, Opening, Resend},
    serial_port::LineLock,
    timeout::after,
};
