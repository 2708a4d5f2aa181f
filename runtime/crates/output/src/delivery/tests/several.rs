//! Several outputs, one of which is dead; payloads that are too large.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use pattoo_measurement::{Agent, Bounds, Candidate, PollingInterval, SinkFactory as _, Value};
use pattoo_spool::{QueueId, Selection};
use serde_json::Value as Json;

use super::{agent, open, payload, queue, server::Server, settings};
use crate::{
    Encoders, Encodings, NamedOutput, Output, agent_key,
    delivery::{Delivery, DeliverySettings, sender::Sender, turn::End},
    file, pattoo,
};

const LONG: Duration = Duration::from_secs(30);
const NOW: u64 = 1_700_000_000_000;

fn named(name: &str, output: Output) -> NamedOutput {
    NamedOutput { name: name.parse().unwrap(), output }
}

fn collector(digit: char) -> Arc<Agent> {
    Arc::new(Agent {
        program: "TEST".parse().unwrap(),
        id: agent(digit),
        hostname: "h".parse().unwrap(),
        polling_interval: PollingInterval::from_seconds(20).unwrap(),
    })
}

fn registers(count: i64) -> Vec<Candidate> {
    let of = |number: i64| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number),
        timestamp: None,
        metadata: Vec::new(),
    };
    (0..count).map(of).collect()
}

