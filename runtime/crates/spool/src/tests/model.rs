//! The spool against a simple model of it, through random operations and crashes.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use proptest::prelude::*;

use super::{agent, open, open_with, payload, put};
use crate::{Expired, Judgement, OutputId, QueueId, Refusal, Selection, Spool, SpoolError, SpoolLimits, StoredId};

/// How many strikes are enough here.
const STRIKES: u32 = 3;

#[derive(Debug, Clone)]
enum Op {
    Store {
        queue: usize,
        size: usize,
    },
    /// Several payloads in one transaction.
    StoreTogether(Vec<(usize, usize)>),
    /// The output accepts the oldest payload of a queue.
    Deliver(usize),
    /// The output refuses the oldest payload of a queue.
    Refuse(usize),
    Retry,
    /// A person deletes the n-th payload.
    Delete(usize),
    /// The n-th payload goes to quarantine.
    Quarantine(usize),
    /// A number of payloads are stored once, the last of them for a second time.
    StoreOnce {
        queue: usize,
        payloads: u64,
    },
    /// What is as old as the n-th payload expires.
    Age(usize),
    /// A number of numbers are used up by payloads that are gone already.
    Skip(i64),
    /// The process is killed, and another one opens what is on disk.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0usize..4, 1usize..9000).prop_map(|(queue, size)| Op::Store { queue, size }),
        2 => prop::collection::vec((0usize..4, 1usize..14_000), 0..4).prop_map(Op::StoreTogether),
        4 => (0usize..4).prop_map(Op::Deliver),
        6 => (0usize..4).prop_map(Op::Refuse),
        1 => Just(Op::Retry),
        1 => (0usize..8).prop_map(Op::Delete),
        1 => (0usize..8).prop_map(Op::Quarantine),
        1 => (0usize..4, 1u64..4).prop_map(|(queue, payloads)| Op::StoreOnce { queue, payloads }),
        1 => (0usize..3).prop_map(Op::Age),
        2 => (0i64..9000).prop_map(Op::Skip),
        2 => Just(Op::Crash),
    ]
}

/// A payload of the model.
#[derive(Debug, Clone, PartialEq)]
struct Modelled {
    queue: usize,
    text: String,
    quarantined: bool,
    attempts: i64,
    strikes: u32,
    accepted_at_strike: u32,
}

impl Modelled {
    fn size(&self) -> u64 {
        self.text.len() as u64
    }
}

#[derive(Debug, Default)]
struct Model {
    payloads: BTreeMap<StoredId, Modelled>,
    accepted: BTreeMap<OutputId, u32>,
    delivered: u64,
    refused: u64,
    dropped: u64,
    /// The last number that was given.
    last: i64,
}

/// Small enough for payloads to be evicted now and then.
const LIMITS: SpoolLimits = SpoolLimits { bytes: 30_000, age: Duration::from_hours(24) };

/// Two agents, each with payloads for two outputs.
fn queue(number: usize) -> QueueId {
    QueueId { output: format!("http://server-{}", number / 2).parse().unwrap(), agent: agent(['a', 'b'][number % 2]) }
}

impl Model {
    fn store(&mut self, queue: usize, text: String) {
        assert!(self.store_all(vec![(queue, text)]));
    }

    /// Stores all or, if they do not fit without one of them being evicted, none. Returns which.
    fn store_all(&mut self, new: Vec<(usize, String)>) -> bool {
        let before = (self.payloads.clone(), self.dropped, self.last);
        let first = StoredId(self.last + 1);
        for (queue, text) in new {
            let entry = Modelled { queue, text, quarantined: false, attempts: 0, strikes: 0, accepted_at_strike: 0 };
            self.last += 1;
            self.payloads.insert(StoredId(self.last), entry);
        }
        while self.payloads.values().map(Modelled::size).sum::<u64>() > LIMITS.bytes {
            // Of the agent that holds the most; of two that hold the same, the one that the index has last.
            let most = (0..2).max_by_key(|agent| self.held_by(*agent)).unwrap();
            let own = || self.payloads.iter().filter(|(_, entry)| entry.queue % 2 == most);
            let quarantined = own().find(|(_, entry)| entry.quarantined);
            let (id, _) = quarantined.or_else(|| own().next()).unwrap();
            let id = *id;
            if id >= first {
                (self.payloads, self.dropped, self.last) = before;
                return false;
            }
            self.payloads.remove(&id);
            self.dropped += 1;
        }
        true
    }

    fn held_by(&self, agent: usize) -> u64 {
        self.payloads.values().filter(|entry| entry.queue % 2 == agent).map(Modelled::size).sum()
    }

    fn first(&self, queue: usize) -> Option<StoredId> {
        self.payloads.iter().find(|(_, entry)| entry.queue == queue && !entry.quarantined).map(|(id, _)| *id)
    }
}

