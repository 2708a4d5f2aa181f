//! `pattoo-wasm run --post`: a command delivers through the spool like the daemon, also beside a
//! daemon.

use std::collections::BTreeSet;

use pattoo_tests::{Cli, RawSite, Site, assert_refused, assert_says, emits_and, guest, unused_address, value_of};
use serde_json::{Value, json};

const GOOD: &str = "i32.const 512";

#[test]
fn token_comes_from_configuration_or_command_and_goes_only_to_its_server() {
    let cli = Cli::new();
    cli.file("scenario.yaml", "token: s3cret");
    let receiver = cli.receive();
    let server = format!("http://{}", receiver.address());
    let module = cli.file("a.wat", emits_and(GOOD)).display().to_string();
    let folder = cli.folder().display().to_string();
    let run = |more: &[&str]| {
        let mut command = cli.command(&["run", &module, "--post", &server]);
        let output =
            command.args(more).env("PATTOO_CONFIGDIR", &folder).env("TOKEN", "s3cret").output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    cli.file("pattoo.yaml", json!({"pattoo": {"daemon_directory": folder}}).to_string());
    let (code, said) = run(&[]);
    assert!(code == Some(5) && said.contains("answered 401"), "{said}");

    // Each run also delivers the payloads that earlier ones could not.
    cli.file("token", "s3cret\n");
    assert_eq!(run(&["--token-file", "token"]).0, Some(0));
    assert_eq!(cli.received().len(), 2);
    assert_eq!(run(&["--token-env", "TOKEN"]).0, Some(0));
    let configure = |url: &str, token: Value| {
        let server = json!({"url": url, "token": token});
        cli.file("pattoo_wasm.yaml", json!({"pattoo_wasm": {"server": server, "collectors": []}}).to_string());
    };
    configure(&server, json!({"secret_file": "token"}));
    assert_eq!(run(&[]).0, Some(0));
    assert_eq!(cli.received().len(), 4);
    cli.file("wrong", "another");
    assert_eq!(run(&["--token-file", "wrong"]).0, Some(5), "what is given with the command goes before");

    // The token belongs to another server, so it is not read.
    configure(&format!("http://{}", unused_address()), json!({"secret": "NOT_SET_ANYWHERE"}));
    assert_eq!(run(&[]).0, Some(5));
    configure(&server, json!({"secret": "NOT_SET_ANYWHERE"}));
    let (code, said) = run(&[]);
    assert!(code == Some(2) && said.contains("NOT_SET_ANYWHERE"), "{said}");
    assert_eq!(cli.received().len(), 4);
}

#[test]
fn help_after_a_post_fits_the_answer_and_posts_name_this_program() {
    let cli = Cli::new();
    cli.file("a.wat", emits_and(GOOD));
    for (answer, words) in [
        (
            "301 Moved\r\nLocation: https://pattoo.example.org/new/pattoo/api/v1/agent/receive/1",
            "https://pattoo.example.org/new: change",
        ),
        ("403 Forbidden", "set the `token` of the output"),
        ("404 Not Found", "check the path of the output's URL"),
        ("413 Too Large", "lower `max_payload` of the output"),
        ("502 Bad Gateway", "start the server behind it"),
    ] {
        let site = RawSite::answering(move |_| format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").into_bytes());
        let run = cli.run(&["run", "a.wat", "--post", &site.origin()]);
        assert_refused(&run, 5, &["not delivered", words, "stays in the spool"]);
        let agent = format!("user-agent: pattoo-wasm/{}\r\n", env!("CARGO_PKG_VERSION"));
        assert!(site.seen()[0].to_lowercase().contains(&agent), "{:?}", site.seen());
    }
}

#[test]
fn missing_token_is_reported_before_anything_runs() {
    let cli = Cli::new();
    cli.file("a.wat", emits_and(GOOD));
    let server = format!("http://{}", unused_address());
    let run = cli.run(&["run", "a.wat", "--post", &server, "--token-file", "missing"]);
    assert_refused(&run, 2, &["missing", "write only the token into missing"]);
    let run = cli.run(&["run", "a.wat", "--post", &server, "--token-env", "NOT_SET_ANYWHERE"]);
    assert_refused(&run, 2, &["NOT_SET_ANYWHERE"]);
    let run = cli.run(&["run", "a.wat", "--token-env", "NOT_SET_ANYWHERE"]);
    assert_eq!(run.code, Some(2));
    assert_says(&run, &["--post"]);
    assert!(!cli.folder().join(".local").exists(), "nothing was made");
}

#[test]
fn command_and_daemon_share_one_queue_without_loss_or_duplicates() {
    let cli = Cli::new();
    let receiver = cli.receive();
    cli.file("scenario.yaml", "delay: 20ms");
    let site = Site::new(receiver.address());
    let module = site.file("a.wat", emits_and(GOOD)).display().to_string();
    site.configure(&json!([{"program": "A", "module": guest("counter"), "polling_interval": 1}]));
    let daemon = site.start();
    let server = format!("http://{}", receiver.address());
    let runs = 12;
    for _ in 0..runs {
        let mut command =
            cli.command(&["run", &module, "--program", "A", "--hostname", "gateway-7", "--post", &server]);
        let output = command.env("PATTOO_CONFIGDIR", site.folder()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let counted = |bodies: &[Value]| bodies.iter().filter(|body| value_of(body, "pattoo_key") == "count").count();
    daemon.wait_until("five collections of its own", |_| counted(&cli.received()) >= 5);
    assert!(daemon.end("TERM").success());

    let bodies = cli.received();
    let agents: BTreeSet<String> = bodies.iter().map(|body| body["pattoo_agent_id"].to_string()).collect();
    assert_eq!(agents.len(), 1, "it is one queue");
    let texts: BTreeSet<String> = bodies.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), bodies.len(), "none came twice");
    assert_eq!(bodies.len() - counted(&bodies), runs);
    let counts: Vec<u64> = bodies
        .iter()
        .filter(|body| value_of(body, "pattoo_key") == "count")
        .filter_map(|body| value_of(body, "pattoo_value").as_u64())
        .collect();
    assert!(counts.iter().zip(1..).all(|(count, expected)| *count == expected), "{counts:?}");
}
