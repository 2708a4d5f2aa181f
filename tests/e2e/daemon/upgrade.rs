//! Data of version 0.1.0: its modules run, its spool is delivered, its state, agent ids and
//! configurations are read.
//!
//! `tests/fixtures/0.1.0/README.md` describes the files. Each test works on a copy.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use pattoo_tests::{
    Cli, Daemon, Finished, RawSite, ReadyLine, Running, STATIONS, http_ok, python, repository, value_of,
};
use serde_json::{Value, json};

use crate::languages::station::{self, Inputs, StationSetup, seed};

/// The root of all paths in the configurations of the fixtures.
const PREFIX: &str = "/srv/pattoo";
/// The server, device and web site that they name: addresses of loopback that nothing else uses.
const SERVER: &str = "127.19.12.1:20201";
const DEVICE: &str = "127.19.12.2:1502";
const WEB_SITE: &str = "127.19.12.3:8001";
/// The collectors that they run.
const PROGRAMS: [&str; 3] = ["COUNTER", "PLANT", "LAVA_SCRIPT"];

fn fixture(name: &str) -> PathBuf {
    repository().join("tests/fixtures/0.1.0").join(name)
}

/// Unpacks an archive. Modes are kept, owners are not.
fn unpack(archive: &str, into: &Path) {
    let script = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='tar')";
    let unpacked = Command::new(python()).args(["-c", script]).arg(fixture(archive)).arg(into).status();
    assert!(unpacked.expect("the interpreter of the peers starts").success(), "{archive}");
}

/// The directories of a daemon of 0.1.0, with one of the configurations.
struct Release {
    cli: Cli,
    expected: Value,
}

impl Release {
    fn with_configuration(shape: &str) -> Self {
        let cli = Cli::new();
        for name in ["etc", "log", "modules"] {
            fs::create_dir(cli.folder().join(name)).expect("a new folder");
        }
        unpack("home.tar.xz", cli.folder());
        unpack("guests.tar.xz", &cli.folder().join("modules"));
        for entry in fs::read_dir(fixture("configuration").join(shape)).expect("it is there") {
            let path = entry.expect("an entry").path();
            let text =
                fs::read_to_string(&path).expect("it is text").replace(PREFIX, &cli.folder().display().to_string());
            cli.file(&format!("etc/{}", path.file_name().expect("a file").display()), text);
        }
        let token = cli.file("etc/token", "s3cret\n");
        fs::set_permissions(token, Permissions::from_mode(0o600)).expect("it is ours");
        let release = Self { cli, expected: expected() };
        release.stored_now();
        release
    }

    /// Shifts the times at which payloads were stored so that the newest was stored now; otherwise
    /// all would become too old.
    fn stored_now(&self) {
        let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis()).expect("a time");
        let path = self.cli.folder().join("daemon/pattoo_wasm/spool/spool.sqlite3");
        let spool = rusqlite::Connection::open(path).expect("a spool");
        let newest: i64 = spool.query_row("SELECT max(stored) FROM body", [], |row| row.get(0)).expect("bodies");
        let moved = "UPDATE body SET stored = stored + ?1, refused_since = refused_since + ?1";
        spool.execute(moved, [now - newest]).expect("a table");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.cli.command(arguments);
        command.env("PATTOO_CONFIGDIR", self.cli.folder().join("etc"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.command(arguments).output().expect("the command starts").into()
    }

    /// The spool as `spool list` shows it, without storage times.
    fn listed(&self, more: &[&str]) -> Vec<Value> {
        let run = self.run(&[&["spool", "list", "--json"], more].concat());
        assert_eq!(run.code, Some(0), "{run:#?}");
        let mut entries: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).expect("an entry is JSON")).collect();
        for entry in &mut entries {
            entry.as_object_mut().expect("an object").remove("stored");
        }
        entries
    }

    /// What 0.1.0 listed, in the same form.
    fn listed_then(&self) -> Vec<Value> {
        let mut entries = self.expected["spool"].as_array().expect("entries").clone();
        for entry in &mut entries {
            let entry = entry.as_object_mut().expect("an object");
            entry.remove("stored");
            entry.remove("body");
        }
        entries
    }

    /// The bodies that an agent had in this status, in their order.
    fn bodies(&self, agent: &str, status: &str) -> Vec<Value> {
        let entries = self.expected["spool"].as_array().expect("entries").iter();
        let of_agent = entries.filter(|entry| entry["agent_id"] == agent && entry["status"] == status);
        of_agent.map(|entry| entry["body"].clone()).collect()
    }

    /// The id that a program had.
    fn agent_id(&self, program: &str) -> String {
        let id = self.expected["agent_ids"][format!("{program}.agent_id")].as_str().expect("an id");
        id.trim().to_owned()
    }

    /// The payloads of an agent that the server accepted, in their order.
    fn received(&self, agent: &str) -> Vec<Value> {
        self.cli.received().into_iter().filter(|body| body["pattoo_agent_id"] == agent).collect()
    }
}

