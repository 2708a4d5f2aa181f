//! The daemon is killed many times, at critical moments and at random ones, while `pattoo-wasm
//! receive` stops, starts and changes its scenario. At the end every number of every finished
//! collection has arrived, as `pattoo_shared` reads it.
//!
//! The collectors count (`guests/counter`): a number increases only when the datapoint is durable.
//! So, for each program, the numbers that arrived must be 1, 2, 3 … in order and without a gap; a
//! number may repeat only where a kill fell between two steps that cannot be atomic.
//!
//! The spool after a kill shows whether the kill hit its moment. `CRASH_KILLS` is the number of
//! kills, `CRASH_COLLECTORS` the number of collectors; `cargo xtask soak crash` sets both high.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    process::Command,
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use pattoo_tests::{Daemon, Moment, ReceiverProxy, Scenario, Site, binary, guest, pattoo_records_of_all, setting};
use serde_json::{Value, json};

/// The moment at which the daemon is to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KillPoint {
    /// A collection has begun: before its commit.
    BeforeCommit,
    /// A collection has just been committed, and is not posted yet.
    AfterCommit,
    /// A payload is being sent, or has arrived without a response.
    DuringPost,
    /// The response is sent, the payload not deleted yet.
    AfterAnswer,
    /// At a random time.
    Random,
}

const KILL_POINTS: [KillPoint; 5] =
    [KillPoint::BeforeCommit, KillPoint::AfterCommit, KillPoint::DuringPost, KillPoint::AfterAnswer, KillPoint::Random];

/// The scenarios of the receiver while the daemon runs; before a kill it gets the scenario that the
/// kill needs.
const SCENARIOS: [Scenario; 8] = [
    Scenario::Accepts,
    Scenario::FromFile("answer: 500"),
    Scenario::FromFile("{answer: 429, retry_after: 1}"),
    Scenario::FromFile("answer: 400"),
    Scenario::FromFile("answer: 404"),
    Scenario::FromFile("delay: 30ms"),
    Scenario::FromFile("hang: true"),
    Scenario::Down,
];

/// How often each moment must be hit with [`ENOUGH_KILLS`] kills.
const HITS: usize = 20;
/// See [`HITS`].
const ENOUGH_KILLS: usize = 200;

/// How often each moment must be hit with this many kills.
fn wanted_hits(kills: usize) -> usize {
    (HITS * kills / ENOUGH_KILLS).max(1)
}

/// The moment of the next kill: each in turn; after `kills` kills, those that were not hit often
/// enough, since kills come late on a busy machine.
fn next_kill_point(rounds: usize, kills: usize, report: &BTreeMap<KillPoint, (usize, usize)>) -> Option<KillPoint> {
    if rounds < kills {
        return KILL_POINTS.get(rounds % KILL_POINTS.len()).copied();
    }
    let lacks = |point: &KillPoint| report.get(point).is_none_or(|(_, hits)| *hits < wanted_hits(kills));
    KILL_POINTS.into_iter().find(lacks).filter(|_| rounds < kills * 4)
}

/// A small generator, so that a run can be repeated: its seed is printed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, sides: usize) -> usize {
        // xorshift64 (Marsaglia, 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }

    fn millis(&mut self, most: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.below(most)).unwrap_or_default())
    }
}

/// The number of collections that the log reports as finished, by program, and the programs whose
/// collection began and did not end.
fn log_of_collections(heard: &[String]) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let (mut finished, mut begun) = (BTreeMap::new(), BTreeSet::new());
    for line in heard {
        let words: Vec<&str> = line.split_whitespace().collect();
        let program = words.get(1).map(|word| word.trim_end_matches(':').to_owned()).unwrap_or_default();
        if line.contains(": collection begins") {
            begun.insert(program);
        } else if line.contains(": completed, 1 datapoints accepted") {
            begun.remove(&program);
            *finished.entry(program).or_default() += 1;
        }
    }
    (finished, begun)
}

/// The numbers in log lines between `before` and `after`.
fn numbers<'a>(heard: &'a [String], before: &'a str, after: &'a str) -> impl Iterator<Item = i64> + 'a {
    heard.iter().filter_map(move |line| line.split_once(before)?.1.strip_suffix(after)?.parse().ok())
}

/// The content of a spool after a kill.
struct SpoolAfterKill {
    /// The highest number that was ever given.
    last: i64,
    /// What is queued: number and body.
    queued: BTreeMap<i64, String>,
}

