//! Tests of the spool.

mod damage;
mod eviction;
mod migration;
mod model;
mod relocation;
mod together;

use std::path::Path;

use super::{AgentKey, NewPayload, OutputId, QueueId, Spool, SpoolLimits, StoredId};

fn agent(digit: char) -> AgentKey {
    digit.to_string().repeat(64).parse().unwrap()
}

fn server() -> OutputId {
    "http://127.0.0.1:1".parse().unwrap()
}

fn queue(digit: char) -> QueueId {
    QueueId { output: server(), agent: agent(digit) }
}

fn open(folder: &Path) -> Spool {
    open_with(folder, SpoolLimits::default())
}

fn open_with(folder: &Path, limits: SpoolLimits) -> Spool {
    Spool::open(&folder.join("spool.sqlite3"), limits).unwrap()
}

fn payload(queue: QueueId, bytes: impl Into<Vec<u8>>) -> NewPayload {
    NewPayload {
        queue,
        program: "TEST".to_owned(),
        epoch: 0,
        content_type: "application/json".into(),
        encoding: "".into(),
        count: 1,
        created: 1_578_071_455_335,
        bytes: bytes.into(),
    }
}

/// Stores `text` as a payload of the agent.
async fn put(spool: &Spool, digit: char, text: impl Into<String>) -> StoredId {
    spool.store(vec![payload(queue(digit), text.into())]).await.unwrap()[0]
}

/// A number that looks random and is the same in each run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The damaged files that were kept aside in `folder`.
fn kept_aside(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("damaged-") && name.ends_with(".sqlite3")).collect()
}
