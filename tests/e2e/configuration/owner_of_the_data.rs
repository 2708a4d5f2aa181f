//! The directory of data belongs to the user of the daemon, also when root runs commands there.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{
    Daemon, Finished, Site, assert_says, binary, emits_and, in_environment_of, unused_address, wrapped,
};
use serde_json::json;

/// The user and group of the daemon, and a group of a volume. No machine knows them by name.
const USER: u32 = 12_345;
const VOLUME_GROUP: u32 = 23_456;

/// Only root can run commands as several users.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
}

/// A site with one collector, whose directories of data belong to the user of the daemon.
fn site() -> Site {
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    mode(site.folder(), 0o755);
    for name in ["daemon", "log", "cache"] {
        chown(site.folder().join(name), Some(USER), Some(USER)).expect("root may");
    }
    site
}

/// `command` as another user, who is also in these groups.
fn as_user(user: u32, groups: &[u32], command: &Command) -> Command {
    let mut wrapper = Command::new("setpriv");
    wrapper.args([format!("--reuid={user}"), format!("--regid={user}")]);
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    if groups.is_empty() {
        wrapper.arg("--clear-groups")
    } else {
        wrapper.arg(format!("--groups={}", groups.join(",")))
    };
    wrapped(wrapper, command)
}

/// A command that uses the directory of data of the site.
fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = in_environment_of(Command::new(binary()), &site.command());
    command.args(arguments).env("PATTOO_CONFIGDIR", site.folder());
    command
}

fn finished(mut command: Command) -> Finished {
    command.output().expect("the command starts").into()
}

/// Everything below a folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { [entries(&path), vec![path]].concat() } else { vec![path] }).collect()
}

#[test]
fn daemon_of_a_user_runs_in_a_folder_where_root_ran_every_command() {
    if !is_root() {
        return;
    }
    let site = site();
    let server = format!("http://{}", unused_address());
    let by_root: [(&[&str], i32); 5] = [
        (&["inspect", "a.wat", "--run"], 0),
        (&["run", "a.wat", "--program", "A"], 0),
        (&["run", "a.wat", "--program", "A", "--post", &server], 5),
        (&["spool", "stats"], 0),
        (&["check"], 0),
    ];
    for (arguments, code) in by_root {
        let run = finished(command(&site, arguments));
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:#?}");
    }
    // Also the daemon itself, once by mistake.
    assert!(site.start().end("TERM").success());
    let of_root: Vec<PathBuf> = ["daemon", "log"]
        .iter()
        .flat_map(|name| entries(&site.folder().join(name)))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.uid() != USER || found.gid() != USER))
        .filter(|path| !path.to_string_lossy().contains("/compiled-0"))
        .collect();
    assert_eq!(of_root, Vec::<PathBuf>::new());
    let daemon = Daemon::start(&mut as_user(USER, &[], &site.command()));
    daemon.wait_for("1 of 1 collectors run");
    daemon.wait_until("a collection", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 2.0);
    assert!(daemon.end("TERM").success());
}

#[test]
fn another_user_is_refused_before_anything_is_made() {
    if !is_root() {
        return;
    }
    let site = site();
    let daemon = site.folder().join("daemon");
    // With and without write permission.
    for open in [0o755, 0o777] {
        mode(&daemon, open);
        let commands =
            [command(&site, &["run", "a.wat", "--program", "A"]), command(&site, &["spool", "stats"]), site.command()];
        for command in commands {
            let run = finished(as_user(54_321, &[], &command));
            assert_eq!(run.code, Some(2), "{command:?}: {run:#?}");
            assert_says(&run, &["/daemon belongs to user 12345", "sudo -u '#12345' pattoo-wasm"]);
        }
        assert_eq!(entries(&daemon), Vec::<PathBuf>::new());
    }
}

#[test]
fn volume_that_was_given_to_a_group_is_used_at_every_start() {
    if !is_root() {
        return;
    }
    // As Kubernetes mounts a volume with `fsGroup`.
    let site = site();
    let daemon = site.folder().join("daemon");
    let give_to_group = || {
        for path in entries(&daemon).into_iter().chain([daemon.clone()]) {
            let found = fs::metadata(&path).expect("an entry");
            chown(&path, None, Some(VOLUME_GROUP)).expect("root may");
            mode(&path, found.mode() & 0o7777 | if found.is_dir() { 0o2770 } else { 0o660 });
        }
    };
    chown(&daemon, Some(0), Some(0)).expect("root may");
    for start in 0..2 {
        give_to_group();
        let mut command = as_user(USER, &[VOLUME_GROUP], &site.command());
        let daemon = Daemon::start(&mut command);
        daemon.wait_for("1 of 1 collectors run");
        let again = format!("pattoo_wasm_spool_payloads after start {start}");
        daemon.wait_until(&again, |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] > f64::from(start));
        assert!(daemon.end("TERM").success());
        let compiled = site.folder().join("daemon/pattoo_wasm/compiled");
        assert_eq!(fs::metadata(&compiled).expect("compiled code is kept").mode() & 0o077, 0, "and is private");
    }
    let run = finished(as_user(USER, &[VOLUME_GROUP], &command(&site, &["check"])));
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn check_by_root_reports_what_the_user_of_the_daemon_cannot_do() {
    if !is_root() {
        return;
    }
    let site = site();
    let check = || finished(command(&site, &["check"]));
    let run = check();
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_says(&run, &["checked with the permissions of user 12345"]);
    // A folder that an earlier version left behind.
    let own = site.folder().join("daemon/pattoo_wasm");
    fs::create_dir(&own).expect("root may");
    mode(&own, 0o700);
    let run = check();
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["daemon/pattoo_wasm: Permission denied", "owned by the user of the daemon"]);
    fs::remove_dir(&own).expect("it is empty");
    // A module that only root can read.
    mode(&site.folder().join("a.wat"), 0o600);
    let run = check();
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["a.wat", "Permission denied"]);
}
