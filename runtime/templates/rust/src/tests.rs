use pattoo_guest::modbus::ErrorKind;
use pattoo_guest::testing::Host;
use serde_json::json;

use super::collect;

#[test]
fn collections_are_counted_from_one_to_the_next() {
    let mut host = Host::new();
    assert_eq!(host.collect(collect).value("{{name}}", "collections"), Some(&1.into()));
    assert_eq!(host.collect(collect).value("{{name}}", "collections"), Some(&2.into()));
}

#[test]
fn the_temperature_of_the_device_is_emitted() {
    let collection = Host::new()
        .settings(json!({"device": "plc1"}))
        .modbus("plc1", |plc| plc.holding(0, &[0x41AC, 0x0000]))
        .collect(collect);

    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.value("plc1", "temperature"), Some(&21.5.into()));
}

#[test]
fn a_device_that_is_silent_is_an_error_for_the_operator() {
    let collection =
        Host::new().settings(json!({"device": "plc1"})).modbus("plc1", |plc| plc.fail(ErrorKind::Timeout)).collect(collect);

    let text = "plc1, 2 holding registers from address 0: the device did not answer in time";
    assert_eq!(collection.outcome, Err(text.to_owned()));
}
