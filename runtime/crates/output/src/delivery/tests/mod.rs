//! Delivery against servers that behave and servers that do not.

mod comparison;
mod damage;
mod log;
mod outage;
mod reload;
mod relocation;
mod scheduler;
mod server;
mod several;
mod sharing;

use std::path::Path;

use pattoo_measurement::{AgentId, Program};
use pattoo_spool::{NewPayload, QueueId, Spool, SpoolLimits, StoredId};

use super::DeliverySettings;
use crate::{ServerUrl, agent_key};

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

/// Changes the file of a spool without its knowledge, as damage does.
fn tamper<T>(spool: &Spool, with: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) {
    let db = rusqlite::Connection::open(spool.path()).unwrap();
    // It stays in the log, as with every other process.
    db.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    with(&db).unwrap();
}

/// Stores `text` as a payload of the agent.
async fn put(spool: &Spool, server: &ServerUrl, digit: char, text: impl Into<String>) -> StoredId {
    store(spool, server, &agent(digit), text.into()).await
}

async fn store(spool: &Spool, server: &ServerUrl, agent: &AgentId, text: String) -> StoredId {
    spool.store(vec![payload(queue(server, agent), text)]).await.unwrap()[0]
}

fn payload(queue: QueueId, text: impl Into<Vec<u8>>) -> NewPayload {
    NewPayload {
        queue,
        program: program().to_string(),
        epoch: 0,
        content_type: "application/json".into(),
        encoding: "".into(),
        count: 1,
        created: 1_578_071_455_335,
        bytes: text.into(),
    }
}

fn queue(server: &ServerUrl, agent: &AgentId) -> QueueId {
    QueueId { output: server.id().clone(), agent: agent_key(agent).unwrap() }
}

/// Fast enough for a test, and without an hour of patience.
fn settings() -> DeliverySettings {
    DeliverySettings { timeout: std::time::Duration::from_secs(5), ..DeliverySettings::default() }
}
