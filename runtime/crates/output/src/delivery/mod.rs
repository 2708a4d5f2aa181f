//! Out of the spool to the outputs.
//!
//! Of each queue the oldest payload goes first; queues do not wait for each other, and outputs share nothing.
//!
//! - `sender` sends the payloads of one queue, one after the other, and decides what an answer means.
//! - `scheduler` decides when: which queue is next, how long an output that is unavailable is left alone; `doubtful_answers`
//!   is what it knows of an output whose answers are doubtful.
//! - `log_throttling` decides what of that is worth a line of the log.
//! - [`Delivery`] is them at work, in a daemon; [`deliver_now`] is one queue's turn, for a command.
//!
//! Several processes may do this on one spool: a queue is locked while its payloads are sent.

mod delivery_settings;
mod delivery_status;
mod doubtful_answers;
mod log_throttling;
mod scheduler;
mod sender;
mod service;
mod turn;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that panics has failed, as it should")]
mod tests;

pub use self::{
    delivery_settings::DeliverySettings,
    delivery_status::{DeliveryStatus, ObservedOutput, OutputStatus},
    sender::{NotDelivered, deliver_now},
    service::Delivery,
};
