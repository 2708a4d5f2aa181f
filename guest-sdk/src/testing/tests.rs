//! The fake host keeps the rules of the contract.

use serde_json::json;

use super::*;
use crate::datapoints::{EmitErrorKind, Reason};
use crate::http::{self, ErrorKind, Response};
use crate::modbus::{self, Device, Exception, Table};
use crate::{state, target};

/// The datapoints that one collection is left with, and the reasons for the others.
fn emit(datapoints: Vec<Datapoint>) -> Collection {
    Host::new().program("LAVA").collect(|| {
        target("SITE_A").emit_all(datapoints)?.ignore();
        Ok(())
    })
}

fn only_reason(datapoint: Datapoint) -> Reason {
    let collection = emit(vec![Datapoint::new("before", 1), datapoint, Datapoint::new("after", 2)]);
    let keys: Vec<_> = collection.values().into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["before", "after"], "a bad one costs no good one");
    let [rejection] = collection.rejected.as_slice() else { panic!("{:?}", collection.rejected) };
    assert_eq!(rejection.index, 1);
    rejection.reason.clone()
}

#[test]
fn keys_and_metadata_are_taken_as_pattoo_has_them() {
    let datapoint =
        Datapoint::new(" Inner Space\u{1f}", " t ").with(" Unit", 7).note("Firmware", " 1.2 ").with("unit", 8);
    let expected = Datapoint::new("inner space", "t").with("unit", "7").note("firmware", "1.2");
    assert_eq!(emit(vec![datapoint]).datapoints(), [Emitted { target: "SITE_A".to_owned(), datapoint: expected }]);
}

#[test]
fn bad_keys_values_metadata_and_timestamps_are_refused() {
    for key in ["", " \t", "pattoo_key", "my.PATTOO", &"k".repeat(508)] {
        assert!(matches!(only_reason(Datapoint::new(key, 1)), Reason::Key(_)), "{key}");
    }
    assert_eq!(emit(vec![Datapoint::new("k".repeat(507), 1)]).rejected, []);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30] {
        assert!(matches!(only_reason(Datapoint::new("k", Value::float(value))), Reason::Value(_)), "{value}");
        assert!(matches!(only_reason(Datapoint::new("k", Value::scaled(value))), Reason::Value(_)), "{value}");
    }
    for key in ["", "pattoo_value"] {
        assert!(matches!(only_reason(Datapoint::new("k", 1).note(key, "")), Reason::Metadata(_)), "{key}");
    }
    let late = |millis: u64| Datapoint::new("k", 1).at(Timestamp::from_unix_millis(1_700_000_000_000 + millis));
    assert!(matches!(only_reason(late(300_001)), Reason::Timestamp(_)));
    assert_eq!(emit(vec![late(300_000)]).rejected, []);
    let early = |millis| Datapoint::new("k", 1).at(Timestamp::from_unix_millis(millis));
    assert!(matches!(only_reason(early(1)), Reason::Timestamp(_)));
    assert_eq!(emit(vec![early(2)]).rejected, []);
}

#[test]
fn duplicates_are_those_that_pattoo_cannot_tell_apart() {
    let first = || Datapoint::new("a", 1).with("unit", "1");
    let same = [
        first(),
        Datapoint::new("A ", Value::scaled(0.5)).with("UNIT", "1"),
        first().note("firmware", "1.2"),
        Datapoint::new("a", 2).with("uni", "t1"),
    ];
    for datapoint in same {
        let collection = emit(vec![first(), datapoint]);
        assert_eq!(collection.rejected.iter().map(|one| one.reason.clone()).collect::<Vec<_>>(), [Reason::Duplicate]);
    }
    let other = [
        Datapoint::new("a", 1),
        Datapoint::new("a", 1).with("unit", "2"),
        Datapoint::new("a", 1.0).with("unit", "1"),
        first().with("line", "1"),
    ];
    for datapoint in other {
        assert_eq!(emit(vec![first(), datapoint]).rejected, []);
    }
    let collision = emit(vec![Datapoint::new("a3", "text"), Datapoint::new("a", Value::counter32(1))]);
    assert_eq!(collision.rejected[0].reason, Reason::Duplicate);
}