fn expected() -> Value {
    let text = fs::read_to_string(fixture("expected.json")).expect("it is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The device of the configurations.
fn device(release: &Release) -> Running {
    let mut simulate = release.command(&["simulate"]);
    Running::start(simulate.arg(fixture("devices.yaml")), ReadyLine::OnStderr, |line| {
        line.contains(DEVICE).then(|| DEVICE.parse().expect("an address"))
    })
}

/// The web site of the configurations. It requires the secret header.
fn web_site() -> RawSite {
    let weather = fs::read(fixture("weather.json")).expect("it is there");
    RawSite::scripted_at(WEB_SITE.parse().expect("an address"), move |request, stream| {
        let authorized = request.to_ascii_lowercase().contains("authorization: s3cret");
        let refused = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        let answer = if authorized { http_ok(&weather) } else { refused.to_vec() };
        // The client may have closed the connection.
        let _ = stream.write_all(&answer);
    })
}

#[test]
fn modules_of_0_1_0_give_the_expected_datapoints() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    unpack("guests.tar.xz", folder.path());
    let setup = StationSetup::with_modules(Inputs::choose(seed()), folder.path(), STATIONS.to_vec());
    station::all_give_what_follows_from_the_inputs(&setup);
}

/// One after the other, since both have the same addresses.
#[test]
fn data_and_configurations_of_0_1_0_are_still_used() {
    let site = web_site();
    for shape in ["documented", "agents"] {
        let asked = site.seen().len();
        data_is_taken_over(shape);
        assert!(site.seen().len() > asked, "{shape}: the web site was asked");
    }
}

fn data_is_taken_over(shape: &str) {
    let release = Release::with_configuration(shape);
    let check = release.run(&["check"]);
    assert_eq!(check.code, Some(0), "{shape}: {check:#?}");
    let then = release.listed_then();
    assert_eq!(release.listed(&[]), then, "{shape}");
    let quarantined: Vec<Value> = then.into_iter().filter(|entry| entry["status"] == "quarantined").collect();
    assert!(quarantined.len() == 2 && quarantined.iter().all(|entry| entry["refusal"].is_string()), "{quarantined:?}");

    let _device = device(&release);
    let _receiver = release.cli.receive_at(SERVER);
    let daemon = Daemon::start(&mut release.command(&["daemon", "-v"]));
    daemon.wait_for("collectors run");

    // Queued payloads arrive first, in order; then the backlog of a Python agent; then new
    // collections.
    let mut agents: Vec<String> = release.expected["agent_ids"].as_object().expect("ids").keys().cloned().collect();
    for agent in &mut agents {
        *agent = release.agent_id(agent.trim_end_matches(".agent_id"));
    }
    let waiting = |program: &str| {
        let mut bodies = release.bodies(&release.agent_id(program), "queued");
        if release.expected["cached"]["pattoo_agent_id"] == release.agent_id(program) {
            bodies.push(release.expected["cached"].clone());
        }
        bodies
    };
    daemon.wait_until("what waited, and two collections of each", |_| {
        let fresh = |program| release.received(&release.agent_id(program)).len() >= waiting(program).len() + 2;
        let old = |agent: &String| release.received(agent).len() >= release.bodies(agent, "queued").len();
        PROGRAMS.iter().all(|program| fresh(program)) && agents.iter().all(old)
    });
    for agent in &agents {
        let (waited, arrived) = (release.bodies(agent, "queued"), release.received(agent));
        assert_eq!(arrived[..waited.len()], waited, "{shape}, {agent}");
    }
    for program in PROGRAMS {
        let (waited, arrived) = (waiting(program), release.received(&release.agent_id(program)));
        assert!(waited.len() >= 3, "{shape}, {program}");
        assert_eq!(arrived[..waited.len()], waited, "{shape}, {program}");
        let fresh = &arrived[waited.len()..];
        match program {
            "COUNTER" => {
                let counted = release.expected["counts"]["COUNTER"].as_u64().expect("a number");
                let counts: Vec<Value> = fresh.iter().map(|body| value_of(body, "pattoo_value")).collect();
                let continued: Vec<Value> = (counted + 1..).map(|count| json!(count)).take(counts.len()).collect();
                assert_eq!(counts, continued, "{shape}");
            }
            "PLANT" => assert_eq!(value_of(&fresh[0], "pattoo_agent_polled_target"), "plc1", "{shape}"),
            _ => assert_eq!(value_of(&fresh[0], "pattoo_agent_polled_target"), "SITE_A", "{shape}"),
        }
    }

    // Quarantined payloads are unchanged until an operator retries them.
    assert_eq!(release.listed(&["--quarantined"]), quarantined, "{shape}");
    let refused = release.agent_id("REFUSED");
    let retried = release.run(&["spool", "retry", "--quarantined"]);
    assert_eq!(retried.code, Some(0), "{shape}: {retried:#?}");
    daemon.wait_until("those of the quarantine", |_| release.received(&refused).len() == 2);
    assert_eq!(release.received(&refused), release.bodies(&refused, "quarantined"), "{shape}");
    assert!(daemon.end("TERM").success());

    for (name, id) in release.expected["agent_ids"].as_object().expect("ids") {
        let kept = fs::read_to_string(release.cli.folder().join("daemon/agent_id").join(name)).expect("an agent id");
        assert_eq!(kept, id.as_str().expect("an id"), "{shape}, {name}");
    }
}
