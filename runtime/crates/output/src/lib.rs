//! The way to the pattoo server, on which nothing is lost.
//!
//! A body is committed to the [`Spool`] before anybody tries to send it, and deleted from there when the server took it, so
//! a process that is killed at any moment loses nothing that was stored. Of each agent the oldest goes first, since the
//! server ignores what is older than the newest that it has; different agents don't wait for each other.
//!
//! - [`Spool`] is the file: what waits, what was set aside, how often each body was refused. It is a crate of its own.
//! - `courier` takes one agent's bodies to their server, one after the other, and decides what an answer means.
//! - `lanes` decides when: which agent is next, how long a server that is away is left alone.
//! - `news` decides what of that is worth a line of the log.
//! - [`Delivery`] is them at work, in a daemon; [`deliver_now`] is one agent's turn, for a command.
//! - [`take_over`] fetches what pattoo's own agents left behind.
//!
//! Several processes may do this on one file. Each agent's queue is posted by one of them at a time: a lock on a byte of a
//! file, which the system releases when its holder dies, however it dies.
//!
//! What can be delivered twice: a body whose answer was on its way when the process was killed, or whose answer was lost by the
//! network. The server drops what it has already.

mod courier;
mod lane;
mod lanes;
mod news;
pub mod pattoo;
mod poster;
mod service;
mod takeover;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that panics has failed, as it should")]
mod tests;

pub use self::{
    courier::{DeliverySettings, NotDelivered, deliver_now},
    lane::{Lane, output_of, store_body},
    poster::{PostError, Poster, ServerUrl, ServerUrlError, Verdict},
    service::Delivery,
    takeover::{Takeover, take_over},
};
pub use pattoo_spool::{
    PayloadInfo, Retried, Selection, Spool, SpoolError, SpoolLimits, SpoolStats, StoredId, StoredPayload,
};
