use pattoo_guest::http::{ErrorKind as HttpErrorKind, Response};
use pattoo_guest::modbus::ErrorKind;
use pattoo_guest::testing::{Collection, Host};
use serde_json::{Value as Json, json};

use super::{Value, collect};

const PUMP: [u16; 4] = [1234, 0xFFF6, 0x0001, 0x0002];
const METER: [u16; 10] = [0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0];

fn settings() -> Json {
    json!({
        "device": "plc1", "unit": 7, "site": "SITE_A", "url": "http://site-a.example/weather.json", "note": "by the river",
        "pump": {"table": "holding-registers", "address": 10}, "meter": {"table": "input-registers", "address": 100},
    })
}

fn host() -> Host {
    let weather = json!({"temperature": -3.25, "humidity": 81, "rain_total": 5000, "name": "Old Mill"});
    Host::new()
        .settings(settings())
        .modbus("plc1", |plc| plc.unit(7).holding(10, &PUMP).input(100, &METER))
        .http("http://site-a.example/weather.json", weather)
}

fn said(collection: &Collection) -> Vec<&str> {
    collection.logs.iter().map(|line| line.message.as_str()).collect()
}

#[test]
fn a_whole_collection_is_eleven_datapoints() {
    let mut host = host();
    let collection = host.collect(collect);
    assert_eq!(collection.outcome, Ok(()));
    let values = [
        ("plc1", "level", Value::Integer(1234)),
        ("plc1", "temperature", Value::Scaled(-1.0)),
        ("plc1", "revolutions", Value::Counter32(65_538)),
        ("plc1", "power", Value::Float(f64::from(123.456_f32))),
        ("plc1", "energy", Value::Counter64(65_536)),
        ("plc1", "serial", Value::text("PMP-7")),
        ("SITE_A", "outdoor_temperature", Value::Float(-3.25)),
        ("SITE_A", "humidity", Value::Integer(81)),
        ("SITE_A", "rain_total", Value::Counter64(5000)),
        ("SITE_A", "station_name", Value::text("Old Mill")),
        ("collector", "collections", Value::Integer(1)),
    ];
    assert_eq!(collection.values(), values);
    assert_eq!(said(&collection), ["11 datapoints"]);
    assert_eq!(collection.requests[0].url(), "http://site-a.example/weather.json");

    assert_eq!(host.collect(collect).value("collector", "collections"), Some(&2.into()));
}

#[test]
fn a_part_that_fails_costs_only_itself() {
    let collection = host()
        .settings({
            let mut settings = settings();
            settings["pump"]["address"] = json!(12);
            settings["url"] = json!("http://site-a.example/elsewhere");
            settings
        })
        .collect(collect);
    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.value("plc1", "exception"), Some(&2.into()));
    assert_eq!(collection.value("SITE_A", "status"), Some(&404.into()));
    assert_eq!(said(&collection), ["SITE_A: status 404", "pump: exception 2 (illegal data address)", "6 datapoints"]);

    let collection = Host::new()
        .settings(settings())
        .modbus("plc1", |plc| plc.unit(7).fail(ErrorKind::Timeout))
        .http("http://site-a.example/weather.json", HttpErrorKind::Timeout)
        .collect(collect);
    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.values(), [("collector", "collections", 1.into())]);

    let collection = host()
        .settings({
            let mut settings = settings();
            settings["url"] = json!("http://site-a.example/text");
            settings
        })
        .http("http://site-a.example/text", Response::new(200, "no JSON"))
        .collect(collect);
    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.datapoints().len(), 7);
}

#[test]
fn settings_that_lack_something_are_named_and_nothing_is_read() {
    for key in ["device", "unit", "pump", "meter", "url", "site"] {
        let mut settings = settings();
        settings.as_object_mut().unwrap().remove(key);
        let collection = host().settings(settings).collect(collect);
        assert!(collection.outcome.unwrap_err().contains(key), "{key}");
        assert!(collection.reads.is_empty() && collection.requests.is_empty());
    }
}
