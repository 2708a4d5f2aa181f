//! `pattoo-wasm receive`: a simulated server, which can also simulate faults.

use std::time::{Duration, Instant};

use pattoo_tests::{Cli, Finished, guest, modbus_device};
use serde_json::json;

/// A collector with one register, and a receiver to post to.
struct DeviceAndReceiver {
    cli: Cli,
    device: pattoo_tests::Running,
    receiver: pattoo_tests::Running,
}

impl DeviceAndReceiver {
    fn start() -> Self {
        let cli = Cli::new();
        let receiver = cli.receive();
        let device = modbus_device(&json!({"1": {"holding": {"0": 4711}}}));
        Self { cli, device, receiver }
    }

    fn post(&self, program: &str) -> Finished {
        let module = guest("modbus_registers").display().to_string();
        let (granted, server) =
            (format!("plc1=tcp://{}", self.device.address()), format!("http://{}", self.receiver.address()));
        let span = "spans=[{device: plc1, table: holding, address: 0, count: 1}]";
        self.cli.run(&[
            "run",
            &module,
            "--program",
            program,
            "--modbus",
            &granted,
            "--setting",
            span,
            "--post",
            &server,
        ])
    }
}

#[test]
fn receiver_can_fail_delay_and_lose_responses_on_request() {
    let setup = DeviceAndReceiver::start();
    setup.cli.file("scenario.yaml", "answer: 500\n");
    let run = setup.post("ONE");
    assert_eq!(run.code, Some(5), "{run:#?}");
    assert!(run.stderr.contains("answered 500: as the scenario says"), "{run:#?}");
    assert!(setup.cli.received().is_empty());

    setup.cli.file("scenario.yaml", "delay: 300ms\n");
    let begun = Instant::now();
    assert_eq!(setup.post("ONE").code, Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(600), "both bodies were delayed");
    assert_eq!(setup.cli.received().len(), 2);

    setup.cli.file("scenario.yaml", "{answer: 503, keep: true}");
    assert_eq!(setup.post("ONE").code, Some(5));
    assert_eq!(setup.cli.received().len(), 3);
    setup.cli.file("scenario.yaml", "{answer: 400, only: '\"TWO\"'}");
    assert_eq!((setup.post("ONE").code, setup.post("TWO").code), (Some(0), Some(5)));
    let received = setup.cli.received();
    assert_eq!(received.len(), 5, "the third came twice, as its answer was lost");
    assert_eq!(received[2], received[3]);
}

#[test]
fn received_payloads_are_stored_in_tables() {
    let setup = DeviceAndReceiver::start();
    assert_eq!(setup.post("ONE").code, Some(0));
    let store = rusqlite::Connection::open(setup.cli.folder().join("received.sqlite3")).unwrap();
    let select = "SELECT program, target, key, value, data_type, length(checksum), pairs FROM datapoint JOIN body ON body = body.id";
    let row: (String, String, String, i64, i64, i64, String) =
        store.query_row(select, [], |row| row.try_into()).unwrap();
    assert_eq!((&*row.0, &*row.1, &*row.2, row.3, row.4, row.5), ("ONE", "plc1", "holding_register_0", 4711, 99, 64));
    assert!(row.6.contains(r#"["unit","001"]"#), "{}", row.6);
    let other = setup.cli.file("notes.txt", "x".repeat(5000));
    let run = setup.cli.run(&["receive", "--listen", "127.0.0.1:0", "--store", &other.display().to_string()]);
    assert_eq!(run.code, Some(2), "{run:#?}");
}

#[test]
fn unfinished_request_does_not_delay_the_shutdown_of_the_receiver() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let mut half = std::net::TcpStream::connect(receiver.address()).expect("it listens");
    std::io::Write::write_all(&mut half, b"POST /pattoo/api/v1/agent/receive/x HTTP/1.1\r\nHost: loc")
        .expect("it reads");
    // The receiver must limit how long it waits for the request; otherwise this never returns.
    assert!(receiver.interrupt().success());
    drop(half);
}

#[test]
fn web_page_in_a_browser_cannot_post_to_the_receiver() {
    use std::io::{Read as _, Write as _};
    let cli = Cli::new();
    let receiver = cli.receive();
    let post = |header: &str| {
        let mut stream = std::net::TcpStream::connect(receiver.address()).expect("a connection");
        let request = format!(
            "POST /pattoo/api/v1/agent/receive/abc HTTP/1.1\r\nhost: {}\r\n{header}content-length: 2\r\nconnection: close\r\n\r\n{{}}",
            receiver.address()
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).map(str::to_owned)
    };
    // The invalid body gets 404 where posting is permitted.
    assert_eq!(post("").as_deref(), Some("404"));
    assert_eq!(post(&format!("origin: http://{}\r\n", receiver.address())).as_deref(), Some("404"));
    for origin in ["http://evil.example.org", "null"] {
        assert_eq!(post(&format!("origin: {origin}\r\n")).as_deref(), Some("421"), "{origin}");
    }
}