impl SpoolAfterKill {
    /// Reads a copy, so that the next daemon finds the files as the kill left them.
    fn of(site: &Site) -> Self {
        let copy = tempfile::tempdir().expect("a temporary folder");
        let spool = site.folder().join("daemon/pattoo_wasm/spool");
        for name in ["spool.sqlite3", "spool.sqlite3-wal"] {
            std::fs::copy(spool.join(name), copy.path().join(name)).expect("the files of a spool that was not closed");
        }
        Self::read(&copy.path().join("spool.sqlite3")).expect("a sound spool")
    }

    fn read(path: &Path) -> rusqlite::Result<Self> {
        let spool = rusqlite::Connection::open(path)?;
        let last = spool.query_row("SELECT coalesce(max(seq), 0) FROM sqlite_sequence", [], |row| row.get(0))?;
        let mut select = spool.prepare("SELECT id, CAST(content AS TEXT) FROM payload WHERE status = 0")?;
        let queued = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(Self { last, queued })
    }

    fn holds(&self, body: &Value) -> bool {
        let holds = |json: &String| serde_json::from_str::<Value>(json).is_ok_and(|queued| queued == *body);
        self.queued.values().any(holds)
    }
}

/// Lets the daemon run to the moment, and kills it. Returns whether that hit, and the daemon's log
/// lines.
fn kill(
    daemon: Daemon,
    site: &Site,
    proxy: &mut ReceiverProxy,
    point: KillPoint,
    rng: &mut Rng,
) -> (bool, Vec<String>) {
    let time_limit = Duration::from_secs(20);
    let mut body = None;
    match point {
        KillPoint::BeforeCommit | KillPoint::AfterCommit => {
            let (text, end) = if point == KillPoint::BeforeCommit {
                (": collection begins", "")
            } else {
                ("TRACE payload ", " is stored")
            };
            // Not always the first one.
            let mut left = rng.below(8);
            let deadline = Instant::now() + time_limit;
            while let Some(line) = daemon.next_line(deadline.saturating_duration_since(Instant::now())) {
                if line.contains(text) && line.ends_with(end) {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
            }
        }
        KillPoint::DuringPost | KillPoint::AfterAnswer => {
            let moment = match (point, rng.below(2)) {
                (KillPoint::AfterAnswer, _) => Moment::Answered,
                (_, 0) => Moment::Sent,
                _ => Moment::Taken,
            };
            let (sender, reached) = channel();
            let killer = daemon.killer();
            proxy.set(Scenario::Accepts);
            proxy.at(moment, move |body| {
                killer.kill();
                let _ = sender.send(body.clone());
            });
            body = reached.recv_timeout(time_limit).ok();
        }
        KillPoint::Random => std::thread::sleep(rng.millis(1000)),
    }
    daemon.killer().kill();
    let (_, heard) = daemon.wait();
    let spool = SpoolAfterKill::of(site);
    let stored = numbers(&heard, "TRACE payload ", " is stored").max();
    let hit = match point {
        KillPoint::BeforeCommit => {
            let under_way = log_of_collections(&heard).1.len();
            let committed = stored.map_or(0, |stored| spool.last - stored);
            i64::try_from(under_way).expect("a few") > committed
        }
        KillPoint::AfterCommit => stored.is_some_and(|stored| {
            spool.queued.contains_key(&stored)
                && numbers(&heard, "TRACE sending payload ", "").all(|posted| posted != stored)
        }),
        KillPoint::DuringPost | KillPoint::AfterAnswer => body.is_some_and(|body| spool.holds(&body)),
        KillPoint::Random => true,
    };
    (hit, heard)
}

/// With scenarios that change so often the receiver may refuse one payload five times while it
/// accepts others. Such a payload is quarantined, and retried here as an operator does. Returns the
/// programs concerned: their payloads may arrive out of order.
fn retry_quarantined(site: &Site) -> BTreeSet<String> {
    let spool = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("spool").args(arguments).env("PATTOO_CONFIGDIR", site.folder());
        let output = command.output().expect("it can be run");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let program = |line: &str| {
        let entry: Value = serde_json::from_str(line).expect("an object a line");
        entry.get("program").and_then(Value::as_str).expect("a name").to_owned()
    };
    let programs: BTreeSet<String> = spool(&["list", "--quarantined", "--json"]).lines().map(program).collect();
    if !programs.is_empty() {
        spool(&["retry", "--quarantined"]);
    }
    programs
}

#[test]
fn finished_collections_survive_any_number_of_kills() {
    let (kills, collectors) =
        (setting("CRASH_KILLS").unwrap_or(ENOUGH_KILLS), setting("CRASH_COLLECTORS").unwrap_or(12));
    let seed = setting("CRASH_SEED").unwrap_or(usize::try_from(std::process::id()).unwrap_or(1));
    let mut rng = Rng(u64::try_from(seed).unwrap_or(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut proxy = ReceiverProxy::start();
    let site = Site::new(proxy.address());
    let programs: Vec<String> = (0..collectors).map(|number| format!("COUNTER_{number}")).collect();
    let counter = |program: &String| json!({"program": program, "module": guest("counter"), "polling_interval": 1});
    site.configure(&programs.iter().map(counter).collect());

    let mut finished: BTreeMap<String, u64> = BTreeMap::new();
    let mut report: BTreeMap<KillPoint, (usize, usize)> = BTreeMap::new();
    // A kill between the commit and the state repeats a number; a kill between response and
    // deletion repeats a payload. Both may happen at each kill, for each program.
    let mut repeated_at_most: BTreeMap<String, u64> = BTreeMap::new();
    let mut rounds = 0;
    while let Some(point) = next_kill_point(rounds, kills, &report) {
        rounds += 1;
        proxy.set(SCENARIOS[rng.below(SCENARIOS.len())]);
        let daemon = Daemon::start(site.command().arg("-v"));
        daemon.wait_for("collectors run");
        for _ in 0..rng.below(3) {
            proxy.set(SCENARIOS[rng.below(SCENARIOS.len())]);
            std::thread::sleep(rng.millis(300));
        }
        let (hit, heard) = kill(daemon, &site, &mut proxy, point, &mut rng);
        let (ended, begun) = log_of_collections(&heard);
        for (program, count) in ended {
            *finished.entry(program).or_default() += count;
        }
        for program in &programs {
            // A running collection may be repeated, and so may a payload that was being sent.
            *repeated_at_most.entry(program.clone()).or_default() += 1 + u64::from(begun.contains(program));
        }
        let (aimed, hits) = report.entry(point).or_default();
        *aimed += 1;
        *hits += usize::from(hit);
    }

    proxy.set(Scenario::Accepts);
    let quarantined = retry_quarantined(&site);
    let daemon = Daemon::start(&mut site.command());
    daemon.wait_for("collectors run");
    daemon.wait_until("an empty spool", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] == 0.0);
    assert_eq!(daemon.metrics()["pattoo_wasm_spool_quarantined_payloads"], 0.0);
    assert_eq!(daemon.metrics()["pattoo_wasm_spool_dropped_total"], 0.0);
    assert!(daemon.end("TERM").success());

    // All payloads, as the server reads them.
    let bodies = proxy.received();
    let mut arrived: BTreeMap<&str, Vec<(u64, &Value)>> = BTreeMap::new();
    let records = pattoo_records_of_all(&bodies);
    for (body, records) in bodies.iter().zip(&records) {
        assert_eq!(records.len(), 1, "{body}");
        let program = records[0]["agent_program"].as_str().expect("a name");
        arrived.entry(program).or_default().push((records[0]["value"].as_u64().expect("a number"), body));
    }
    let (mut lost, mut bodies_twice, mut numbers_twice) = (String::new(), 0, 0);
    for program in &programs {
        let (mut last, mut repeated) = ((0, &Value::Null), 0);
        let arrived = arrived.entry(program).or_default();
        if quarantined.contains(program) {
            arrived.sort_by_key(|(number, _)| *number);
        }
        for &(number, body) in &*arrived {
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
    let finished: u64 = finished.values().sum();
    println!(
        "seed {seed}: {rounds} kills, {finished} collections seen finished, {} bodies arrived, {bodies_twice} of them twice, \
         {numbers_twice} collections repeated, bodies of {} collectors quarantined; aimed and hit: {report:?}",
        bodies.len(),
        quarantined.len()
    );
    assert!(lost.is_empty(), "seed {seed}: {lost}");
    for (point, (aimed, hits)) in report {
        assert!(hits >= wanted_hits(kills), "seed {seed}: {point:?} was hit {hits} of {aimed} times");
    }
}
