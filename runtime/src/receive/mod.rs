//! A receiver that speaks pattoo's protocol: for trying an agent out without a pattoo server.
//!
//! It validates what is posted as strictly as the server does, says what is wrong with it, and hands each good body to its caller,
//! who may keep it in a [`Store`]. A [`Mood`] makes it fail, delay or hang. It is no server to run a plant on: see [`delivery`](pattoo_output) for the way to one.

mod body;
mod mood;
mod server;
mod store;

pub use self::{
    body::{Received, ReceivedError, Record},
    mood::{Mood, Moods},
    server::{Receiver, Sink},
    store::Store,
};