async fn apply(spool: &mut Spool, model: &mut Model, folder: &Path, step: usize, op: Op) {
    match op {
        Op::Store { queue: number, size } => {
            let text = format!("{step} {}", "x".repeat(size));
            let ids = spool.store(vec![payload(queue(number), text.clone())]).await.unwrap();
            model.store(number, text);
            assert_eq!(ids, [StoredId(model.last)], "numbers increase");
        }
        Op::StoreTogether(new) => {
            let new: Vec<(usize, String)> = new
                .into_iter()
                .enumerate()
                .map(|(at, (number, size))| (number, format!("{step} {at} {}", "x".repeat(size))))
                .collect();
            let payloads = new.iter().map(|(number, text)| payload(queue(*number), text.clone())).collect();
            let (stored, expected) = (spool.store(payloads).await, model.last + 1);
            if model.store_all(new) {
                assert_eq!(stored.unwrap(), (expected..=model.last).map(StoredId).collect::<Vec<_>>());
            } else {
                assert!(matches!(stored, Err(SpoolError::NoRoom { .. } | SpoolError::TooLarge { .. })), "{stored:?}");
            }
        }
        Op::Deliver(number) => {
            let Some(id) = model.first(number) else { return };
            spool.delivered(id, &queue(number).output).await.unwrap();
            model.payloads.remove(&id);
            *model.accepted.entry(queue(number).output).or_default() += 1;
            model.delivered += 1;
        }
        Op::Refuse(number) => {
            let Some(id) = model.first(number) else { return };
            let server = queue(number).output;
            let accepted = model.accepted.get(&server).copied().unwrap_or(0);
            let entry = model.payloads.get_mut(&id).unwrap();
            entry.attempts += 1;
            if entry.strikes == 0 || accepted > entry.accepted_at_strike {
                entry.strikes += 1;
                entry.accepted_at_strike = accepted;
            }
            entry.quarantined = entry.strikes >= STRIKES;
            model.refused += 1;
            let refusal = Refusal { text: "no".to_owned(), of_the_payload: true, first_counts: true, strikes: STRIKES };
            let judgement = spool.refused(id, &server, refusal).await.unwrap();
            assert_eq!(judgement == Judgement::Quarantined, entry.quarantined);
        }
        Op::Retry => {
            let quarantined = Selection { quarantined: Some(true), ..Selection::default() };
            let retried = spool.retry(quarantined).await.unwrap();
            let quarantined: Vec<_> = model.payloads.values_mut().filter(|entry| entry.quarantined).collect();
            assert_eq!((retried.queued, retried.damaged.len()), (quarantined.len() as u64, 0));
            for entry in quarantined {
                (entry.quarantined, entry.strikes, entry.accepted_at_strike) = (false, 0, 0);
            }
        }
        Op::Delete(at) => {
            let Some(id) = model.payloads.keys().nth(at).copied() else { return };
            let this = Selection { ids: vec![id], ..Selection::default() };
            assert_eq!(spool.delete(this).await.unwrap(), 1);
            model.payloads.remove(&id);
            model.dropped += 1;
        }
        Op::Quarantine(at) => {
            let Some((id, entry)) = model.payloads.iter_mut().nth(at) else { return };
            spool.quarantine(*id, "for a test").await.unwrap();
            entry.quarantined = true;
        }
        Op::StoreOnce { queue: number, payloads } => {
            for at in 0..payloads {
                let text = format!("{step} {at}");
                let new = || payload(queue(number), text.clone());
                let id = spool.store_once(new()).await.unwrap();
                model.store(number, text.clone());
                assert_eq!(id, StoredId(model.last));
                if at + 1 == payloads {
                    assert_eq!(spool.store_once(new()).await.unwrap(), id, "it is there already");
                }
            }
        }
        Op::Age(at) => {
            let found = spool.list(Selection::default(), u32::MAX).await.unwrap();
            let Some(young) = found.get(at).map(|entry| entry.stored + 1) else { return };
            let before = Expired { up_to: 0, found: i64::MAX, stored_before: young };
            let old: Vec<StoredId> =
                found.iter().take_while(|entry| entry.stored < young).map(|entry| entry.id).collect();
            assert_eq!(spool.sweep(before).await.unwrap(), i64::try_from(old.len()).unwrap());
            model.payloads.retain(|id, _| !old.contains(id));
            model.dropped += old.len() as u64;
        }
        Op::Skip(numbers) => model.last += skip(spool, numbers).await,
        Op::Crash => {
            // What the disk holds at this moment, without the end that closing would make.
            let image = folder.join(format!("image-{step}"));
            std::fs::create_dir(&image).unwrap();
            for suffix in ["", "-wal"] {
                let name = format!("spool.sqlite3{suffix}");
                std::fs::copy(spool.path().with_file_name(&name), image.join(&name)).unwrap();
            }
            *spool = open_with(&image, LIMITS);
        }
    }
}

