use pattoo_guest::modbus::{ErrorKind, Exception, Table};
use pattoo_guest::testing::{Emitted, Host};
use pattoo_guest::{Datapoint, Value};
use serde_json::json;

use super::collect;

/// A gateway with two units, of which the second is the default.
fn host() -> Host {
    Host::new().modbus("plc1", |plc| {
        plc.unit(2).holding(0, &[235, 3]).coils(16, &[true, false]).unit(1).input(385, &[732]).discrete(0, &[true])
    })
}

fn emitted(target: &str, datapoint: Datapoint) -> Emitted {
    Emitted { target: target.to_owned(), datapoint }
}

#[test]
fn each_register_and_bit_is_a_datapoint_that_names_its_address_and_unit() {
    let collection = host()
        .settings(json!({"spans": [
            {"device": "plc1", "table": "holding", "address": 0, "count": 2, "scale": 0.5},
            {"device": "plc1", "table": "coils", "address": 16, "count": 2},
            {"device": "plc1", "unit": 1, "table": "input", "address": 385, "count": 1},
            {"device": "plc1", "unit": 1, "table": "discrete", "address": 0, "count": 1},
        ]}))
        .collect(collect);

    assert_eq!(collection.outcome, Ok(()));
    let expected = [
        Datapoint::new("holding_register_0", Value::scaled(117.5)).with("unit", "002"),
        Datapoint::new("holding_register_1", Value::scaled(1.5)).with("unit", "002"),
        Datapoint::new("coil_16", 1).with("unit", "002"),
        Datapoint::new("coil_17", 0).with("unit", "002"),
        Datapoint::new("input_register_385", 732).with("unit", "001"),
        Datapoint::new("discrete_input_0", 1).with("unit", "001"),
    ];
    assert_eq!(collection.datapoints(), expected.map(|datapoint| emitted("plc1", datapoint)));
}

#[test]
fn a_span_that_fails_is_logged_and_costs_only_itself() {
    let collection = host()
        .modbus("plc2", |plc| plc.fail(ErrorKind::Timeout))
        .modbus("plc3", |plc| plc.holding(0, &[1; 8]).exception(Table::Holding, 3, Exception::SERVER_DEVICE_FAILURE))
        .settings(json!({"spans": [
            {"device": "plc2", "table": "holding", "address": 0, "count": 1},
            {"device": "plc3", "table": "holding", "address": 0, "count": 8},
            {"device": "plc1", "table": "holding", "address": 1, "count": 1},
            {"device": "plc1", "table": "holding", "address": 1, "count": 2},
            {"device": "plc9", "table": "holding", "address": 0, "count": 1},
        ]}))
        .collect(collect);

    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.values(), [("plc1", "holding_register_1", Value::integer(3))]);
    let logs: Vec<&str> = collection.logs.iter().map(|line| line.message.as_str()).collect();
    let expected = [
        "plc2, unit 1, 1 holding registers from address 0: the device did not answer in time",
        "plc3, unit 1, 8 holding registers from address 0: the device answered exception 4 (server device failure)",
        "plc1, unit 2, 2 holding registers from address 1: the device answered exception 2 (illegal data address)",
        "plc9, 1 holding registers from address 0: no device of that name is granted",
    ];
    assert_eq!(logs, expected);
}

#[test]
fn a_collection_without_anything_is_a_failure() {
    let spans = json!({"spans": [{"device": "plc1", "unit": 9, "table": "holding", "address": 0, "count": 1}]});
    let collection = host().settings(spans).collect(collect);

    let error = "none of the spans could be read: the log has a line for each";
    assert_eq!(collection.outcome, Err(error.to_owned()));
    assert_eq!(collection.logs.len(), 1);
}

#[test]
fn overlapping_spans_give_each_register_once() {
    let span = json!({"device": "plc1", "table": "holding", "address": 0, "count": 2});
    let collection = host().settings(json!({"spans": [span, span]})).collect(collect);

    assert_eq!(collection.outcome, Ok(()));
    assert_eq!((collection.datapoints().len(), collection.rejected.len()), (2, 2));
}

#[test]
fn without_spans_or_with_a_misspelt_one_it_says_what_to_set() {
    let error = host().collect(collect).outcome.unwrap_err();
    assert!(error.contains("set `spans`, a list of {device, table, address, count}"), "{error}");

    let misspelt = json!({"spans": [{"device": "plc1", "table": "holdings", "address": 0, "count": 1}]});
    let error = host().settings(misspelt).collect(collect).outcome.unwrap_err();
    let expected = "the settings do not fit: spans[0].table: unknown variant `holdings`, expected one of `coils`, `discrete`, `holding`, `input`";
    assert_eq!(error, expected);
}