#[test]
fn a_duplicate_is_found_across_calls_but_not_across_targets() {
    let collection = Host::new().collect(|| {
        target("A").emit("k", 1)?;
        target("B").emit("k", 1)?;
        target("A").emit("k", 2)?;
        Ok(())
    });
    let text = "target \"A\": datapoint \"k\" was refused: another one with the same key, type and identifying metadata was emitted before";
    assert_eq!(collection.outcome, Err(text.to_owned()));
    assert_eq!(collection.values(), [("A", "k", Value::integer(1)), ("B", "k", Value::integer(1))]);
}

#[test]
fn targets_without_a_proper_name_and_more_than_the_quota_take_nothing() {
    for name in ["", " ", "a\nb", &"t".repeat(513)] {
        Host::new().collect(|| {
            let error = target(name).emit("k", 1).unwrap_err();
            assert!(matches!(error.kind, EmitErrorKind::Target(_)), "{name:?}");
            Ok(())
        });
    }
    let many = (0..10_001).map(|number| Datapoint::new(format!("k{number}"), number)).collect();
    let collection = emit(many);
    assert!(collection.outcome.is_err());
    assert_eq!(collection.datapoints(), []);
}

#[test]
fn what_was_emitted_before_a_failure_is_kept() {
    let collection = Host::new().collect(|| {
        target("A").emit("k", 1)?;
        Err("no more".into())
    });
    assert_eq!((collection.outcome.clone(), collection.datapoints().len()), (Err("no more".to_owned()), 1));
}

#[test]
fn units_that_are_not_granted_are_denied_and_reads_that_make_no_sense_are_invalid() {
    let mut host = Host::new().modbus("plc1", |plc| plc.unit(3).holding(65_535, &[1]).unit(4).discrete(0, &[true]));
    let collection = host.collect(|| {
        let plc = Device::new("plc1");
        assert_eq!(modbus::devices(), [modbus::Granted { name: "plc1".to_owned(), units: vec![3, 4] }]);
        assert_eq!(plc.holding(65_535, 1)?, [1]);
        assert_eq!(plc.clone().unit(4).discrete(0, 1)?, [true]);
        assert!(matches!(plc.clone().unit(1).holding(0, 1).unwrap_err().kind, modbus::ErrorKind::Denied(_)));
        for (address, count) in [(0, 0), (65_535, 2)] {
            let error = plc.holding(address, count).unwrap_err();
            assert!(matches!(error.kind, modbus::ErrorKind::Invalid(_)), "{error}");
        }
        Device::new("plc2").coils(0, 1)?;
        Ok(())
    });
    assert_eq!(collection.outcome, Err("plc2, 1 coils from address 0: no device of that name is granted".to_owned()));
    assert_eq!(collection.reads.len(), 6);
}

#[test]
fn an_exception_beyond_the_known_ones_still_reads_well() {
    let mut host = Host::new().modbus("plc1", |plc| plc.input(0, &[1]).exception(Table::Input, 0, Exception(99)));
    let collection = host.collect(|| Ok(Device::new("plc1").input(0, 1).map(drop)?));
    let text = "plc1, 1 input registers from address 0: the device answered exception 99";
    assert_eq!(collection.outcome, Err(text.to_owned()));
}

