//! The daemon is killed again and again, at moments that matter and at random ones, while its server has moods; in the end every number
//! of every finished collection has arrived.
//!
//! The collectors count (`guests/counter`): a number goes up only when what was emitted is durable. So, for each program, the numbers that arrived
//! must be 1, 2, 3 … without a hole, in order, a number repeated only where a kill fell between two steps that cannot be one.
//!
//! `CRASH_KILLS` is how often it is killed, `CRASH_COLLECTORS` how many count at once; `cargo xtask soak crash` sets both high.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use pattoo_tests::{Daemon, Moment, Mood, MoodyReceiver, Site, guest, pattoo_records};
use serde_json::{Value, json};

/// Where a kill is aimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    /// A collection has begun: before its commit.
    BeforeCommit,
    /// A collection has just been committed.
    AfterCommit,
    /// A body has arrived and is not answered.
    DuringPost,
    /// The answer is out, the body not deleted yet.
    AfterAnswer,
    /// Whenever.
    Random,
}

const AIMS: [Aim; 5] = [Aim::BeforeCommit, Aim::AfterCommit, Aim::DuringPost, Aim::AfterAnswer, Aim::Random];

/// What the server is like while the daemon runs; the last, before a kill, is what the kill needs.
const MOODS: [Mood; 8] = [
    Mood::Takes,
    Mood::Answers(500),
    Mood::Answers(429),
    Mood::Answers(400),
    Mood::Answers(404),
    Mood::Slow(Duration::from_millis(30)),
    Mood::Hangs,
    Mood::Down,
];

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A small generator, so that a run can be repeated: its seed is printed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // xorshift64 (Marsaglia, 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
}

/// Program and number of each datapoint, in the order in which they arrived, and which body it came in.
fn arrivals(taken: &[Value]) -> Vec<(String, u64, String)> {
    let mut arrivals = Vec::new();
    for body in taken {
        let data = &body["pattoo_datapoints"];
        for row in data["datapoint_pairs"].as_array().expect("rows") {
            let pairs: BTreeMap<String, Value> = row
                .as_array()
                .expect("ids")
                .iter()
                .map(|id| &data["key_value_pairs"][id.to_string()])
                .map(|pair| (pair[0].as_str().expect("a key").to_owned(), pair[1].clone()))
                .collect();
            let program = pairs["pattoo_agent_program"].as_str().expect("a name").to_owned();
            arrivals.push((
                program,
                pairs["pattoo_value"].as_u64().expect("a number"),
                body["pattoo_agent_timestamp"].to_string(),
            ));
        }
    }
    arrivals
}

/// Which collections the daemon said are finished, and which it began without a word of their end.
fn said(heard: &[String]) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let (mut finished, mut begun) = (BTreeMap::new(), BTreeSet::new());
    for line in heard {
        let words: Vec<&str> = line.split_whitespace().collect();
        let program = words.get(1).map(|word| word.trim_end_matches(':').to_owned()).unwrap_or_default();
        if line.contains(": begins") {
            begun.insert(program);
        } else if line.contains(": completed, 1 datapoints taken") {
            begun.remove(&program);
            *finished.entry(program).or_default() += 1;
        }
    }
    (finished, begun)
}

/// What a kill came to.
struct Killed {
    /// Whether it fell where it was aimed at, as far as can be said at once.
    hit: bool,
    /// The body that was being posted, for an aim at a post.
    body: Option<Value>,
    /// All that the daemon said.
    heard: Vec<String>,
}

/// Lets the daemon run until the aim is there, and kills it.
fn kill(daemon: Daemon, receiver: &MoodyReceiver, aim: Aim, dice: &mut Dice) -> Killed {
    let patience = Duration::from_secs(20);
    let mut body = None;
    let hit = match aim {
        Aim::BeforeCommit | Aim::AfterCommit => {
            let text = if aim == Aim::BeforeCommit { ": begins" } else { ": completed, 1 datapoints taken" };
            // Not always the first one.
            let mut left = dice.roll(20);
            let deadline = Instant::now() + patience;
            loop {
                match daemon.next_line(deadline.saturating_duration_since(Instant::now())) {
                    Some(line) if line.contains(text) && left == 0 => break true,
                    Some(line) if line.contains(text) => left -= 1,
                    Some(_) => {}
                    None => break false,
                }
            }
        }
        Aim::DuringPost | Aim::AfterAnswer => {
            let moment = if aim == Aim::DuringPost { Moment::Arrived } else { Moment::Answered };
            let (sender, reached) = std::sync::mpsc::channel();
            let killer = daemon.killer();
            receiver.at(moment, move |body| {
                killer.kill();
                let _ = sender.send(body.clone());
            });
            receiver.is(Mood::Takes);
            body = reached.recv_timeout(patience).ok();
            body.is_some()
        }
        Aim::Random => {
            std::thread::sleep(Duration::from_millis(u64::try_from(dice.roll(1500)).unwrap_or_default()));
            true
        }
    };
    daemon.killer().kill();
    let (_, heard) = daemon.wait();
    Killed { hit, body, heard }
}

