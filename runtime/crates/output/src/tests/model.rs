//! The spool against a simple model of it, through random operations and crashes.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use proptest::prelude::*;

use super::{agent, open, open_with, put};
use crate::{
    Lane, Selection, ServerUrl, Spool, SpoolLimits, StoredId,
    spool::{Judgement, Old, Refusal},
    take_over,
};

/// How many strikes are enough here.
const STRIKES: u32 = 3;

#[derive(Debug, Clone)]
enum Op {
    Store {
        lane: usize,
        size: usize,
    },
    /// The server takes the first of a lane.
    Deliver(usize),
    /// The server does not take the first of a lane.
    Refuse(usize),
    Retry,
    /// A person drops the n-th of what there is.
    Drop(usize),
    /// The n-th of what there is turns out not to be what was stored.
    SetAside(usize),
    /// So many files of a Python agent are taken over, the last of them for a second time.
    TakeOver {
        lane: usize,
        files: u64,
    },
    /// What is as old as the n-th of what there is has lain there for too long.
    Age(usize),
    /// So many numbers are given to bodies that are gone already.
    Skip(i64),
    /// The process is killed, and another begins with what is on disk.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0usize..4, 1usize..9000).prop_map(|(lane, size)| Op::Store { lane, size }),
        4 => (0usize..4).prop_map(Op::Deliver),
        6 => (0usize..4).prop_map(Op::Refuse),
        1 => Just(Op::Retry),
        1 => (0usize..8).prop_map(Op::Drop),
        1 => (0usize..8).prop_map(Op::SetAside),
        1 => (0usize..4, 1u64..4).prop_map(|(lane, files)| Op::TakeOver { lane, files }),
        1 => (0usize..3).prop_map(Op::Age),
        2 => (0i64..9000).prop_map(Op::Skip),
        2 => Just(Op::Crash),
    ]
}

/// What a body of the model is.
#[derive(Debug, Clone, PartialEq)]
struct Body {
    lane: usize,
    text: String,
    quarantined: bool,
    attempts: i64,
    strikes: u32,
    accepted_at_strike: u32,
}

impl Body {
    fn size(&self) -> u64 {
        self.text.len() as u64
    }
}

#[derive(Debug, Default)]
struct Model {
    bodies: BTreeMap<StoredId, Body>,
    accepted: BTreeMap<ServerUrl, u32>,
    delivered: u64,
    refused: u64,
    dropped: u64,
    /// The last number that was given.
    last: i64,
}

/// Small enough for bodies to fall off now and then.
const LIMITS: SpoolLimits = SpoolLimits { bytes: 30_000, age: Duration::from_hours(24) };

/// Two agents, each with bodies for two servers.
fn lane(number: usize) -> Lane {
    Lane { server: format!("http://server-{}", number / 2).parse().unwrap(), agent: agent(['a', 'b'][number % 2]) }
}

impl Model {
    fn store(&mut self, lane: usize, text: String) {
        let body = Body { lane, text, quarantined: false, attempts: 0, strikes: 0, accepted_at_strike: 0 };
        self.last += 1;
        self.bodies.insert(StoredId(self.last), body);
        while self.bodies.values().map(Body::size).sum::<u64>() > LIMITS.bytes {
            // Of the agent that holds the most; of two that hold the same, the one that the index has last.
            let most = (0..2).max_by_key(|agent| self.held_by(*agent)).unwrap();
            let own = || self.bodies.iter().filter(|(_, body)| body.lane % 2 == most);
            let set_aside = own().find(|(_, body)| body.quarantined);
            let (id, _) = set_aside.or_else(|| own().next()).unwrap();
            let id = *id;
            self.bodies.remove(&id);
            self.dropped += 1;
        }
    }

    fn held_by(&self, agent: usize) -> u64 {
        self.bodies.values().filter(|body| body.lane % 2 == agent).map(Body::size).sum()
    }

    fn first(&self, lane: usize) -> Option<StoredId> {
        self.bodies.iter().find(|(_, body)| body.lane == lane && !body.quarantined).map(|(id, _)| *id)
    }
}

