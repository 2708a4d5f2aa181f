//! Delivery against servers that behave and servers that do not.

mod company;
mod damage;
mod model;
mod moved;
mod outage;
mod server;
mod share;
mod sharing;

use std::path::Path;

use crate::pattoo::Body;
use pattoo_measurement::{AgentId, Program};

use super::{DeliverySettings, ServerUrl, Spool, SpoolLimits, StoredId};

fn agent(digit: char) -> AgentId {
    digit.to_string().repeat(64).parse().unwrap()
}

fn program() -> Program {
    "TEST".parse().unwrap()
}

fn open(folder: &Path) -> Spool {
    open_with(folder, SpoolLimits::default())
}

fn open_with(folder: &Path, limits: SpoolLimits) -> Spool {
    Spool::open(&folder.join("spool.sqlite3"), limits).unwrap()
}

/// Stores `text` as a body of the agent.
async fn put(spool: &Spool, server: &ServerUrl, digit: char, text: impl Into<String>) -> StoredId {
    spool.store(&Body::of_test(agent(digit), text.into()), &program(), server).await.unwrap()
}

/// Fast enough for a test, and without an hour of patience.
fn settings() -> DeliverySettings {
    DeliverySettings { timeout: std::time::Duration::from_secs(5), ..DeliverySettings::default() }
}