async fn compare(spool: &Spool, model: &Model) {
    let found = spool.list(Selection::default(), u32::MAX).await.unwrap();
    assert_eq!(
        found.iter().map(|entry| (entry.id, entry.quarantined, entry.attempts)).collect::<Vec<_>>(),
        model.payloads.iter().map(|(id, entry)| (*id, entry.quarantined, entry.attempts)).collect::<Vec<_>>()
    );
    for (id, entry) in &model.payloads {
        let found = spool.show(*id).await.unwrap().unwrap();
        assert!(found.intact && found.bytes == entry.text.as_bytes());
    }
    let queued =
        |number: usize| model.payloads.values().filter(move |entry| entry.queue == number && !entry.quarantined);
    let mut queues: Vec<QueueId> = (0..4).filter(|number| queued(*number).count() > 0).map(queue).collect();
    queues.sort();
    let mut found = spool.queues().await.unwrap();
    found.sort();
    assert_eq!(found, queues);
    for number in 0..4 {
        let next = spool.next(&queue(number)).await.unwrap();
        let first: Vec<&[u8]> = queued(number).take(next.len()).map(|entry| entry.text.as_bytes()).collect();
        assert_eq!(next.iter().map(|entry| &*entry.bytes).collect::<Vec<_>>(), first);
        assert_eq!(next.is_empty(), queued(number).count() == 0);
    }
    let stats = spool.stats().await.unwrap();
    let bytes = |quarantined: bool| {
        let these = model.payloads.values().filter(move |entry| entry.quarantined == quarantined);
        these.map(|entry| entry.text.len() as u64).fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    };
    assert_eq!((stats.queued, stats.queued_bytes), bytes(false));
    assert_eq!((stats.quarantined, stats.quarantined_bytes), bytes(true));
    assert_eq!((stats.delivered, stats.refused, stats.dropped), (model.delivered, model.refused, model.dropped));
    assert_eq!(stats.oldest.is_some(), stats.queued > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn spool_agrees_with_its_model_after_any_operations(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (mut spool, mut model) = (open_with(folder.path(), LIMITS), Model::default());
            for (step, op) in ops.into_iter().enumerate() {
                apply(&mut spool, &mut model, folder.path(), step, op).await;
            }
            compare(&spool, &model).await;
        });
    }
}

/// Has the next entry get a number that is higher by `numbers`, if there was a entry. Returns by how much.
async fn skip(spool: &Spool, numbers: i64) -> i64 {
    let skip = move |db: &rusqlite::Connection| {
        db.execute("UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'payload'", [numbers])
    };
    if spool.write(skip).await.unwrap() > 0 { numbers } else { 0 }
}

/// The variable that makes a process of this test binary one that stores and is killed.
const VICTIM: &str = "PATTOO_WASM_TEST_VICTIM";

/// Stores numbers from 32 tasks at once, and prints each once it is
/// stored. It is started by the test below, and does nothing otherwise.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spool = open(Path::new(&folder));
        let tasks = (0..32).map(|task| {
            let spool = spool.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let text = format!("{task} {number} {}", "x".repeat(task * 100));
                    let id = put(&spool, 'a', &text).await;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "STORED {id} {task} {number}").unwrap();
                    out.flush().unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

#[tokio::test]
async fn stored_payloads_survive_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut printed = BTreeMap::new();
    for round in 0..12usize {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::model::victim", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after another number of stores each time, in whatever it is doing then.
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while let Some(Ok(line)) = lines.next() {
            // The harness prints the name of the test in front of the first line.
            let Some((_, stored)) = line.split_once("STORED ") else { continue };
            let mut words = stored.splitn(2, ' ');
            let id = StoredId(words.next().unwrap().parse().unwrap());
            let repeated = printed.insert(id, words.next().unwrap().to_owned());
            assert!(repeated.is_none(), "a number was used twice");
            heard += 1;
            if heard == 1 + round * 97 {
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        assert!(heard > round * 97, "it lived until it was killed");
        let spool = open(folder.path());
        let entries = spool.list(Selection::default(), u32::MAX).await.unwrap();
        for (id, what) in &printed {
            let found = spool.show(*id).await.unwrap().unwrap_or_else(|| panic!("entry {id} is gone"));
            assert!(found.intact && found.bytes.starts_with(format!("{what} ").as_bytes()));
        }
        // Beyond those only what was under way: stored, and not yet printed.
        assert!(entries.len() <= printed.len() + 32 * (round + 1));
    }
}
