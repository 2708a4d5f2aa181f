//! Complete bodies: golden vectors, the rules together, and properties of all bodies.

#![expect(clippy::arithmetic_side_effects, reason = "numbers of this test's own choosing")]

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use pattoo_base::tls::Trust;
use pattoo_measurement::{
    Agent, AgentId, Candidate, DEFAULT_FUTURE_BOUND, Metadatum, PollingInterval, Reason, Rejection, TargetError, Value,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const NOW: u64 = 1_700_000_000_000;

fn agent(program: &str, id: AgentId, hostname: &str, seconds: u32) -> Arc<Agent> {
    Arc::new(Agent {
        program: program.parse().unwrap(),
        id,
        hostname: hostname.parse().unwrap(),
        polling_interval: PollingInterval::from_seconds(seconds).unwrap(),
    })
}

fn batch() -> Batch {
    Batch::new(agent("LAVA_SCRIPT", "ab".repeat(32).parse().unwrap(), "h", 20), DEFAULT_FUTURE_BOUND)
}

fn point(key: &str, value: Value) -> Candidate {
    Candidate { key: key.to_owned(), value, timestamp: None, metadata: Vec::new() }
}

fn metadatum(key: &str, value: &str, identifying: bool) -> Metadatum {
    Metadatum { key: key.to_owned(), value: value.to_owned(), identifying }
}

fn with(mut candidate: Candidate, metadata: Vec<Metadatum>) -> Candidate {
    candidate.metadata = metadata;
    candidate
}

fn parse(body: &Body) -> Json {
    serde_json::from_slice(body.json()).unwrap()
}

/// The pairs of each datapoint. Also asserts what is true of every body.
fn resolve(body: &Json) -> Vec<Vec<(String, Json)>> {
    let pairs = body["pattoo_datapoints"]["key_value_pairs"].as_object().unwrap();
    for (index, id) in pairs.keys().enumerate() {
        assert_eq!(*id, index.to_string(), "ids count up from 0");
    }
    let distinct: HashSet<String> = pairs.values().map(Json::to_string).collect();
    assert_eq!(distinct.len(), pairs.len(), "each pair is listed once");
    let rows = body["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap();
    let resolve_row = |row: &Json| {
        let ids = row.as_array().unwrap().iter();
        ids.map(|id| {
            let pair = &pairs[&id.to_string()];
            (pair[0].as_str().unwrap().to_owned(), pair[1].clone())
        })
        .collect()
    };
    rows.iter().map(resolve_row).collect()
}

fn member(row: &[(String, Json)], key: &str) -> Json {
    row.iter().find(|(k, _)| k == key).unwrap().1.clone()
}

/// JSON text without the spaces between its tokens.
fn compact(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let mut kept = String::new();
    for c in text.trim_end().chars() {
        if in_string || c != ' ' {
            kept.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    kept
}

#[test]
fn golden_bodies_are_equal_byte_for_byte() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors");
    for name in ["seed", "small"] {
        let read = |end: &str| std::fs::read_to_string(vectors.join(format!("{name}.{end}"))).unwrap();
        let input: Json = serde_json::from_str(&read("json")).unwrap();
        let expected = read("out");

        let text = |key: &str| input[key].as_str().unwrap();
        let interval = u32::try_from(input["polling_interval"].as_u64().unwrap()).unwrap();
        let id = AgentId::unchecked(text("agent_id"));
        let mut batch = Batch::new(agent(text("agent_program"), id, text("hostname"), interval), DEFAULT_FUTURE_BOUND);
        let expected_json: Json = serde_json::from_str(&expected).unwrap();
        let now = expected_json["pattoo_agent_timestamp"].as_u64().unwrap();
        for target in input["targets"].as_array().unwrap() {
            let candidates = target["datapoints"].as_array().unwrap().iter().map(golden_point).collect();
            assert_eq!(batch.emit(target["target"].as_str().unwrap(), candidates, now), Ok(vec![]));
        }
        let body = batch.into_body(now).unwrap();
        assert_eq!(resolve(&parse(&body)), resolve(&expected_json), "{name}");
        assert_eq!(std::str::from_utf8(body.json()).unwrap(), compact(&expected), "{name}");
    }
}

fn golden_point(input: &Json) -> Candidate {
    // One input has its number as text, which pattoo reads as a number.
    let number = input["value"].as_f64().unwrap_or_else(|| input["value"].as_str().unwrap().parse().unwrap());
    let value = if input["data_type"] == "DATA_INT" { Value::Scaled(number) } else { Value::Float(number) };
    let metadata = input["metadata"].as_array().into_iter().flatten().map(|m| {
        let value = m[1].as_str().map_or_else(|| m[1].to_string(), str::to_owned);
        metadatum(m[0].as_str().unwrap(), &value, m[2] != json!(false))
    });
    Candidate {
        key: input["key"].as_str().unwrap().to_owned(),
        value,
        timestamp: input["timestamp"].as_u64(),
        metadata: metadata.collect(),
    }
}

#[test]
fn body_has_the_members_of_pattoo_in_their_order() {
    let mut batch = batch();
    let metadata = vec![metadatum(" Unit ", " 007 ", true), metadatum("Note", "", false)];
    batch.emit("plc1", vec![with(point("Temp", Value::Integer(5)), metadata)], NOW).unwrap();
    let body = batch.into_body(NOW + 7).unwrap();
    assert_eq!((body.timestamp(), body.datapoints(), body.agent_id().as_str().len()), (NOW + 7, 1, 64));
    let json = parse(&body);
    let members: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["pattoo_agent_timestamp", "pattoo_agent_id", "pattoo_agent_polling_interval", "pattoo_datapoints"]
    );
    assert_eq!(json["pattoo_agent_timestamp"], json!(NOW + 7));
    assert_eq!(json["pattoo_agent_polling_interval"], json!(20_000));
    let rows = resolve(&json);
    let keys: Vec<&str> = rows[0].iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "unit",
            "note",
            "pattoo_agent_polling_interval",
            "pattoo_agent_hostname",
            "pattoo_agent_id",
            "pattoo_agent_polled_target",
            "pattoo_agent_program",
            "pattoo_key",
            "pattoo_data_type",
            "pattoo_value",
            "pattoo_timestamp",
            "pattoo_checksum",
        ]
    );
    assert_eq!(member(&rows[0], "unit"), json!("007"));
    assert_eq!(member(&rows[0], "note"), json!(""));
    assert_eq!(member(&rows[0], "pattoo_agent_polling_interval"), json!("20000"));
    assert_eq!(member(&rows[0], "pattoo_key"), json!("temp"));
    assert_eq!(member(&rows[0], "pattoo_timestamp"), json!(NOW), "no timestamp is the moment of the call");
}