#[test]
fn only_the_origins_of_known_urls_are_granted() {
    let mut host = Host::new()
        .http("http://a.example/abc.json", json!({"ABC": 1}))
        .http("https://[2001:db8::1]:8443/x", Response::new(503, "later").with_header("Retry-After", "5"));
    host.collect(|| {
        assert_eq!(http::get("http://A.example:80/abc.json").unwrap().status(), 404);
        assert_eq!(http::get("http://a.example/abc.json")?.header("Content-Type"), Some("application/json"));
        assert_eq!(http::get("https://[2001:db8::1]:8443/x")?.header("retry-after"), Some("5"));
        for url in ["https://a.example/abc.json", "http://a.example:81/", "http://b.example/", "http://[2001:db8::1]/"]
        {
            assert!(matches!(http::get(url).unwrap_err().kind, ErrorKind::Denied(_)), "{url}");
        }
        for url in [
            "",
            "/abc.json",
            "ftp://a.example/",
            "http:///x",
            "http://a.example:port/",
            "http://u@a.example/",
            "http://a b/",
        ] {
            assert!(matches!(http::get(url).unwrap_err().kind, ErrorKind::Invalid(_)), "{url}");
        }
        Ok(())
    });
}

#[test]
fn an_error_about_a_response_names_its_request() {
    let mut host = Host::new().http("http://a.example/x", Response::new(200, "<html>"));
    host.collect(|| {
        let page = http::get("http://a.example/x")?;
        let text = page.json::<serde_json::Value>().unwrap_err().to_string();
        assert!(text.starts_with("GET http://a.example/x: the response is not the JSON that was expected: "), "{text}");
        let gone = http::Request::post("http://a.example/y").json(&[1])?.send()?.error_for_status().unwrap_err();
        assert_eq!(gone.to_string(), "POST http://a.example/y: the site answered 404");
        Ok(())
    });
}

#[test]
fn byte_order_mark_before_json_is_skipped_and_stays_in_the_body() {
    let mut host = Host::new().http("http://a.example/x", Response::new(200, "\u{feff}[15]"));
    host.collect(|| {
        let page = http::get("http://a.example/x")?;
        assert_eq!(page.json::<[u8; 1]>()?, [15]);
        assert_eq!(page.bytes(), "\u{feff}[15]".as_bytes());
        Ok(())
    });
}

#[test]
fn state_is_seen_by_its_own_collection_and_kept_only_after_a_good_end() {
    let mut host = Host::new().state("kept", "1");
    let write = |fail: bool| {
        move || {
            state::set("cursor", "2")?;
            state::remove("kept");
            assert_eq!(state::keys(), ["cursor"]);
            if fail { Err("failed".into()) } else { Ok(()) }
        }
    };
    assert_eq!(host.collect(write(true)).state.into_keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(host.collect(write(false)).state.into_keys().collect::<Vec<_>>(), ["cursor"]);
    host.collect(|| {
        assert_eq!(state::get("cursor"), Some(b"2".to_vec()));
        assert!(matches!(state::set("", "").unwrap_err().kind, state::ErrorKind::Invalid(_)));
        state::set("big", vec![0; (1 << 20) - 10])?;
        state::set("big", vec![0; (1 << 20) - 10])?;
        assert!(matches!(state::set("more", "12345").unwrap_err().kind, state::ErrorKind::Quota(_)));
        Ok(())
    });
}

#[test]
fn a_collector_that_panics_leaves_no_host_behind() {
    let panicked = std::panic::catch_unwind(|| Host::new().collect(|| panic!("a trap")));
    assert!(panicked.is_err());
    assert!(std::panic::catch_unwind(crate::agent::program).is_err(), "no host outside of a collection");
    assert_eq!(Host::new().collect(|| Ok(())).outcome, Ok(()));
}

#[test]
fn the_collector_sees_who_it_is_and_a_clock_that_moves() {
    let mut host = Host::new().program("LAVA").polling_interval(Duration::from_secs(20)).settings(json!({"a": [1]}));
    let collection = host.collect(|| {
        assert_eq!(crate::agent::program(), "LAVA");
        assert_eq!(crate::agent::polling_interval(), Duration::from_secs(20));
        assert_eq!(crate::settings::<BTreeMap<String, Vec<u8>>>()?["a"], [1]);
        assert!(crate::clock::now() > crate::agent::collection_time());
        assert!(crate::clock::monotonic() < crate::clock::monotonic());
        Ok(())
    });
    assert_eq!(collection.outcome, Ok(()));
}
