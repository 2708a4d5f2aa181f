//! What is in the file, whatever happened to it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use pattoo_measurement::{Agent, Bounds, Candidate, Metadatum, PollingInterval, Reason, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{
    Settings,
    appender::{Appender, Writer},
    lines::{JsonLines, split},
    settings::Sizes,
};
use crate::{
    encoders::pieces,
    output_type::{Client as _, Encoded, Encoding as _},
};

const NOW: u64 = 1_700_000_000_000;

fn agent() -> Arc<Agent> {
    Arc::new(Agent {
        program: "BOILER".parse().unwrap(),
        id: "ab".repeat(32).parse().unwrap(),
        hostname: "gateway-7".parse().unwrap(),
        polling_interval: PollingInterval::from_seconds(20).unwrap(),
    })
}

fn point(key: &str, value: Value) -> Candidate {
    Candidate { key: key.to_owned(), value, timestamp: None, metadata: Vec::new() }
}

fn metadatum(key: &str, value: &str) -> Metadatum {
    Metadatum { key: key.to_owned(), value: value.to_owned(), identifying: true }
}

fn settings(path: &Path, rotate: u64, keep: u32) -> Settings {
    Settings { sizes: Sizes { rotate, keep, ..Sizes::default() }, ..Settings::new(path) }
}

#[test]
fn datapoint_is_a_line_as_it_was_emitted() {
    let mut encoder = JsonLines.encoder(&agent(), Bounds::default());
    let mut flow = point(" Pattoo Flow", Value::Float(61.5));
    flow.metadata = vec![metadatum("Unit", " m\u{b3}\n"), metadatum("Unit", "again"), metadatum("n", "")];
    let mut given = point("n", Value::Integer(i64::MIN));
    given.timestamp = Some(u64::MAX);
    let nan = point("nan", Value::Scaled(f64::NAN));
    let rejections = encoder.emit(" b-1 ", vec![flow, given, nan, point(" ", Value::Counter32(1))], NOW).unwrap();
    let reasons: Vec<_> = rejections.iter().map(|rejection| (rejection.index, &rejection.reason)).collect();
    assert!(matches!(reasons[..], [(2, Reason::Value(_)), (3, Reason::Key(_))]), "{reasons:?}");
    assert_eq!((encoder.datapoints(), encoder.targets()), (2, 1));
    let encoded = encoder.finish(NOW).unwrap();
    let text = String::from_utf8(encoded.bytes).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |key: &str, value: Json, kind: &str, timestamp: u64, metadata: Json| {
        json!({ "program": "BOILER", "agent_id": "ab".repeat(32), "host": "gateway-7", "target": "b-1", "key": key,
            "value": value, "type": kind, "timestamp": timestamp, "metadata": metadata })
    };
    assert_eq!(
        lines,
        [
            line(" Pattoo Flow", json!(61.5), "float", NOW, json!({ "Unit": " m\u{b3}\n", "n": "" })),
            line("n", json!(i64::MIN), "integer", u64::MAX, json!({})),
        ]
    );
    assert_eq!(encoded.count, 2);
}

#[test]
fn datapoints_beyond_the_bound_are_refused() {
    let mut encoder = JsonLines.encoder(&agent(), Bounds { bytes: 1_000, ..Bounds::default() });
    let points = (0..20).map(|number| point(&number.to_string(), Value::Integer(number))).collect();
    let rejections = encoder.emit("t", points, NOW).unwrap();
    assert!(rejections.iter().all(|rejection| rejection.reason == Reason::Room));
    assert!(encoder.bytes() <= 1_000 && encoder.datapoints() + rejections.len() == 20 && encoder.datapoints() > 2);
}

