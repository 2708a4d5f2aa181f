//! Machines and services with little address space.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::process::Command;

use pattoo_tests::{
    Daemon, Finished, Site, assert_says, binary, emits_and, in_environment_of, unused_address, wrapped,
};
use serde_json::json;

/// A site with one collector.
fn site(concurrent: u32) -> Site {
    let site = Site::new(unused_address()).with("concurrent", json!(concurrent));
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    site
}

/// `command` with so many bytes of address space, in a process that cannot have more.
fn within(bytes: u64, command: &Command) -> Command {
    let mut limit = Command::new("prlimit");
    limit.arg(format!("--as={bytes}"));
    let limited = wrapped(limit, command);
    if !rustix::process::geteuid().is_root() {
        return limited;
    }
    let mut wrapper = Command::new("setpriv");
    wrapper.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]);
    wrapped(wrapper, &limited)
}

/// Checks and runs the daemon, both of which say the same.
fn collects_and_says(site: &Site, bytes: u64, said: &str) {
    let mut check = in_environment_of(Command::new(binary()), &site.command());
    check.arg("check").env("PATTOO_CONFIGDIR", site.folder());
    let checked: Finished = within(bytes, &check).output().expect("the command starts").into();
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    assert_says(&checked, &[said, "raise the limit on address space", "or write `concurrent: "]);
    let daemon = Daemon::start(&mut within(bytes, &site.command()));
    daemon.wait_for(said);
    daemon.wait_for("1 of 1 collectors run");
    daemon.wait_until("a collection", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 1.0);
    assert!(daemon.end("TERM").success());
}

#[test]
fn daemon_collects_within_half_a_gibibyte_of_address_space() {
    let said = "4 collections at a time of 64 configured, and each access to their memory is checked, which is slower: \
                the address space allows for no more";
    collects_and_says(&site(64), 512 << 20, said);
}

#[test]
fn daemon_runs_as_many_collections_as_39_bits_of_address_space_allow() {
    let said = "16 collections at a time of 64 configured: the address space allows for no more";
    collects_and_says(&site(64), 256 << 30, said);
}
