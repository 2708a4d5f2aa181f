use pattoo_guest::Value;
use pattoo_guest::http::{ErrorKind, Response};
use pattoo_guest::testing::{Answer, Collection, Host};
use serde_json::json;

use super::collect;

const SITE_A: &str = "http://127.0.0.1:8001/site_a.json";
const WORK_1: &str = "http://127.0.0.1:8002/work_1.json";

/// One collection with the two sources of the documentation, answering like this.
fn collect_from(site_a: impl Into<Answer>, work_1: impl Into<Answer>) -> Collection {
    Host::new()
        .program("LAVA_SCRIPT")
        .settings(json!({"sources": [
            {"target": "SITE_A", "url": SITE_A, "keys": ["ABC", "DEF"]},
            {"target": "WORK_1", "url": WORK_1, "keys": ["GHI", "JKL"]},
        ]}))
        .http(SITE_A, site_a)
        .http(WORK_1, work_1)
        .collect(collect)
}

fn work_1_alone() -> [(&'static str, &'static str, Value); 2] {
    [("WORK_1", "ghi", Value::float(654.321)), ("WORK_1", "jkl", Value::float(987.654))]
}

#[test]
fn both_sites_become_four_floats() {
    let collection =
        collect_from(json!({"ABC": 123.456, "DEF": 456.789, "XYZ": "?"}), json!({"JKL": 987.654, "GHI": 654.321}));

    assert_eq!(collection.outcome, Ok(()));
    let [ghi, jkl] = work_1_alone();
    let expected = [("SITE_A", "abc", Value::float(123.456)), ("SITE_A", "def", Value::float(456.789)), ghi, jkl];
    assert_eq!(collection.values(), expected);
}

#[test]
fn a_site_that_fails_costs_only_its_own_datapoints_and_is_named() {
    let failures: [(Answer, &str); 4] = [
        (Response::new(404, "").into(), "the site answered 404"),
        (Response::new(200, "<html>").into(), "not the JSON that was expected"),
        (json!(["ABC"]).into(), "not the JSON that was expected"),
        (ErrorKind::Timeout.into(), "the request timed out"),
    ];
    for (answer, reason) in failures {
        let collection = collect_from(answer, json!({"GHI": 654.321, "JKL": 987.654}));

        let error = collection.outcome.clone().unwrap_err();
        let start = format!("1 of 2 sources failed: SITE_A: GET {SITE_A}: ");
        assert!(error.starts_with(&start) && error.contains(reason), "{error}");
        assert_eq!(collection.values(), work_1_alone());
    }
}

#[test]
fn a_key_that_is_missing_or_no_number_costs_only_itself() {
    let collection = collect_from(json!({"ABC": "123.456", "DEF": 456.789}), json!({"GHI": 654.321, "JKL": 987.654}));

    let error = format!("1 of 2 sources failed: SITE_A: {SITE_A}: no number under ABC");
    assert_eq!(collection.outcome, Err(error));
    assert_eq!(collection.value("SITE_A", "def"), Some(&Value::float(456.789)));
    assert_eq!(collection.datapoints().len(), 3);
}

#[test]
fn every_failure_is_named_when_all_fail() {
    let collection = collect_from(Response::new(500, ""), ErrorKind::Connection("connection refused".to_owned()));

    let error = format!(
        "2 of 2 sources failed: SITE_A: GET {SITE_A}: the site answered 500; WORK_1: GET {WORK_1}: connection refused"
    );
    assert_eq!(collection.outcome, Err(error));
    assert_eq!(collection.datapoints(), []);
}

#[test]
fn without_settings_it_says_what_to_set() {
    let error = Host::new().collect(collect).outcome.unwrap_err();
    assert_eq!(error, "there is nothing to fetch: set `sources`, a list of {target, url, keys}");
}