#[test]
fn batch_without_datapoints_makes_no_body() {
    let mut batch = batch();
    assert_eq!(batch.emit("a", vec![], NOW), Ok(vec![]));
    assert_eq!(batch.emit("a", vec![point("", Value::Integer(1))], NOW).unwrap().len(), 1);
    assert!(batch.is_empty());
    assert_eq!((batch.datapoints(), batch.targets(), batch.bytes()), (0, 0, 0));
    assert!(batch.into_body(NOW).is_none());
}

#[test]
fn calls_for_one_target_are_joined() {
    let mut batch = batch();
    for (target, key) in [("a", "1"), ("b", "1"), ("a", "2"), (" a\n", "3")] {
        assert_eq!(batch.emit(target, vec![point(key, Value::Integer(1))], NOW), Ok(vec![]));
    }
    let again = batch.emit("a", vec![point(" 1 ", Value::Integer(2)), point("1", Value::Float(1.0))], NOW).unwrap();
    assert_eq!(again, [Rejection { index: 0, reason: Reason::Duplicate }]);
    assert_eq!((batch.targets(), batch.datapoints()), (2, 5));
    let rows = resolve(&parse(&batch.into_body(NOW).unwrap()));
    let order: Vec<_> =
        rows.iter().map(|r| (member(r, "pattoo_agent_polled_target"), member(r, "pattoo_key"))).collect();
    let expected = [("a", "1"), ("a", "2"), ("a", "3"), ("a", "1"), ("b", "1")];
    assert_eq!(order, expected.map(|(target, key)| (json!(target), json!(key))));
}