#[test]
fn nothing_that_was_finished_is_lost_however_often_the_daemon_is_killed() {
    let (kills, collectors) = (setting("CRASH_KILLS", 15), setting("CRASH_COLLECTORS", 12));
    let seed = setting("CRASH_SEED", usize::try_from(std::process::id()).unwrap_or(1));
    let mut dice = Dice(u64::try_from(seed).unwrap_or(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let receiver = MoodyReceiver::start();
    let site = Site::new(receiver.address());
    let programs: Vec<String> = (0..collectors).map(|number| format!("COUNTER_{number}")).collect();
    let counter = |program: &String| json!({"program": program, "module": guest("counter"), "polling_interval": 1});
    site.configure(&programs.iter().map(counter).collect());

    let mut finished: BTreeMap<String, u64> = BTreeMap::new();
    let mut report: BTreeMap<Aim, (u64, u64)> = BTreeMap::new();
    // A kill between commit and memory repeats a number; one between answer and delete repeats a body. At each kill, and for each program.
    let mut repeated_at_most: BTreeMap<String, u64> = BTreeMap::new();
    let mut answered = Vec::new();
    for round in 0..kills {
        let aim = AIMS[round % AIMS.len()];
        receiver.is(MOODS[dice.roll(MOODS.len())]);
        let daemon = Daemon::start(site.command().arg("-v"));
        daemon.wait_for("collectors run");
        for _ in 0..dice.roll(3) {
            receiver.is(MOODS[dice.roll(MOODS.len())]);
            std::thread::sleep(Duration::from_millis(u64::try_from(dice.roll(400)).unwrap_or_default()));
        }
        let Killed { mut hit, body, heard } = kill(daemon, &receiver, aim, &mut dice);
        let (ended, begun) = said(&heard);
        for (program, count) in ended {
            *finished.entry(program).or_default() += count;
        }
        for program in &programs {
            // Its collection under way may be a repetition later, and so may the body that was on the wire.
            *repeated_at_most.entry(program.clone()).or_default() += 1 + u64::from(begun.contains(program));
        }
        if aim == Aim::BeforeCommit {
            hit &= !begun.is_empty();
        }
        if aim == Aim::AfterAnswer {
            answered.extend(body);
            // Only that it comes again will show that the kill came before its deletion.
            hit = false;
        }
        let (aimed, hits) = report.entry(aim).or_default();
        *aimed += 1;
        *hits += u64::from(hit);
    }

    receiver.is(Mood::Takes);
    let daemon = Daemon::start(site.command().arg("-v"));
    daemon.wait_for("collectors run");
    daemon.wait_until("an empty spool", |daemon| daemon.metrics()["pattoo_wasm_spool_bodies"] == 0.0);
    assert_eq!(daemon.metrics()["pattoo_wasm_spool_quarantined_bodies"], 0.0);
    assert_eq!(daemon.metrics()["pattoo_wasm_spool_dropped_total"], 0.0);
    assert!(daemon.end("TERM").success());

    let taken = receiver.taken();
    let arrived = arrivals(&taken);
    let came_again = answered.iter().filter(|body| taken.iter().filter(|taken| taken == body).count() > 1).count();
    report.entry(Aim::AfterAnswer).or_default().1 = u64::try_from(came_again).expect("a small number");
    let (mut lost, mut bodies_twice, mut numbers_twice) = (String::new(), 0, 0);
    for program in &programs {
        let numbers: Vec<(u64, &str)> = arrived
            .iter()
            .filter(|(of, _, _)| of == program)
            .map(|(_, number, body)| (*number, body.as_str()))
            .collect();
        let mut last = (0, "");
        let mut repeated = 0;
        for &(number, body) in &numbers {
            if number == last.0 {
                repeated += 1;
                if body == last.1 { bodies_twice += 1 } else { numbers_twice += 1 }
            } else if number != last.0 + 1 {
                let _ = writeln!(lost, "{program}: {number} came after {}", last.0);
            }
            last = (number, body);
        }
        let finished = finished.get(program).copied().unwrap_or_default();
        if last.0 < finished {
            let _ = writeln!(lost, "{program}: {finished} collections finished, {} was the last number", last.0);
        }
        let bound = repeated_at_most.get(program).copied().unwrap_or_default();
        assert!(repeated <= bound, "{program}: {repeated} repetitions, {bound} at most");
    }
    // Read as the server reads them.
    for body in taken.iter().rev().take(3) {
        assert_eq!(pattoo_records(body).len(), 1, "{body}");
    }
    let finished: u64 = finished.values().sum();
    println!(
        "seed {seed}: {kills} kills, {finished} collections seen finished, {} bodies arrived, {bodies_twice} of them twice, \
         {numbers_twice} collections repeated; aimed and hit: {report:?}",
        taken.len()
    );
    assert!(lost.is_empty(), "seed {seed}: {lost}");
    for (aim, (aimed, hits)) in report {
        assert!(hits * 2 >= aimed, "seed {seed}: {aim:?} was hit {hits} of {aimed} times");
    }
}
