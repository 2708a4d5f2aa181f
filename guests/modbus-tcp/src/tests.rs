#![expect(clippy::arithmetic_side_effects, reason = "numbers of tests are small")]

use std::time::Duration;

use pattoo_guest::Value;
use pattoo_guest::modbus::{ErrorKind, Exception, Table};
use pattoo_guest::testing::{Collection, Host};
use serde_json::{Value as Json, json};

use super::collect;

/// Two devices of the field: registers 385 to 389 of both tables, of units 0 and 7.
fn host() -> Host {
    let device = |number: u16| {
        move |device: pattoo_guest::testing::FakeDevice| {
            let registers: Vec<u16> = (0..5).map(|place| number + place).collect();
            let more: Vec<u16> = registers.iter().map(|register| register + 500).collect();
            device.unit(0).input(385, &registers).holding(385, &more).unit(7).input(385, &more).holding(385, &registers)
        }
    };
    Host::new().modbus("192.0.2.10", device(10)).modbus("plc.example.net", device(20))
}

fn group(members: Json) -> Json {
    let mut group = json!({"group_name": "G1", "ip_targets": ["192.0.2.10"]});
    group.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    group
}

fn collected(groups: Json) -> Collection {
    host()
        .settings(json!({"pattoo_agent_modbustcpd": {"polling_interval": 300, "polling_groups": groups}}))
        .collect(collect)
}

fn messages(collection: &Collection) -> Vec<&str> {
    collection.logs.iter().map(|line| line.message.as_str()).collect()
}

#[test]
fn keys_bear_the_number_of_the_file_and_the_unit_three_digits() {
    let collection = collected(json!([group(json!({
        "input_registers": [{"address": 30386, "multiplier": 1}],
        "holding_registers": [{"address": 400_387, "multiplier": 0.1}],
        "unit": 7,
    }))]));
    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(messages(&collection), [""; 0]);
    let expected = [
        ("192.0.2.10", "input_register_30386", Value::scaled(510.0)),
        ("192.0.2.10", "holding_register_400387", Value::scaled(11.0 * 0.1)),
    ];
    assert_eq!(collection.values(), expected);
    for emitted in collection.datapoints() {
        let metadata: Vec<_> =
            emitted.datapoint.metadata.iter().map(|one| (&*one.key, &*one.value, one.identifying)).collect();
        assert_eq!(metadata, [("unit", "007", true)]);
    }
}

#[test]
fn the_order_is_group_then_table_then_target_then_multiplier_then_number() {
    let first = json!({
        "ip_targets": ["plc.example.net", "192.0.2.10"],
        "holding_registers": [{"address": 40388}, {"address": 40386}],
        "input_registers": [{"address": 30388, "multiplier": 2}, {"address": 30389}, {"address": 30386}, {"address": 30387, "multiplier": 0.5}],
    });
    let second = group(json!({"input_registers": [{"address": 30390}]}));
    let collection = collected(json!([first, second]));
    let read: Vec<_> = collection.reads.iter().map(|span| (span.device.as_str(), span.table, span.address)).collect();
    let mut expected = Vec::new();
    for device in ["plc.example.net", "192.0.2.10"] {
        expected.extend([386, 385, 388, 387].map(|address| (device, Table::Input, address)));
    }
    for device in ["plc.example.net", "192.0.2.10"] {
        expected.extend([385, 387].map(|address| (device, Table::Holding, address)));
    }
    expected.push(("192.0.2.10", Table::Input, 389));
    assert_eq!(read, expected);
    assert_eq!(collection.datapoints().len(), expected.len());
}

#[test]
fn a_multiplier_of_zero_leaves_the_integer_and_one_that_is_no_number_counts_as_one() {
    let collection = collected(json!([group(json!({"input_registers": [
        {"address": 30386, "multiplier": 0},
        {"address": 30387, "multiplier": null},
        {"address": 30388, "multiplier": "often"},
        {"address": 30389, "multiplier": "0.5"},
    ]}))]));
    let values: Vec<_> = collection.values().into_iter().map(|(_, key, value)| (key.to_owned(), value)).collect();
    let expected = [
        ("input_register_30386", Value::integer(10)),
        ("input_register_30389", Value::scaled(6.5)),
        ("input_register_30387", Value::scaled(11.0)),
        ("input_register_30388", Value::scaled(12.0)),
    ];
    assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(
        messages(&collection),
        ["group \"G1\": the multiplier of 30388 is taken for 1, since it is not a number"]
    );
}