/// The values of a body of pattoo's.
fn values(body: &str) -> Vec<i64> {
    let body: Json = serde_json::from_str(body).unwrap();
    let pairs = &body["pattoo_datapoints"]["key_value_pairs"];
    let rows = body["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap().iter();
    rows.map(|row| {
        let mut row = row.as_array().unwrap().iter().map(|id| &pairs[id.to_string()]);
        row.find(|pair| pair[0] == "pattoo_value").unwrap()[1].as_i64().unwrap()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_output_holds_up_no_other_and_each_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let alive = Server::start().await;
    let archive = folder.path().join("archive/values.jsonl");
    let outputs = vec![
        named("silent", Output::Pattoo(pattoo::Settings::new(silent_url))),
        named("alive", Output::Pattoo(pattoo::Settings::new(alive.url.clone()))),
        named("archive", Output::File(file::Settings::new(&archive))),
    ];
    let spool = open(folder.path());
    let digits: Vec<char> = "0123456789abcdef".chars().collect();
    let begun = Instant::now();
    // More queues than there are slots, each with something for the silent one.
    let patient = DeliverySettings { outputs: outputs.clone(), parallel: 4, timeout: LONG, ..settings() };
    let delivery = Delivery::start(spool.clone(), patient);
    for digit in &digits {
        let agent = collector(*digit);
        let mut sink = Encodings::new(&outputs).sink(&agent, Bounds::default());
        assert_eq!(sink.emit("t", registers(3), NOW), Ok(vec![]));
        let payloads = Encoders::of(sink).unwrap().into_payloads(NOW).unwrap();
        assert_eq!(payloads.len(), 3);
        spool.store(payloads).await.unwrap();
    }
    let left = async {
        while spool.stats().await.unwrap().queued > digits.len() as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left).await.expect("the others are not held up");
    assert!(begun.elapsed() < Duration::from_secs(10));
    for digit in &digits {
        assert_eq!(alive.accepted(*digit).iter().flat_map(|body| values(body)).collect::<Vec<_>>(), [0, 1, 2]);
    }
    let lines = std::fs::read_to_string(&archive).unwrap();
    assert_eq!(lines.lines().count(), 3 * digits.len());
    let agents: BTreeSet<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["agent_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(agents.len(), digits.len());
    delivery.shutdown(Duration::ZERO).await;
    let left = spool.list(Selection::default(), 100).await.unwrap();
    assert!(left.iter().all(|payload| payload.output == outputs[0].id().as_str()));
}

#[tokio::test]
async fn payloads_for_one_encoding_are_the_same_for_every_output_and_divided_for_each() {
    let small =
        pattoo_settings::SourceFile { path: "c.yaml".into(), text: "max_payload: 16KiB\nurl: http://b".to_owned() };
    let small = Arc::new(small);
    let document = pattoo_settings::yaml::Document::parse(&small).unwrap_or_else(|_| panic!("it is YAML"));
    let folders = crate::Folders { configuration: ".".as_ref(), data: ".".as_ref() };
    let small = pattoo_settings::read(&small, &document, &pattoo::form(), |fields| {
        <pattoo::Settings as crate::OutputSettings>::read(fields, folders)
    })
    .unwrap();
    let outputs = [
        named("a", Output::Pattoo(pattoo::Settings::new("http://a".parse().unwrap()))),
        named("b", Output::Pattoo(small)),
    ];
    let mut sink = Encodings::new(&outputs).sink(&collector('a'), Bounds::default());
    sink.emit("t", registers(500), NOW).unwrap();
    let payloads = Encoders::of(sink).unwrap().into_payloads(NOW).unwrap();
    let of = |name: &str| {
        let of = payloads.iter().filter(|payload| payload.queue.output.as_str() == name);
        of.map(|payload| (payload.count, String::from_utf8(payload.bytes.clone()).unwrap())).collect::<Vec<_>>()
    };
    let (whole, parts) = (of("http://a"), of("http://b"));
    assert_eq!(whole.len(), 1);
    assert!(parts.len() > 4 && parts.iter().all(|(_, part)| part.len() <= 16 << 10), "{}", parts.len());
    assert_eq!(parts.iter().map(|(count, _)| count).sum::<u64>(), 500);
    let joined: Vec<i64> = parts.iter().flat_map(|(_, part)| values(part)).collect();
    assert_eq!(joined, values(&whole[0].1));
    assert_eq!(joined, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn payload_that_is_too_large_is_sent_in_parts_and_the_size_is_remembered() {
    const LIMIT: usize = 90_000;
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers(|_, body| if body.len() > LIMIT { 413 } else { 200 });
    let outputs = [named("a", Output::Pattoo(pattoo::Settings::new(server.url.clone())))];
    let mut stored = Vec::new();
    for _ in 0..2 {
        let mut sink = Encodings::new(&outputs).sink(&collector('a'), Bounds::default());
        sink.emit("t", registers(2_000), NOW).unwrap();
        let payloads = Encoders::of(sink).unwrap().into_payloads(NOW).unwrap();
        assert!(
            payloads.len() == 1 && payloads[0].bytes.len() > 4 * LIMIT,
            "{} of {}",
            payloads.len(),
            payloads[0].bytes.len()
        );
        stored.extend(spool.store(payloads).await.unwrap());
    }
    let sender = Sender::new(spool.clone(), settings());
    let queue_id = queue(&server.url, &agent('a'));
    assert_eq!(sender.work(&queue_id).await.end, End::More);
    let twice: Vec<i64> = (0..2_000).chain(0..2_000).collect();
    let accepted = server.accepted('a');
    assert_eq!(accepted.iter().flat_map(|body| values(body)).collect::<Vec<_>>(), twice);
    let refused = server.asked() - accepted.len();
    // Of the first: whole, its half, and a quarter at most; of the second nothing is tried that is too large.
    assert!(refused <= 3, "{refused} refusals");
    assert_eq!(spool.stats().await.unwrap().delivered, 2);
}

#[tokio::test]
async fn datapoint_that_is_too_large_alone_is_refused_as_ever() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers(|_, body| if body.contains("register_3\"") { 413 } else { 200 });
    let outputs = [named("a", Output::Pattoo(pattoo::Settings::new(server.url.clone())))];
    let mut sink = Encodings::new(&outputs).sink(&collector('a'), Bounds::default());
    sink.emit("t", registers(5), NOW).unwrap();
    spool.store(Encoders::of(sink).unwrap().into_payloads(NOW).unwrap()).await.unwrap();
    let sender = Sender::new(spool.clone(), settings());
    let queue_id = queue(&server.url, &agent('a'));
    for _ in 0..4 {
        let end = sender.work(&queue_id).await.end;
        assert!(matches!(&end, End::Refused { text, .. } if text.contains("413")), "{end:?}");
        spool.store(vec![payload(queue(&server.url, &agent('b')), "company")]).await.unwrap();
        assert_eq!(sender.work(&queue(&server.url, &agent('b'))).await.end, End::More);
    }
    sender.work(&queue_id).await;
    assert_eq!(spool.stats().await.unwrap().quarantined, 1);
}

#[tokio::test]
async fn backlog_of_an_output_that_is_not_configured_any_more_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let queue = QueueId { output: "archive".parse().unwrap(), agent: agent_key(&agent('a')).unwrap() };
    spool.store(vec![payload(queue.clone(), "{}\n")]).await.unwrap();
    let end = Sender::new(spool.clone(), settings()).work(&queue).await.end;
    assert!(matches!(&end, End::Unavailable { text } if text.contains("`archive` is no longer configured")), "{end:?}");
    assert_eq!(spool.stats().await.unwrap().queued, 1);
}
