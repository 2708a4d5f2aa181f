//! Our payloads against pattoo's: the same datapoints go through `pattoo_shared` and through
//! [`pattoo_output::pattoo`], and both payloads must hold the same datapoints. Then pattoo's reading
//! side reads our payload.
//!
//! `tests/peers/pattoo_oracle.py` holds the intended differences in one place: we refuse what
//! pattoo would silently drop or its server could not store, and these verdicts are compared too.
//! Our values keep the type in which they were emitted, while pattoo writes 1.0 as a 1 that it saw
//! before: numbers are compared with pattoo's by value, and with the emitted ones by type and bit.
//!
//! `PATTOO_SEED` repeats a run; a failure prints it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may do what tests may do")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use pattoo_measurement::{Agent, Candidate, Hostname, Metadatum, PollingInterval, Program, Reason, Rejection, Value};
use pattoo_output::pattoo::Batch;
use serde_json::{Value as Json, json};

pub(crate) mod random_cases;

use random_cases::{Call, Case, Rng, Unicode};

/// How many generated cases one run compares.
const CASES: u64 = 10_000;

/// The process that asks `pattoo_shared`.
struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    unicode: Unicode,
}

impl Oracle {
    fn start() -> Self {
        let mut process = Command::new(pattoo_tests::python())
            .arg(pattoo_tests::peer("pattoo_oracle.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut oracle = Self { process, questions, answers, unicode: Unicode::default() };
        let greeting = oracle.read();
        oracle.unicode = Unicode::without(serde_json::from_value(greeting["unassigned"].clone()).unwrap());
        oracle
    }

    /// Sends all cases at once, so that neither side waits for the other.
    fn ask(&mut self, questions: &[Json]) -> Vec<Json> {
        let mut pipe = self.questions.take().unwrap();
        let (answers, pipe) = thread::scope(|scope| {
            let writing = scope.spawn(move || {
                for question in questions {
                    // One string for each case: writing it in pieces would cost a system call for
                    // each.
                    let line = format!("{question}\n");
                    pipe.write_all(line.as_bytes()).unwrap();
                }
                pipe
            });
            let answers = questions.iter().map(|_| self.read()).collect();
            (answers, writing.join().unwrap())
        });
        self.questions = Some(pipe);
        answers
    }

    fn read(&mut self) -> Json {
        let mut line = String::new();
        let length = self.answers.read_line(&mut line).unwrap();
        assert_ne!(length, 0, "pattoo's side ended; what it wrote to stderr says why");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The end of its input makes it clean up and exit.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

/// Our result for a case.
struct Ours {
    /// For each call, `target` or the verdict on each datapoint.
    verdicts: Json,
    /// The accepted values, in the order in which the payload must have them.
    values: Vec<String>,
    body: Option<String>,
}

fn build(case: &Case) -> Ours {
    let agent = Arc::new(Agent {
        program: case.program.parse::<Program>().unwrap(),
        id: case.agent_id.parse().unwrap(),
        hostname: case.hostname.parse::<Hostname>().unwrap(),
        polling_interval: PollingInterval::from_seconds(case.interval).unwrap(),
    });
    let bound = Duration::from_millis(case.future_bound);
    let mut batch = Batch::new(agent, bound);
    let mut verdicts = Vec::new();
    // Per target, in the order of its first accepted datapoint.
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for Call { target, points } in &case.calls {
        let Ok(rejections) = batch.emit(target, points.clone(), case.now) else {
            verdicts.push(json!("target"));
            continue;
        };
        let mut rejected: BTreeMap<u32, Reason> =
            rejections.into_iter().map(|Rejection { index, reason }| (index, reason)).collect();
        let mut call = Vec::new();
        for (index, point) in (0_u32..).zip(points) {
            let verdict = rejected.remove(&index).map_or("ok", |reason| verdict(&reason));
            call.push(verdict);
            if verdict == "ok" {
                let name = random_cases::python_strip(target);
                match values.iter_mut().find(|(known, _)| known == name) {
                    Some((_, values)) => values.push(random_cases::typed(&point.value)),
                    None => values.push((name.to_owned(), vec![random_cases::typed(&point.value)])),
                }
            }
        }
        assert!(rejected.is_empty(), "rejections of datapoints that were not given: {rejected:?}");
        verdicts.push(json!(call));
    }
    let values: Vec<String> = values.into_iter().flat_map(|(_, values)| values).collect();
    assert_eq!(batch.datapoints(), values.len());
    let body = batch.into_body(case.built_at).map(|body| {
        assert_eq!(body.datapoints(), values.len());
        String::from_utf8(body.into_json()).unwrap()
    });
    Ours { verdicts: Json::from(verdicts), values, body }
}

fn verdict(reason: &Reason) -> &'static str {
    match reason {
        Reason::Key(_) => "key",
        Reason::Value(_) => "value",
        Reason::Metadata(_) => "metadata",
        Reason::Timestamp(_) => "timestamp",
        Reason::Duplicate => "duplicate",
        Reason::Room => "room",
    }
}

/// The differences between our payload and pattoo's, as messages; empty if there are none.
fn differences(ours: &Ours, answer: &Json) -> Vec<String> {
    let mut found = Vec::new();
    if ours.verdicts != answer["verdicts"] {
        found.push(format!("verdicts: ours {} pattoo's {}", ours.verdicts, answer["verdicts"]));
    }
    let theirs = answer["theirs"].as_array().unwrap();
    if ours.body.is_none() {
        if !theirs.is_empty() {
            found.push(format!("ours is no body at all, pattoo's has {} datapoints", theirs.len()));
        }
        return found;
    }
    let rows = answer["ours"].as_array().unwrap();
    if rows.len() != theirs.len() {
        found.push(format!("datapoints: ours {} pattoo's {}", rows.len(), theirs.len()));
    }
    for (index, (row, their_row)) in rows.iter().zip(theirs).enumerate() {
        if row != their_row {
            let (row, their_row) = (row.as_array().unwrap(), their_row.as_array().unwrap());
            let only = |these: &[Json], others: &[Json]| -> Json {
                let these = these.iter().enumerate();
                these.filter(|&(at, pair)| others.get(at) != Some(pair)).map(|(_, pair)| pair.clone()).collect()
            };
            let (ours, pattoos) = (only(row, their_row), only(their_row, row));
            found.push(format!("datapoint {index}, pairs that differ:\n  ours     {ours}\n  pattoo's {pattoos}"));
        }
    }
    if answer["our_values"] != json!(ours.values) {
        found.push(format!("values: emitted {} written {}", json!(ours.values), answer["our_values"]));
    }
    if answer["repeated"] != json!([]) {
        found.push(format!("pairs listed twice: {}", answer["repeated"]));
    }
    if answer["frame"] != json!([]) {
        found.push(format!("around the datapoints: {}", answer["frame"]));
    }
    if answer["records"] != json!(rows.len()) {
        found.push(format!("pattoo reads {} records from our {} datapoints", answer["records"], rows.len()));
    }
    if answer["same_records"] != json!(true) {
        found.push("pattoo reads other records from our body than from its own".to_owned());
    }
    found
}

/// Compares cases; returns for each the verdicts on its datapoints.
fn compare(oracle: &mut Oracle, cases: &[(String, Case)]) -> Vec<Vec<String>> {
    let ours: Vec<Ours> = cases.iter().map(|(_, case)| build(case)).collect();
    let questions: Vec<Json> =
        ours.iter().zip(cases).map(|(ours, (_, case))| case.question(ours.body.as_deref())).collect();
    let answers = oracle.ask(&questions);
    for (((name, _), ours), (question, answer)) in cases.iter().zip(&ours).zip(questions.iter().zip(&answers)) {
        let found = differences(ours, answer);
        let first = found.iter().take(3).map(String::as_str).collect::<Vec<&str>>().join("\n");
        let shown: String = question.to_string().chars().take(10_000).collect();
        assert!(found.is_empty(), "{name}, differences: {}\n{first}\nthe case: {shown}", found.len());
    }
    answers.iter().map(verdicts).collect()
}

/// The verdicts of an answer, call after call.
fn verdicts(answer: &Json) -> Vec<String> {
    let calls = answer["verdicts"].as_array().unwrap().iter();
    let each = calls.flat_map(|call| call.as_array().cloned().unwrap_or_else(|| vec![call.clone()]));
    each.map(|verdict| verdict.as_str().unwrap().to_owned()).collect()
}

#[test]
fn our_payloads_contain_the_datapoints_that_pattoo_would_send() {
    let seed = std::env::var("PATTOO_SEED").map_or_else(
        |_| u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
        |given| given.parse().unwrap(),
    );
    let mut oracle = Oracle::start();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let numbers: Vec<u64> = (0..CASES).collect();
    for some in numbers.chunks(500) {
        let cases: Vec<(String, Case)> = some
            .iter()
            .map(|&number| {
                let case = Case::generate(&mut Rng::new(seed, number), &oracle.unicode);
                (format!("PATTOO_SEED={seed}, case {number}"), case)
            })
            .collect();
        for verdict in compare(&mut oracle, &cases).into_iter().flatten() {
            let count = counts.entry(verdict).or_default();
            *count = count.saturating_add(1);
        }
    }
    // The generated cases must cover each verdict and type.
    for verdict in ["ok", "duplicate", "key", "value", "metadata", "timestamp", "target"] {
        let count = counts.get(verdict).copied().unwrap_or(0);
        assert!(count > CASES / 100, "PATTOO_SEED={seed}: {verdict:?} came up {count} times only: {counts:?}");
    }
}

#[test]
fn values_that_are_equal_to_pattoo_are_equal_to_us() {
    let mut oracle = Oracle::start();
    let point = |key: &str, value: Value, metadata: &[(&str, &str, bool)]| Candidate {
        key: key.to_owned(),
        value,
        timestamp: None,
        metadata: metadata
            .iter()
            .map(|&(key, value, identifying)| Metadatum { key: key.to_owned(), value: value.to_owned(), identifying })
            .collect(),
    };
    let int = |metadata: &[(&str, &str, bool)]| point("a", Value::Integer(1), metadata);
    let collisions = [
        vec![int(&[("xy", "z", true)]), int(&[("x", "yz", true)])],
        vec![point("a3", Value::Text("t".into()), &[]), point("a", Value::Counter32(1), &[])],
        vec![int(&[]), int(&[("note", "x", false)])],
        vec![int(&[]), point(" A ", Value::Scaled(2.5), &[])],
        vec![int(&[("k", "v", true), ("K ", "w", true)]), int(&[("k", " v ", true), ("l", "w", false)])],
    ];
    let case =
        |points: Vec<Candidate>| (format!("{points:?}"), Case::of(vec![Call { target: "t".to_owned(), points }]));
    for verdicts in compare(&mut oracle, &collisions.map(case)) {
        assert_eq!(verdicts, ["ok", "duplicate"]);
    }
    // The order of identifying metadata matters, and refused datapoints do not affect accepted
    // ones.
    let apart = vec![int(&[("x", "1", true), ("y", "2", true)]), int(&[("y", "2", true), ("x", "1", true)])];
    let refused = vec![point("a", Value::Float(f64::NAN), &[]), point("a", Value::Float(1.0), &[])];
    assert_eq!(compare(&mut oracle, &[apart, refused].map(case)), [["ok", "ok"], ["value", "ok"]]);
}

#[test]
fn every_character_is_normalised_as_in_python() {
    let mut oracle = Oracle::start();
    // Each character alone, at the edges of a key, and around a capital sigma, whose lower case
    // depends on whether its neighbours are cased and whether they are ignored in looking for such.
    let mut calls: Vec<Call> = Vec::new();
    let characters: Vec<char> = oracle.unicode.all().collect();
    assert!(characters.len() > 140_000, "{}", characters.len());
    for (number, few) in characters.chunks(8).enumerate() {
        let key = few.iter().map(|c| format!("{c}1a\u{3a3}{c}1a\u{3a3}{c}a1")).collect::<Vec<String>>().concat();
        let edges: String = few.iter().collect();
        let metadata = vec![Metadatum { key: edges.clone(), value: edges, identifying: true }];
        let point = Candidate { key, value: Value::Integer(1), timestamp: None, metadata };
        // Small targets, since pattoo's search for duplicates is quadratic.
        if number % 100 == 0 {
            calls.push(Call { target: format!("t{number}"), points: Vec::new() });
        }
        calls.last_mut().unwrap().points.push(point);
    }
    let parts = calls.chunks(20).enumerate();
    let cases: Vec<(String, Case)> =
        parts.map(|(number, some)| (format!("characters, part {number}"), Case::of(some.to_vec()))).collect();
    let taken = compare(&mut oracle, &cases).into_iter().flatten().filter(|verdict| verdict == "ok").count();
    // Eight spaces are an empty metadata key; hardly anything else is refused.
    assert!(taken > characters.len() / 8 - 5, "{taken}");
}
