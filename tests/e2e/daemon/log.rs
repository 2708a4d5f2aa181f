//! The log: bounded, never blocking, and never filling a disk.

use std::{fs, io::Write as _};

use pattoo_tests::{Daemon, Site, emits_and, unused_address};
use serde_json::json;

use crate::delivery::disk_faults::{has_namespaces, in_namespace, seen_by};

#[test]
fn log_file_leaves_free_space_on_its_disk_and_resumes_later() {
    if !has_namespaces() {
        return;
    }
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let log = site.folder().join("log");
    let mount = format!("mount -t tmpfs -o size=1m tmpfs '{}'", log.display());
    let daemon = Daemon::start(&mut in_namespace(&mount, &site.command()));
    daemon.wait_for("collectors run");
    let file = seen_by(&daemon, &log.join("pattoo_wasm.log"));
    let size = || fs::metadata(&file).map_or(0, |file| file.len());
    daemon.wait_until("a log file", |_| size() > 0);
    // Less than a tenth of the disk is free, but some.
    let ballast = seen_by(&daemon, &log.join("ballast"));
    fs::File::create(&ballast).and_then(|mut file| file.write_all(&vec![0; 980 << 10])).expect("room for it");
    daemon.wait_for("log lines are dropped: its file system has");
    let full = size();
    let collected =
        |daemon: &Daemon| daemon.metrics()["pattoo_wasm_collections_total{program=\"A\",outcome=\"completed\"}"];
    let before = collected(&daemon);
    daemon.wait_until("three more collections", |daemon| collected(daemon) >= before + 3.0);
    assert_eq!(size(), full, "nothing is written on a nearly full disk");
    fs::remove_file(&ballast).expect("it is ours");
    let said = daemon.wait_for("log lines are written again");
    let dropped = said.split("; ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(dropped.is_some_and(|dropped| dropped >= 3), "{said}");
    daemon.wait_until("the log file goes on", |_| size() > full);
    let written = || fs::read_to_string(&file).unwrap_or_default().contains("log lines are written again");
    daemon.wait_until("it says so itself", |_| written());
    assert!(daemon.end("TERM").success());
}

#[test]
fn blocked_standard_error_does_not_stop_the_daemon() {
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    // A pipe that is full already: the first line waits for ever.
    let pipe = site.folder().join("stderr");
    let script = "mkfifo \"$P\"; exec 3<>\"$P\"; dd if=/dev/zero of=\"$P\" bs=1k count=64 status=none; exec \"$0\" \"$@\" 2>\"$P\"";
    let mut command = std::process::Command::new("sh");
    let daemon = site.command();
    command.args(["-c", script]).arg(daemon.get_program()).args(daemon.get_args()).env("P", &pipe);
    command.env("HOME", site.folder()).current_dir(site.folder());
    let mut child = command.spawn().expect("the command starts");
    let log = site.folder().join("log/pattoo_wasm.log");
    let began = std::time::Instant::now();
    let done = || fs::read_to_string(&log).unwrap_or_default().matches("A: completed").count();
    while done() < 2 && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let collected = done();
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    assert!(collected >= 2, "{}", fs::read_to_string(&log).unwrap_or_default());
}

#[test]
fn named_pipe_in_place_of_the_log_file_is_refused_and_blocks_nothing() {
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let log = site.folder().join("log/pattoo_wasm.log");
    assert!(std::process::Command::new("mkfifo").arg(&log).status().expect("mkfifo is there").success());
    let daemon = Daemon::start(&mut site.command());
    let said = daemon.wait_for("cannot open a log file");
    assert!(said.contains("it is a named pipe, not a regular file"), "{said}");
    daemon.wait_for("A: completed");
    // After a log rotation the daemon creates a regular file.
    fs::rename(&log, site.folder().join("log/old")).expect("it is ours");
    daemon.signal("HUP");
    daemon.wait_until("a log file", |_| fs::metadata(&log).is_ok_and(|file| file.len() > 0));
    assert!(daemon.end("TERM").success());
}
