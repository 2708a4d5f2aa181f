//! Rotation of the log file by another program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{Daemon, Site, emits_and, has_program, unused_address};
use serde_json::json;

const LOGROTATE: &str = "/usr/sbin/logrotate";

/// A site whose collector logs a line each second.
fn site() -> (Site, PathBuf) {
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let log = site.folder().join("log/pattoo_wasm.log");
    (site, log)
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().matches("A: completed").count()
}

#[track_caller]
fn wait_for_lines(daemon: &Daemon, path: &Path) {
    let before = lines(path);
    daemon.wait_until(&format!("a line in {}", path.display()), |_| lines(path) > before);
}

#[test]
fn renamed_log_file_is_noticed_without_a_signal_and_is_no_reload() {
    let (site, log) = site();
    let daemon = site.start();
    wait_for_lines(&daemon, &log);
    let old = log.with_extension("old");
    fs::rename(&log, &old).expect("it is ours");
    wait_for_lines(&daemon, &log);
    let rotated = fs::read(&old).expect("it is there");
    wait_for_lines(&daemon, &log);
    assert_eq!(fs::read(&old).expect("it is there"), rotated, "nothing more is written to it");
    let reloads: f64 =
        daemon.metrics().iter().filter(|(name, _)| name.contains("reloads_total")).map(|(_, count)| count).sum();
    assert!(reloads < 0.5, "{reloads}");
    assert!(daemon.end("TERM").success());
}

#[test]
fn sigusr1_opens_the_log_file_again_and_reads_no_configuration() {
    let (site, log) = site();
    // Without `-v` and with a collector that fails the same way each time, the log is idle.
    site.configure(&json!([]));
    let daemon = Daemon::start(&mut site.command_with(&[]));
    daemon.wait_for("0 of 0 collectors run");
    daemon.wait_until("a log file", |_| fs::metadata(&log).is_ok_and(|file| file.len() > 0));
    site.file("pattoo_wasm.yaml", "not: a configuration");
    fs::rename(&log, log.with_extension("old")).expect("it is ours");
    daemon.signal("USR1");
    daemon.wait_until("a new log file", |_| log.exists());
    assert!(!daemon.log_lines().iter().any(|line| line.contains("configuration")), "{:#?}", daemon.log_lines());
    assert!(daemon.end("TERM").success());
}

#[test]
fn logrotate_rotates_the_log_file_without_losing_a_line() {
    if !has_program(LOGROTATE) {
        return;
    }
    let (site, log) = site();
    let daemon = site.start();
    let path = log.display();
    let rotation = format!("\"{path}\" {{\n  rotate 3\n  compress\n  delaycompress\n  missingok\n  su root root\n}}\n");
    let configuration = site.file("rotation", rotation);
    let rotate = || {
        let mut logrotate = Command::new(LOGROTATE);
        logrotate.args(["--force", "--state"]).arg(site.folder().join("state")).arg(&configuration);
        let rotated = logrotate.output().expect("it is installed");
        assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    };
    for _ in 0..2 {
        wait_for_lines(&daemon, &log);
        rotate();
    }
    wait_for_lines(&daemon, &log);
    let folder = site.folder().to_owned();
    let printed = daemon.log_lines().iter().filter(|line| line.contains("A: completed")).count();
    assert!(daemon.end("TERM").success());
    let read = Command::new("sh").current_dir(folder.join("log")).args(["-c", "zcat -f pattoo_wasm.log*"]).output();
    let read = String::from_utf8_lossy(&read.expect("zcat is there").stdout).into_owned();
    assert!(folder.join("log/pattoo_wasm.log.2.gz").exists());
    assert!(read.matches("A: completed").count() >= printed, "{printed}: {read}");
}
