//! A server behind nginx, as many are: it limits the size of requests, and answers in place of a
//! server that is down.

use std::{net::SocketAddr, process::Command};

use pattoo_tests::{Cli, ReadyLine, Running, Site, guest, has_program, unused_address, value_of};
use serde_json::json;

use super::outputs::eight_thousand_registers_arrive;

const NGINX: &str = "/usr/sbin/nginx";

/// Starts nginx in front of a server. None if it is not installed.
fn nginx(cli: &Cli, server: SocketAddr) -> Option<Running> {
    if !has_program(NGINX) {
        return None;
    }
    let address = unused_address();
    let folder = cli.folder().display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = kinds.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).join("\n");
    let configuration = cli.file(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice;
             events {{}}
             http {{
                 access_log off;
                 {temporary}
                 client_max_body_size 1m;
                 server {{ listen {address}; location / {{ proxy_pass http://{server}; }} }}
             }}"
        ),
    );
    let mut command = Command::new(NGINX);
    command.args(["-e", "stderr", "-p"]).arg(cli.folder()).arg("-c").arg(configuration);
    Some(Running::start(&mut command, ReadyLine::OnStderr, |line| line.contains("event method").then_some(address)))
}

#[test]
fn eight_thousand_registers_arrive_through_nginx_that_limits_requests_to_a_mebibyte() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let Some(proxy) = nginx(&cli, receiver.address()) else { return };
    // One payload that nginx refuses with 413.
    eight_thousand_registers_arrive(&cli, &format!("http://{}", proxy.address()), "64MiB");
}

#[test]
fn payloads_are_kept_while_nginx_answers_for_a_server_that_is_down() {
    let (cli, behind) = (Cli::new(), unused_address());
    let Some(proxy) = nginx(&cli, behind) else { return };
    let site = Site::new(proxy.address());
    site.configure(&json!([{"program": "A", "module": guest("counter"), "polling_interval": 1}]));
    let daemon = site.start();
    let said = daemon.wait_for("answered 502");
    assert!(said.contains("a proxy answered: start the server behind it"), "{said}");
    let queued =
        |at_least: f64| move |daemon: &pattoo_tests::Daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= at_least;
    daemon.wait_until("three payloads wait", queued(3.0));
    let _receiver = cli.receive_at(&behind.to_string());
    daemon.wait_until("they arrived, and newer ones", |_| cli.received().len() >= 5);
    assert!(daemon.end("TERM").success());
    let counts: Vec<u64> = cli.received().iter().filter_map(|body| value_of(body, "pattoo_value").as_u64()).collect();
    assert!(counts.iter().zip(1..).all(|(count, expected)| *count == expected), "in order, none twice: {counts:?}");
}