#[test]
fn datapoints_with_the_same_checksum_are_rejected() {
    let emit = |candidates| batch().emit("t", candidates, NOW).unwrap();
    let duplicate = [Rejection { index: 1, reason: Reason::Duplicate }];
    let a = || point("a", Value::Integer(1));
    let (xy_z, x_yz) = (vec![metadatum("xy", "z", true)], vec![metadatum("x", "yz", true)]);
    assert_eq!(emit(vec![with(a(), xy_z.clone()), with(a(), x_yz.clone())]), duplicate);
    assert_eq!(emit(vec![point("a3", Value::Text("t".into())), point("a", Value::Counter32(1))]), duplicate);
    assert_eq!(emit(vec![a(), with(a(), vec![metadatum("note", "x", false)])]), duplicate);
    assert_eq!(emit(vec![a(), point("a", Value::Scaled(2.5))]), duplicate);
    // Other identifying metadata, and a datapoint that was rejected, which is no duplicate.
    assert_eq!(emit(vec![a(), with(a(), x_yz)]), []);
    let refused = emit(vec![point("f", Value::Float(f64::NAN)), point("f", Value::Float(1.0))]);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].index, 0);
}

#[test]
fn duplicate_and_invalid_datapoints_of_one_group_are_rejected_in_order() {
    let int = |key: &str| point(key, Value::Integer(1));
    let mut batch = batch();
    let given = ["a", "", "a", "b", "A ", "", "c", "b", "d"].map(int).to_vec();
    let rejections = batch.emit("t", given, NOW).unwrap();
    let duplicate: Vec<_> = rejections.iter().map(|r| (r.index, r.reason == Reason::Duplicate)).collect();
    assert_eq!(duplicate, [(1, false), (2, true), (4, true), (5, false), (7, true)]);
    let rows = resolve(&parse(&batch.into_body(NOW).unwrap()));
    let keys: Vec<_> = rows.iter().map(|row| member(row, "pattoo_key")).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[test]
fn body_of_many_pieces_has_each_row_once_and_in_order() {
    let mut batch = batch();
    let many = 10_000_i64;
    for target in ["t", "u"] {
        let points = (0..many).map(|n| point(&format!("k{n}"), Value::Integer(n))).collect();
        assert_eq!(batch.emit(target, points, NOW), Ok(vec![]));
    }
    let bytes = batch.bytes();
    let body = batch.into_body(NOW).unwrap();
    assert!(body.json().len() >= bytes && body.json().len() <= bytes + 300);
    let rows = resolve(&parse(&body));
    let values: Vec<_> = rows.iter().map(|row| member(row, "pattoo_value")).collect();
    assert_eq!(values, (0..many).chain(0..many).map(Json::from).collect::<Vec<_>>());
}

#[test]
fn first_of_metadata_with_the_same_key_is_kept() {
    for many in [0, 20] {
        let mut metadata = vec![metadatum("unit", "1", true), metadatum(" UNIT", "2", true)];
        metadata.extend((0..many).map(|n| metadatum(&format!("m{}", n / 2), "x", false)));
        let mut one = batch();
        one.emit("t", vec![with(point("a", Value::Integer(1)), metadata)], NOW).unwrap();
        let row = resolve(&parse(&one.into_body(NOW).unwrap())).remove(0);
        assert_eq!(row.len(), 11 + many / 2);
        assert_eq!(member(&row, "unit"), json!("1"));
    }
}

#[test]
fn datapoint_that_the_server_cannot_store_is_rejected_with_the_reason() {
    let room = 512 - "LAVA_SCRIPT_".len();
    let reason = |candidate: Candidate| {
        let mut rejections = batch().emit("t", vec![candidate], NOW).unwrap();
        rejections.pop().map(|r| r.reason)
    };
    let int = |key: &str| point(key, Value::Integer(1));
    let at = |timestamp| Candidate { timestamp: Some(timestamp), ..int("a") };
    let meta = |key: &str, value: &str| with(int("a"), vec![metadatum(key, value, true)]);
    for (candidate, kind) in [
        (int(""), "key"),
        (int(" \u{1f}\u{3000}"), "key"),
        (int("My_Pattoo_key"), "key"),
        (int(&"k".repeat(room + 1)), "key"),
        (int(&"\u{e9}".repeat(room / 2 + 1)), "key"),
        (point("a", Value::Float(f64::NAN)), "value"),
        (point("a", Value::Scaled(-1e30)), "value"),
        (meta(" ", "x"), "metadata"),
        (meta("pattoo_checksum", "x"), "metadata"),
        (meta("PATTOO_agent_id", "x"), "metadata"),
        (meta(&"k".repeat(room + 1), "x"), "metadata"),
        (meta("k", &"\u{e9}".repeat(257)), "metadata"),
        (at(NOW + 300_001), "timestamp"),
        (at(u64::MAX), "timestamp"),
        (at(0), "timestamp"),
        (at(1), "timestamp"),
    ] {
        let given = reason(candidate.clone()).unwrap_or_else(|| panic!("{candidate:?} was taken"));
        assert!(given.to_string().starts_with(&format!("{kind}: ")), "{candidate:?}: {given}");
    }
    for candidate in [
        int(&"k".repeat(room)),
        int("a b.c-d/e"),
        meta("k", &"v".repeat(10_000)),
        meta("k", &"\u{e9}".repeat(256)),
        at(NOW + 300_000),
        at(2),
        point("a", Value::Text("\u{0}\u{1b}[2J\"\\\n NaN ".into())),
        point("a", Value::Text(String::new())),
    ] {
        assert_eq!(reason(candidate.clone()), None, "{candidate:?}");
    }
}

#[test]
fn target_that_does_not_fit_is_an_error_and_adds_no_datapoint() {
    let mut batch = batch();
    let one = || vec![point("a", Value::Integer(1))];
    assert_eq!(batch.emit(" \u{1c}", one(), NOW), Err(TargetError::Empty));
    let error = batch.emit(&"\u{e9}".repeat(257), one(), NOW).unwrap_err();
    assert!(matches!(error, TargetError::TooLong { bytes: 514, .. }), "{error}");
    assert!(batch.is_empty());
    batch.emit(&"x".repeat(512), one(), NOW).unwrap();
}

#[test]
fn values_keep_their_type_and_every_bit() {
    let mut batch = batch();
    let values = [
        (Value::Integer(i64::MIN), json!(i64::MIN)),
        (Value::Integer(i64::MAX), json!(i64::MAX)),
        (Value::Integer(1), json!(1)),
        (Value::Scaled(1.0), json!(1.0)),
        (Value::Counter64(u64::MAX), json!(u64::MAX)),
        (Value::Counter32(u32::MAX), json!(u32::MAX)),
        (Value::Float(0.1), json!(0.1)),
        (Value::Text(" 1 ".into()), json!(" 1 ")),
    ];
    let candidates = values.iter().enumerate().map(|(n, (value, _))| point(&format!("k{n}"), value.clone())).collect();
    assert_eq!(batch.emit("t", candidates, NOW), Ok(vec![]));
    let body = batch.into_body(NOW).unwrap();
    let written: Vec<Json> = resolve(&parse(&body)).iter().map(|row| member(row, "pattoo_value")).collect();
    assert_eq!(written, values.map(|(_, json)| json));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<String>(),
        prop::sample::select(vec!["a", " A", "pattoo_key", "\u{130}\u{3a3}", "\u{1f}", "x", "xy"])
            .prop_map(str::to_owned),
        prop::collection::vec(any::<char>(), 500..520).prop_map(String::from_iter),
    ]
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Scaled),
        any::<f64>().prop_map(Value::Float),
        any::<u32>().prop_map(Value::Counter32),
        any::<u64>().prop_map(Value::Counter64),
        any_text().prop_map(Value::Text),
    ];
    let datum = (any_text(), any_text(), any::<bool>()).prop_map(|(key, value, identifying)| Metadatum {
        key,
        value,
        identifying,
    });
    let timestamp = prop::option::of(prop_oneof![any::<u64>(), NOW - 5..NOW + 5]);
    (any_text(), value, timestamp, prop::collection::vec(datum, 0..12))
        .prop_map(|(key, value, timestamp, metadata)| Candidate { key, value, timestamp, metadata })
}

