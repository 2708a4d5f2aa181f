//! A receiver that speaks pattoo's protocol: for trying an agent out without a pattoo server.
//!
//! It validates what is posted as strictly as the server does, says what is wrong with it, hands each good body to its caller,
//! and keeps nothing by itself. It is no server to run a plant on: see [`delivery`](crate::delivery) for the way to one.

mod body;
mod server;

pub use self::{
    body::{Received, ReceivedError, Record},
    server::{Receiver, Sink},
};