#[test]
fn what_the_agent_leaves_out_is_left_out_and_said() {
    let collection = collected(json!([
        group(
            json!({"input_registers": [30386, {"address": "30386"}, {"address": 40386}, {"address": 39_999_999}, {"address": 30387}]})
        ),
        group(
            json!({"holding_registers": [{"address": 465_537}, {"address": 30386}, {"address": 40387}], "unit": 7.0})
        ),
        group(json!({"holding_registers": [{"address": 40386}], "unit": 247})),
        group(json!({"holding_registers": [{"address": 40386}], "unit": "7"})),
        group(
            json!({"group_name": 5, "holding_registers": [{"address": 40386}], "unit": null, "input_registers": null})
        ),
    ]));
    let read: Vec<_> = collection.reads.iter().map(|span| (span.table, span.address, span.unit)).collect();
    assert_eq!(read, [(Table::Input, 386, Some(0)), (Table::Holding, 386, Some(7))]);
    assert_eq!(
        messages(&collection),
        [
            "group \"G1\": a register is left out, since it is not written as `address: 30386`",
            "group \"G1\": a register is left out, since its address is not a whole number",
            "group \"G1\": 40386 is left out, since it is not the number of one of the input registers",
            "group \"G1\": 39999999 is left out, since it is not the number of one of the input registers",
            "group \"G1\": 465537 is left out, since it is not the number of one of the holding registers",
            "group \"G1\": 30386 is left out, since it is not the number of one of the holding registers",
            "group \"G1\" is left out: its unit is not a number from 0 to 246",
            "group \"G1\" is left out: its unit is not a number from 0 to 246",
            "group \"5\" is left out: its unit is not a number from 0 to 246",
        ]
    );
}

#[test]
fn a_register_that_fails_costs_only_itself_and_neighbours_that_fail_alike_are_one_line() {
    let mut host = host()
        .modbus("plc2", |plc| plc.unit(0).input(0, &[1; 9]).exception(Table::Input, 4, Exception::SERVER_DEVICE_FAILURE))
        .modbus("plc3", |plc| plc.unit(0).fail(ErrorKind::Timeout))
        .settings(json!({"pattoo_agent_modbustcpd": {"polling_groups": [
            {"ip_targets": ["plc2", "plc3", "plc4"], "input_registers": (30001..=30009).map(|address| json!({"address": address})).collect::<Vec<_>>()},
        ]}}));
    let collection = host.collect(collect);
    assert_eq!(collection.outcome, Ok(()));
    assert_eq!(collection.datapoints().len(), 8);
    assert_eq!(collection.value("plc2", "input_register_30005"), None);
    assert_eq!(
        messages(&collection),
        [
            "plc2, unit 0, 1 input registers from address 4: the device answered exception 4 (server device failure)",
            "plc3, unit 0, 9 input registers from address 0: the device did not answer in time",
            "plc4, unit 0, 9 input registers from address 0: no device of that name is granted",
        ]
    );
}

#[test]
fn a_register_listed_twice_for_a_target_and_unit_is_read_once() {
    let twice = json!({"input_registers": [{"address": 30386, "multiplier": 2}, {"address": 30386, "multiplier": 2}]});
    let collection = collected(json!([group(twice), group(json!({"input_registers": [{"address": 30386}]}))]));
    assert_eq!(collection.values(), [("192.0.2.10", "input_register_30386", Value::scaled(20.0))]);
    let said = "1 registers are listed more than once for a target and unit: the first of each counts";
    assert_eq!(messages(&collection), [said]);
}

#[test]
fn a_polling_interval_that_differs_from_the_one_in_force_is_said() {
    let file = json!({"pattoo_agent_modbustcpd": {"polling_groups": [group(json!({"input_registers": [{"address": 30386}]}))]}});
    let collection = host().settings(file).polling_interval(Duration::from_secs(20)).collect(collect);
    let said = "the file has a polling_interval of 300 s, and a collector cannot choose it: this one is run every 20 s";
    assert_eq!(messages(&collection), [said]);
}

#[test]
fn a_file_without_groups_registers_or_targets_is_an_error_that_says_so() {
    let outcome = |file: Json| host().settings(file).collect(collect).outcome.unwrap_err();
    assert_eq!(outcome(json!({})), "the settings do not fit: missing field `pattoo_agent_modbustcpd`");
    let empty = outcome(json!({"pattoo_agent_modbustcpd": {"polling_groups": []}}));
    assert_eq!(empty, "no group of the file names a register that can be read");
    let devices = json!({"pattoo_agent_modbustcpd": {"polling_groups": [{"ip_devices": []}]}});
    let place = "pattoo_agent_modbustcpd.polling_groups[0]";
    assert_eq!(outcome(devices), format!("the settings do not fit: {place}: missing field `ip_targets`"));
    let dead = json!([{"ip_targets": ["plc9"], "input_registers": [{"address": 30001}]}]);
    assert_eq!(collected(dead).outcome.unwrap_err(), "none of the registers could be read: the log says why");
}