/// So few different ones that some repeat, and that some that differ have the same checksum.
fn few_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let key = prop::sample::select(vec!["a", "a3", "b", "B "]);
    let value = prop::sample::select(vec![Value::Text("t".into()), Value::Counter32(1), Value::Integer(7)]);
    let text = prop::sample::select(vec!["x", "xy", "yz", "z"]);
    let metadata = prop::collection::vec((text.clone(), text, any::<bool>()), 0..3);
    let one = (key, value, metadata).prop_map(|(key, value, metadata)| {
        let metadata =
            metadata.into_iter().map(|(key, value, identifying)| metadatum(key, value, identifying)).collect();
        with(point(key, value), metadata)
    });
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn body_is_valid_for_all_input(
        calls in prop::collection::vec((any_text(), prop::collection::vec(any_candidate(), 0..8), any::<u64>()), 0..6),
        bound in any::<u64>(),
    ) {
        let agent = agent("p", "0F".repeat(32).parse().unwrap(), "\u{e9}", 1);
        let mut batch = Batch::new(agent, Duration::from_millis(bound));
        let mut taken = 0;
        for (target, candidates, now) in calls {
            let given = candidates.len();
            if let Ok(rejections) = batch.emit(&target, candidates, now) {
                prop_assert!(rejections.windows(2).all(|pair| pair[0].index < pair[1].index));
                taken += given - rejections.len();
            }
        }
        prop_assert_eq!(batch.datapoints(), taken);
        let (bytes, targets) = (batch.bytes(), batch.targets());
        match batch.into_body(u64::MAX) {
            None => prop_assert_eq!(taken, 0),
            Some(body) => {
                prop_assert!(!body.json().contains(&b'\n'));
                prop_assert!(body.json().len() >= bytes && body.json().len() <= bytes + 300 + targets);
                let rows = resolve(&parse(&body));
                prop_assert_eq!(rows.len(), taken);
                let checksum = |row: &Vec<_>| member(row, "pattoo_checksum").to_string();
                let checksums: HashSet<String> = rows.iter().map(checksum).collect();
                prop_assert_eq!(checksums.len(), taken, "checksums are unique in a body");
                for row in rows {
                    let keys: HashSet<&String> = row.iter().map(|(key, _)| key).collect();
                    prop_assert_eq!(keys.len(), row.len());
                }
            }
        }
    }

    #[test]
    fn one_call_gives_the_same_body_as_one_call_for_each_datapoint(
        collections in prop::collection::vec(
            prop::collection::vec(prop_oneof![few_candidates(), prop::collection::vec(any_candidate(), 0..3)], 0..5), 1..4,
        ),
    ) {
        let agent = batch().agent().clone();
        for candidates in collections {
            let candidates = candidates.concat();
            let mut at_once = Batch::new(agent.clone(), DEFAULT_FUTURE_BOUND);
            let mut one_by_one = Batch::new(agent.clone(), DEFAULT_FUTURE_BOUND);
            let mut rejections = Vec::new();
            for (index, candidate) in (0..).zip(&candidates) {
                let rejected = one_by_one.emit("t", vec![candidate.clone()], NOW).unwrap().pop();
                rejections.extend(rejected.map(|Rejection { reason, .. }| Rejection { index, reason }));
            }
            prop_assert_eq!(at_once.emit("t", candidates, NOW), Ok(rejections));
            prop_assert_eq!(at_once.bytes(), one_by_one.bytes());
            prop_assert_eq!(at_once.into_body(NOW), one_by_one.into_body(NOW));
        }
    }

    #[test]
    fn accepted_float_is_read_back_unchanged(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let mut batch = batch();
        let rejections = batch.emit("t", vec![point("k", Value::Float(value))], NOW).unwrap();
        let storable = value.is_finite() && value.abs() < 1e30;
        prop_assert_eq!(rejections.is_empty(), storable);
        if storable {
            // The standard library reads it, because serde_json can be wrong in the last bit of a
            // float.
            let body = batch.into_body(NOW).unwrap();
            let json = std::str::from_utf8(body.json()).unwrap();
            let (_, rest) = json.split_once(r#"["pattoo_value","#).unwrap();
            let (written, _) = rest.split_once(']').unwrap();
            prop_assert!(written.contains(['.', 'e']), "{}", written);
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}

#[tokio::test]
async fn error_of_a_server_that_cannot_be_reached_names_the_addresses_of_its_name() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let post = async |host: &str| {
        let server = format!("http://{host}:{port}").parse().unwrap();
        let poster = Poster::new(server, None, &Trust::default(), Duration::from_secs(10)).unwrap();
        poster.post(&"ab".repeat(32).parse().unwrap(), Vec::new()).await.unwrap_err().to_string()
    };
    let by_name = post("localhost").await;
    assert!(by_name.contains("addresses of the name: ") && by_name.contains(&format!("127.0.0.1:{port}")), "{by_name}");
    let by_address = post("127.0.0.1").await;
    assert!(by_address.contains("refused") && !by_address.contains("of the name"), "{by_address}");
}