proptest! {
    #[test]
    fn splitting_loses_no_line(lines in prop::collection::vec("[a-z]{0,9}", 1..40), max in 1..60_usize) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let whole = Encoded { count: lines.len() as u64, bytes: text.clone().into_bytes() };
        let parts = pieces(&JsonLines, whole, max);
        prop_assert!(parts.iter().all(|part| part.count == 1 || part.bytes.len() <= max));
        let counted = |part: &Encoded| part.bytes.iter().filter(|byte| **byte == b'\n').count() as u64 == part.count;
        prop_assert!(parts.iter().all(counted));
        prop_assert_eq!(parts.concat_bytes(), text.into_bytes());
    }

    #[test]
    fn file_that_was_cut_anywhere_is_whole_lines_again(cut in 0..64_usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.jsonl");
        let settings = settings(&path, 1 << 20, 2);
        let lines = [b"{\"a\":1}\n".to_vec(), b"{\"b\":2}\n{\"b\":3}\n".to_vec()];
        Writer::new(&settings).append(&lines).into_iter().for_each(|result| result.unwrap());
        let written = fs::read(&path).unwrap();
        let kept = &written[..cut.min(written.len())];
        fs::write(&path, kept).unwrap();
        Writer::new(&settings).append(&[b"{\"c\":4}\n".to_vec()]).into_iter().for_each(|result| result.unwrap());
        let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        prop_assert_eq!(fs::read(&path).unwrap(), [&kept[..whole], b"{\"c\":4}\n"].concat());
    }
}

trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for Vec<Encoded> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|part| part.bytes.clone()).collect()
    }
}

#[test]
fn one_line_is_not_divided() {
    assert_eq!(split(b"a\n"), None);
    assert_eq!(split(b""), None);
}

#[test]
fn file_is_rotated_at_its_size_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/values.jsonl");
    let mut writer = Writer::new(&settings(&path, 20, 2));
    let line = |number: u32| format!("line {number:04}\n").into_bytes();
    // Two lines a file.
    for number in 0..9 {
        assert_eq!(writer.append(&[line(number)]), [Ok(())]);
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&path), "line 0008\n");
    assert_eq!(read(&writer.numbered(1)), "line 0006\nline 0007\n");
    assert_eq!(read(&writer.numbered(2)), "line 0004\nline 0005\n");
    assert!(!writer.numbered(3).exists());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o027, 0);
    // What a crash between two renames leaves behind.
    fs::rename(writer.numbered(1), writer.numbered(2)).unwrap();
    writer.append(&[line(9), line(10), line(11)]).into_iter().for_each(|result| result.unwrap());
    assert_eq!(
        (read(&path), read(&writer.numbered(1))),
        ("line 0010\nline 0011\n".to_owned(), "line 0008\nline 0009\n".to_owned())
    );
    assert_eq!(read(&writer.numbered(2)), "line 0006\nline 0007\n");
}

#[test]
fn file_that_was_moved_away_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.jsonl");
    let mut writer = Writer::new(&settings(&path, 1 << 20, 2));
    assert_eq!(writer.append(&[b"1\n".to_vec()]), [Ok(())]);
    fs::rename(&path, folder.path().join("moved")).unwrap();
    assert_eq!(writer.append(&[b"2\n".to_vec()]), [Ok(())]);
    assert_eq!(fs::read(&path).unwrap(), b"2\n");
    fs::remove_file(&path).unwrap();
    assert_eq!(writer.append(&[b"3\n".to_vec()]), [Ok(())]);
    assert_eq!(fs::read(&path).unwrap(), b"3\n");
}

#[test]
fn file_is_written_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.jsonl");
    let settings = settings(&path, 1 << 20, 2);
    let mut first = Writer::new(&settings);
    assert_eq!(first.append(&[b"1\n".to_vec()]), [Ok(())]);
    let refused = Writer::new(&settings).append(&[b"2\n".to_vec()]).remove(0).unwrap_err();
    assert!(refused.contains("values.jsonl: another process"), "{refused}");
    drop(first);
    assert_eq!(Writer::new(&settings).append(&[b"2\n".to_vec()]), [Ok(())]);
    assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_come_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.jsonl");
    let appender = Arc::new(Appender::new(&settings(&path, 2_000, 100)));
    let queue = pattoo_spool::QueueId { output: "archive".parse().unwrap(), agent: "a".parse().unwrap() };
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let (appender, queue) = (Arc::clone(&appender), queue.clone());
            tokio::spawn(async move { appender.send(&queue, format!("line {number:04}\n").into_bytes()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.len() <= 2_000);
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    assert_eq!(lines, (0..200).map(|number| format!("line {number:04}")).collect::<Vec<_>>());
}
