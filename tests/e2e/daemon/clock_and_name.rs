//! A clock that was set back, and a machine whose name changed: both have effects at the server that nothing here can
//! prevent, so that they are reported.

use std::{fs, path::PathBuf};

use pattoo_tests::{Cli, Finished, Site, assert_says, emits_and, unused_address};
use serde_json::{Value, json};

/// A site with one collector, and the folder of the daemon's own data.
fn site(server: std::net::SocketAddr) -> (Site, PathBuf) {
    let site = Site::new(server);
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let own = site.folder().join("daemon/pattoo_wasm");
    (site, own)
}

#[test]
fn clock_that_was_set_back_is_reported_at_the_start_and_in_the_status() {
    let (site, own) = site(unused_address());
    let daemon = site.start();
    daemon.wait_until("a collection", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 1.0);
    assert!(daemon.metrics()["pattoo_wasm_clock_behind_seconds"] < 1.0);
    assert!(daemon.end("TERM").success());
    let newest = fs::read_to_string(own.join("newest")).expect("the time is kept");
    assert!(newest.len() == "2026-01-01T00:00:00.000Z".len() && newest.starts_with("20"), "{newest}");
    // As if that had been with a clock that was ahead.
    fs::write(own.join("newest"), "2999-01-01T00:00:00.000Z").expect("a writable folder");
    let daemon = site.start();
    let said = daemon.log_lines().join("\n");
    assert!(said.contains("the clock was set back: ") && said.contains("payloads were stored until 2999-"), "{said}");
    let behind = daemon.metrics()["pattoo_wasm_clock_behind_seconds"];
    assert!(behind > 1e10, "{behind}");
    let status: Value = serde_json::from_str(&daemon.page("/status").1).expect("JSON");
    assert!(status["clock_behind_seconds"].as_u64().is_some_and(|behind| behind > 10_000_000_000), "{status}");
    assert!(daemon.end("TERM").success());
}

#[test]
fn name_of_the_machine_stays_in_use_when_name_look_up_finds_another() {
    let receiver_home = Cli::new();
    let receiver = receiver_home.receive();
    let (site, own) = site(receiver.address());
    let configure = |hostname: &str| {
        let text = fs::read_to_string(site.folder().join("pattoo_wasm.yaml")).expect("it is ours");
        let mut settings: Value = serde_json::from_str(&text).expect("JSON");
        let ours = settings["pattoo_wasm"].as_object_mut().expect("a map");
        match hostname {
            "" => ours.remove("hostname"),
            name => ours.insert("hostname".to_owned(), json!(name)),
        };
        site.file("pattoo_wasm.yaml", settings.to_string());
    };
    let check = || -> Finished {
        let cli = Cli::new();
        cli.command(&["check"]).env("PATTOO_CONFIGDIR", site.folder()).output().expect("it starts").into()
    };
    configure("");
    let daemon = site.start();
    assert!(!daemon.log_lines().join("\n").contains("the name of this machine was"));
    assert!(daemon.end("TERM").success());
    assert_eq!(check().code, Some(0), "{:#?}", check());
    let first = fs::read_to_string(own.join("hostname")).expect("the name is kept");
    // As if look-up had found this name then.
    fs::write(own.join("hostname"), "first.example.org\n").expect("a writable folder");
    let what = format!("the name of this machine was first.example.org and is {} now", first.trim());
    let checked = check();
    assert_eq!(checked.code, Some(2), "{checked:#?}");
    assert_says(&checked, &[&what, "write `hostname: first.example.org`", "or remove"]);
    let daemon = site.start();
    assert!(daemon.log_lines().join("\n").contains(&what));
    let named = |name: &str| receiver_home.received().iter().any(|body| body.to_string().contains(name));
    daemon.wait_until("a payload with the first name", |_| named("first.example.org"));
    // Another directory has no name yet. Until a restart the name of this one stays in use.
    let pattoo = fs::read_to_string(site.folder().join("pattoo.yaml")).expect("it is ours");
    site.file("pattoo.yaml", pattoo.replace("/daemon\"", "/elsewhere\""));
    daemon.signal("HUP");
    daemon.wait_for("`daemon_directory` changed: the previous value stays in effect until the daemon is restarted");
    daemon.wait_for("collectors run");
    let reloaded = receiver_home.received().len();
    daemon.wait_until("two payloads after the reload", |_| receiver_home.received().len() >= reloaded + 2);
    let received = receiver_home.received();
    let continues = |body: &Value| body.to_string().contains("first.example.org");
    assert!(received.iter().skip(reloaded).all(continues), "{received:#?}");
    assert!(!site.folder().join("elsewhere").exists());
    site.file("pattoo.yaml", pattoo);
    // An operator decides, here for a new name.
    configure("second.example.org");
    daemon.signal("HUP");
    daemon.wait_until("a payload with the second name", |_| named("second.example.org"));
    assert!(daemon.end("TERM").success());
    assert_eq!(check().code, Some(0), "{:#?}", check());
}