async fn apply(spool: &mut Spool, model: &mut Model, folder: &Path, step: usize, op: Op) {
    match op {
        Op::Store { lane: number, size } => {
            let (to, text) = (lane(number), format!("{step} {}", "x".repeat(size)));
            let body = crate::pattoo::Body::of_test(to.agent, text.clone());
            let id = spool.store(&body, &super::program(), &to.server).await.unwrap();
            model.store(number, text);
            assert_eq!(id, StoredId(model.last), "numbers grow");
        }
        Op::Deliver(number) => {
            let Some(id) = model.first(number) else { return };
            spool.delivered(id, &lane(number).server).await.unwrap();
            model.bodies.remove(&id);
            *model.accepted.entry(lane(number).server).or_default() += 1;
            model.delivered += 1;
        }
        Op::Refuse(number) => {
            let Some(id) = model.first(number) else { return };
            let server = lane(number).server;
            let accepted = model.accepted.get(&server).copied().unwrap_or(0);
            let body = model.bodies.get_mut(&id).unwrap();
            body.attempts += 1;
            if body.strikes == 0 || accepted > body.accepted_at_strike {
                body.strikes += 1;
                body.accepted_at_strike = accepted;
            }
            body.quarantined = body.strikes >= STRIKES;
            model.refused += 1;
            let refusal = Refusal { text: "no".to_owned(), of_the_body: true, first_counts: true, strikes: STRIKES };
            let judgement = spool.refused(id, &server, refusal).await.unwrap();
            assert_eq!(judgement == Judgement::Quarantined, body.quarantined);
        }
        Op::Retry => {
            let quarantined = Selection { quarantined: Some(true), ..Selection::default() };
            let retried = spool.retry(quarantined).await.unwrap();
            let set_aside: Vec<_> = model.bodies.values_mut().filter(|body| body.quarantined).collect();
            assert_eq!((retried.queued, retried.damaged.len()), (set_aside.len() as u64, 0));
            for body in set_aside {
                (body.quarantined, body.strikes, body.accepted_at_strike) = (false, 0, 0);
            }
        }
        Op::Drop(at) => {
            let Some(id) = model.bodies.keys().nth(at).copied() else { return };
            let this = Selection { ids: vec![id], ..Selection::default() };
            assert_eq!(spool.drop_bodies(this).await.unwrap(), 1);
            model.bodies.remove(&id);
            model.dropped += 1;
        }
        Op::SetAside(at) => {
            let Some((id, body)) = model.bodies.iter_mut().nth(at) else { return };
            spool.quarantine(*id, "for a test").await.unwrap();
            body.quarantined = true;
        }
        Op::TakeOver { lane: number, files } => {
            let (to, cache) = (lane(number), folder.join(format!("cache-{step}")));
            let of_agent = cache.join(to.agent.as_str());
            std::fs::create_dir_all(&of_agent).unwrap();
            let write = |stamp: u64| {
                let text = format!(
                    r#"{{"pattoo_agent_timestamp": {stamp}, "pattoo_agent_id": "{}", "pattoo_agent_polling_interval": 20000,
                        "pattoo_datapoints": {{"key_value_pairs": {{"0": ["pattoo_value", {step}]}}, "datapoint_pairs": [[0]]}}}}"#,
                    to.agent
                );
                std::fs::write(of_agent.join(format!("{stamp}_{}.json", to.agent)), &text).unwrap();
                text
            };
            // By their numbers, and not by their names.
            let texts: Vec<String> = (0..files).map(|file| write(9 + file)).collect();
            let program = super::program();
            let takeover = take_over(spool, &cache, &to.agent, &program, &to.server).await.unwrap();
            assert_eq!(takeover.taken as u64, files);
            for text in texts {
                model.store(number, text);
            }
            write(8 + files);
            assert_eq!(take_over(spool, &cache, &to.agent, &program, &to.server).await.unwrap().taken, 1);
            assert_eq!(std::fs::read_dir(&of_agent).unwrap().count(), 0);
        }
        Op::Age(at) => {
            let found = spool.list(Selection::default(), u32::MAX).await.unwrap();
            let Some(young) = found.get(at).map(|entry| entry.stored + 1) else { return };
            let before = Old { up_to: 0, found: i64::MAX, stored_before: young };
            let old: Vec<StoredId> =
                found.iter().take_while(|entry| entry.stored < young).map(|entry| entry.id).collect();
            assert_eq!(spool.sweep(before).await.unwrap(), i64::try_from(old.len()).unwrap());
            model.bodies.retain(|id, _| !old.contains(id));
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
        model.bodies.iter().map(|(id, body)| (*id, body.quarantined, body.attempts)).collect::<Vec<_>>()
    );
    for (id, body) in &model.bodies {
        let found = spool.show(*id).await.unwrap().unwrap();
        assert!(found.intact && found.json == body.text.as_bytes());
    }
    let queued = |number: usize| model.bodies.values().filter(move |body| body.lane == number && !body.quarantined);
    let mut lanes: Vec<Lane> = (0..4).filter(|number| queued(*number).count() > 0).map(lane).collect();
    lanes.sort();
    let mut found = spool.lanes().await.unwrap();
    found.sort();
    assert_eq!(found, lanes);
    for number in 0..4 {
        let next = spool.next(&lane(number)).await.unwrap();
        let first: Vec<&[u8]> = queued(number).take(next.len()).map(|body| body.text.as_bytes()).collect();
        assert_eq!(next.iter().map(|body| &*body.json).collect::<Vec<_>>(), first);
        assert_eq!(next.is_empty(), queued(number).count() == 0);
    }
    let stats = spool.stats().await.unwrap();
    let bytes = |quarantined: bool| {
        let these = model.bodies.values().filter(move |body| body.quarantined == quarantined);
        these.map(|body| body.text.len() as u64).fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    };
    assert_eq!((stats.queued, stats.queued_bytes), bytes(false));
    assert_eq!((stats.quarantined, stats.quarantined_bytes), bytes(true));
    assert_eq!((stats.delivered, stats.refused, stats.dropped), (model.delivered, model.refused, model.dropped));
    assert_eq!(stats.oldest.is_some(), stats.queued > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_it_the_spool_holds_what_its_model_holds(ops in prop::collection::vec(op(), 1..60)) {
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

/// Has the next body get a number that is higher by `numbers`, if there was a body. Returns by how much.
async fn skip(spool: &Spool, numbers: i64) -> i64 {
    let skip = move |db: &rusqlite::Connection| {
        db.execute("UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'body'", [numbers])
    };
    if spool.write(skip).await.unwrap() > 0 { numbers } else { 0 }
}

/// The variable that makes a process of this test binary one that stores and is killed.
const VICTIM: &str = "PATTOO_WASM_TEST_VICTIM";

/// Stores numbers from 32 tasks at once, and says each once it is stored. It is started by the test below, and does nothing otherwise.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let spool = open(Path::new(&folder));
        let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
        let tasks = (0..32).map(|task| {
            let (spool, server) = (spool.clone(), server.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let text = format!("{task} {number} {}", "x".repeat(task * 100));
                    let id = put(&spool, &server, 'a', &text).await;
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
async fn what_was_said_to_be_stored_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = BTreeMap::new();
    for round in 0..12usize {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "delivery::tests::model::victim", "--nocapture"])
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after another number of stores each time, in whatever it is doing then.
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while let Some(Ok(line)) = lines.next() {
            // The harness says the name of the test in front of the first line.
            let Some((_, stored)) = line.split_once("STORED ") else { continue };
            let mut words = stored.splitn(2, ' ');
            let id = StoredId(words.next().unwrap().parse().unwrap());
            let repeated = said.insert(id, words.next().unwrap().to_owned());
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
        for (id, what) in &said {
            let found = spool.show(*id).await.unwrap().unwrap_or_else(|| panic!("body {id} is gone"));
            assert!(found.intact && found.json.starts_with(format!("{what} ").as_bytes()));
        }
        // Beyond those only what was under way: stored, and not yet said.
        assert!(entries.len() <= said.len() + 32 * (round + 1));
    }
}
