//! `pattoo-wasm spool`: listing, showing, retrying and dropping queued payloads.

use pattoo_tests::{Cli, assert_refused, emits_and, guest, modbus_device, pattoo_records, unused_address};
use serde_json::{Value, json};

#[test]
fn queued_payloads_can_be_listed_shown_retried_and_dropped() {
    let cli = Cli::new();
    let run = cli.run(&["spool", "list"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("there is no spool at") && run.stderr.contains("PATTOO_CONFIGDIR"), "{run:#?}");

    let device = modbus_device(&json!({"1": {"holding": {"0": 42}}}));
    let module = guest("modbus_registers").display().to_string();
    let granted = format!("plc1=tcp://{}", device.address());
    let server = format!("http://{}", unused_address());
    let span = "spans=[{device: plc1, table: holding, address: 0, count: 1}]";
    for program in ["ONE", "TWO"] {
        let arguments =
            ["run", &module, "--program", program, "--modbus", &granted, "--setting", span, "--post", &server];
        assert_eq!(cli.run(&arguments).code, Some(5));
    }
    let good = |arguments: &[&str]| {
        let run = cli.run(arguments);
        assert_eq!(run.code, Some(0), "{run:#?}");
        run.stdout
    };
    let list = good(&["spool", "list"]);
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "STATUS", "AGE", "REFUSED", "DATAPOINTS", "BYTES", "PROGRAM", "OUTPUT", "REFUSAL"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][6], rows[1][7]), ("1", "queued", "ONE", &*server));
    assert_eq!((rows.len(), rows[2][6]), (3, "TWO"));
    let of_one = good(&["spool", "list", "--json", "--program", "TWO"]);
    let entry: Value = serde_json::from_str(&of_one).unwrap();
    assert_eq!((&entry["id"], &entry["datapoints"], &entry["refused"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(good(&["spool", "list", "--quarantined"]).lines().count(), 1);

    assert!(good(&["spool", "show", "1"]).contains("intact      yes"));
    let body: Value = serde_json::from_str(&good(&["spool", "show", "1", "--payload"])).unwrap();
    assert_eq!(pattoo_records(&body)[0]["value"], 42);
    assert_eq!(cli.run(&["spool", "show", "7"]).code, Some(2));

    assert_eq!(good(&["spool", "retry", "1"]), "1 payload in the queue\n");
    assert_eq!(cli.run(&["spool", "drop"]).code, Some(2), "what is dropped must be named");
    assert_eq!(good(&["spool", "drop", "--program", "ONE"]), "1 payload deleted\n");
    let stats: Value = serde_json::from_str(&good(&["spool", "stats", "--json"])).unwrap();
    assert_eq!((&stats["queued"], &stats["dropped"], &stats["delivered"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(good(&["spool", "drop", "--all"]), "1 payload deleted\n");
    assert!(good(&["spool", "stats"]).starts_with("queued       0 (0 B)\n"));
}

#[test]
fn missing_or_damaged_payload_is_an_error_for_retry_and_drop() {
    let cli = Cli::new();
    cli.file("a.wat", emits_and("i32.const 512"));
    let server = format!("http://{}", unused_address());
    for program in ["ONE", "TWO"] {
        assert_eq!(cli.run(&["run", "a.wat", "--program", program, "--post", &server]).code, Some(5));
    }
    for what in ["drop", "retry"] {
        assert_refused(
            &cli.run(&["spool", what, "99999"]),
            2,
            &["there is no payload 99999 in the spool", "spool list"],
        );
        // The command changes nothing if one of several payloads does not exist.
        assert_refused(&cli.run(&["spool", what, "1", "98", "99"]), 2, &["there are no payloads 98, 99 in the spool"]);
        let of_another = cli.run(&["spool", what, "1", "--program", "TWO"]);
        assert_refused(&of_another, 2, &["there is no payload 1 of this status, program and output in the spool"]);
    }
    let queued = |cli: &Cli| cli.run(&["spool", "list", "--json"]).stdout.matches("\"queued\"").count();
    assert_eq!(queued(&cli), 2);

    let path = cli.folder().join(".local/state/pattoo_wasm/spool/spool.sqlite3");
    let spool = rusqlite::Connection::open(path).unwrap();
    spool
        .execute_batch("UPDATE payload SET status = 1; UPDATE payload SET content = CAST('{}' AS BLOB) WHERE id = 1")
        .unwrap();
    drop(spool);
    let run = cli.run(&["spool", "retry", "--quarantined"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), "1 payload in the queue\n"), "{run:#?}");
    assert!(run.stderr.contains("payload 1 is damaged on disk") && run.stderr.contains("spool drop"), "{run:#?}");
    assert_eq!(queued(&cli), 1);
    assert_eq!(cli.run(&["spool", "drop", "1"]).stdout, "1 payload deleted\n");
}
