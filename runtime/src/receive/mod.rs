//! A receiver that speaks pattoo's protocol, to test an agent without a pattoo server.
//!
//! It validates payloads as strictly as the server does, reports what is wrong with them, and
//! passes each valid payload to its caller, which may keep it in a [`Store`]. A [`Scenario`] makes
//! it fail, delay or hang. It is for tests only: [`pattoo_output`] delivers to a real server.

mod payload;
mod scenario;
mod server;
mod store;

pub use self::{
    payload::{ReceivedDatapoint, ReceivedError, ReceivedPayload},
    scenario::{Scenario, ScenarioSource},
    server::{PayloadHandler, Receiver},
    store::Store,
};
