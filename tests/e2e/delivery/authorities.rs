//! A machine without CA certificates, as small containers are: what needs none works, and what
//! needs them says so.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::process::Command;

use pattoo_tests::{Cli, Daemon, Finished, RawSite, Site, assert_refused, assert_says, emits_and, guest};
use serde_json::json;

const GOOD: &str = "i32.const 512";

/// A command on a machine whose folders for certificates are empty.
fn without_authorities(mut command: Command, cli: &Cli) -> Command {
    let folder = cli.folder().join("no-certificates");
    std::fs::create_dir_all(&folder).unwrap();
    command.env("SSL_CERT_DIR", &folder).env("SSL_CERT_FILE", cli.file("none.pem", ""));
    command
}

fn ended(mut command: Command) -> Finished {
    command.output().unwrap().into()
}

#[test]
fn http_server_gets_payloads_and_https_server_has_a_clear_error_without_authorities() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let module = cli.file("a.wat", emits_and(GOOD)).display().to_string();
    let post = |scheme: &str| {
        let url = format!("{scheme}://{}", receiver.address());
        ended(without_authorities(cli.command(&["run", &module, "--post", &url]), &cli))
    };
    let run = post("http");
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_eq!(cli.received().len(), 1);
    assert_refused(&post("https"), 5, &["cannot verify certificates: No CA", "ca-certificates", "stays in the spool"]);
}

#[test]
fn check_names_each_output_and_origin_that_needs_authorities() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    let checked = |scheme: &str| {
        let server = json!({"type": "pattoo", "url": format!("{scheme}://{}", receiver.address())});
        let origin = format!("{scheme}://site-a.example.org");
        let source = json!({"target": "SITE_A", "url": format!("{origin}/q.json"), "keys": ["ABC"]});
        let collector = json!({
            "program": "W", "module": guest("lava_script"), "polling_interval": 60, "settings": {"sources": [source]},
            "grants": {"http": [{"origin": origin}, {"origin": format!("{scheme}://site-b.example.org")}]},
        });
        let settings = json!({"outputs": {"server": server}, "hostname": "gateway-7", "collectors": [collector]});
        site.file("pattoo_wasm.yaml", json!({"pattoo_wasm": settings}).to_string());
        let mut command = cli.command(&["check"]);
        command.env("PATTOO_CONFIGDIR", site.folder());
        ended(without_authorities(command, &cli))
    };
    let run = checked("http");
    assert_eq!(run.code, Some(0), "{run:#?}");
    let run = checked("https");
    assert_eq!(run.code, Some(2), "{run:#?}");
    let url = format!("https://{}/ cannot be posted to: cannot verify certificates: No CA", receiver.address());
    assert_says(
        &run,
        &[&url, "https://site-a.example.org, https://site-b.example.org cannot be fetched from", "ca-certificates"],
    );
}

#[test]
fn daemon_without_authorities_collects_and_delivers_what_needs_none() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = Site::new(receiver.address());
    let up = RawSite::saying(r#"{"ABC": 1.5}"#);
    let source = |origin: &str| json!({"target": "SITE", "url": format!("{origin}/q.json"), "keys": ["ABC"]});
    let secure = "https://127.0.0.1:9";
    site.configure(&json!([{
        "program": "W", "module": guest("lava_script"), "polling_interval": 1,
        "settings": {"sources": [source(&up.origin()), source(secure)]},
        "grants": {"http": [{"origin": up.origin()}, {"origin": secure}]},
    }]));
    let daemon = Daemon::start(&mut without_authorities(site.command(), &cli));
    daemon.wait_for("https://127.0.0.1:9: cannot verify certificates");
    daemon.wait_until("a payload", |_| !cli.received().is_empty());
    assert!(daemon.end("TERM").success());
}
