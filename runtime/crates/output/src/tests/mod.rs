//! Delivery against servers that behave and servers that do not.

mod company;
mod damage;
mod moved;
mod outage;
mod server;
mod sharing;

use std::path::Path;

use crate::pattoo::Body;
use pattoo_measurement::{AgentId, Program};

use super::{DeliverySettings, ServerUrl, Spool, SpoolLimits, StoredId, store_body};

fn agent(digit: char) -> AgentId {
    digit.to_string().repeat(64).parse().unwrap()
}

fn program() -> Program {
    "TEST".parse().unwrap()
}

fn open(folder: &Path) -> Spool {
    Spool::open(&folder.join("spool.sqlite3"), SpoolLimits::default()).unwrap()
}

/// Does something to the file of a spool behind its back, as damage does.
fn tamper<T>(spool: &Spool, with: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) {
    let db = rusqlite::Connection::open(spool.path()).unwrap();
    // It stays in the log, as with every other process.
    db.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    with(&db).unwrap();
}

/// Stores `text` as a body of the agent.
async fn put(spool: &Spool, server: &ServerUrl, digit: char, text: impl Into<String>) -> StoredId {
    store_body(spool, &Body::of_test(agent(digit), text.into()), &program(), server).await.unwrap()
}

/// Fast enough for a test, and without an hour of patience.
fn settings() -> DeliverySettings {
    DeliverySettings { timeout: std::time::Duration::from_secs(5), ..DeliverySettings::default() }
}
