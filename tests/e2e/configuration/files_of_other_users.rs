//! Files that other users can create, replace or write: the program never waits for them and never
//! trusts them.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that panics has failed, as it should")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use pattoo_tests::{Cli, Daemon, Finished, IDLE, Site, assert_says, emits_and, unused_address};
use serde_json::{Value, json};

/// An agent id, as pattoo's agents share it.
const ID: &str = "abababababababababababababababababababababababababababababababab";

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo is there").success());
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Runs a command that must end within a minute.
fn ended(command: &mut Command) -> Finished {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let began = Instant::now();
    while child.try_wait().expect("it is our child").is_none() {
        if began.elapsed() > Duration::from_mins(1) {
            child.kill().expect("it is our child");
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it has ended").into()
}

/// A valid configuration whose server does not respond.
fn configured() -> Cli {
    let cli = Cli::new();
    let (id, module) = (fs::metadata(cli.folder()), cli.file("a.wat", emits_and("i32.const 512")));
    assert!(id.is_ok() && module.exists());
    cli.file("token", "s3cret\n");
    cli.file("pattoo.yaml", "main: { daemon_directory: daemon, log_directory: log }\n");
    cli.file("pattoo_agent.yaml", "{}\n");
    fs::create_dir(cli.folder().join("pattoo_wasm.d")).expect("a new folder");
    let further = json!({"program": "B", "module": "../a.wat", "settings_file": "../settings.yaml"});
    cli.file("pattoo_wasm.d/b.yaml", json!({"pattoo_wasm": {"collectors": [further]}}).to_string());
    cli.file("settings.yaml", "count: 1\n");
    cli.file(
        "pattoo_wasm.yaml",
        json!({"pattoo_wasm": {
            "hostname": "gateway-7", "server": {"url": format!("http://{}", unused_address()), "token": {"secret_file": "token"}},
            "collectors": [{"program": "A", "module": "a.wat"}],
        }})
        .to_string(),
    );
    for folder in ["daemon", "log"] {
        fs::create_dir(cli.folder().join(folder)).expect("a new folder");
    }
    cli
}

fn check(cli: &Cli) -> Finished {
    ended(cli.command(&["check"]).env("PATTOO_CONFIGDIR", "."))
}

#[test]
fn named_pipe_in_place_of_any_file_is_refused_at_once() {
    for name in [
        "pattoo.yaml",
        "pattoo_agent.yaml",
        "pattoo_wasm.yaml",
        "pattoo_wasm.d/b.yaml",
        "settings.yaml",
        "token",
        "a.wat",
    ] {
        let cli = configured();
        assert_eq!(check(&cli).code, Some(0), "{name}: {:#?}", check(&cli));
        pipe(&cli.folder().join(name));
        let run = check(&cli);
        assert_eq!(run.code, Some(2), "{name}: {run:#?}");
        assert_says(&run, &[name, "it is a named pipe, not a regular file"]);
    }
    let cli = Cli::new();
    cli.file("idle.wat", IDLE);
    pipe(&cli.folder().join("pipe"));
    let server = format!("http://{}", unused_address());
    for arguments in [
        &["run", "pipe"][..],
        &["run", "idle.wat", "--grants", "pipe"],
        &["run", "idle.wat", "--settings", "pipe"],
        &["run", "idle.wat", "--post", &server, "--token-file", "pipe"],
        &["inspect", "pipe"],
        &["simulate", "pipe"],
    ] {
        let run = ended(&mut cli.command(arguments));
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:#?}");
        assert_says(&run, &["it is a named pipe, not a regular file"]);
    }
    let run = ended(&mut cli.command(&["run", "/dev/zero"]));
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["it is a device, not a regular file"]);
}

#[test]
fn named_pipe_in_place_of_a_module_or_secret_blocks_no_reload() {
    let site = Site::new(unused_address()).with("concurrent", json!(2));
    let module = emits_and("i32.const 512");
    let b = site.file("b.wat", &module);
    site.file("a.wat", &module);
    site.file("token", "s3cret");
    let of = |program: &str| json!({"program": program, "module": format!("{program}.wat").to_lowercase(), "polling_interval": 1});
    site.configure(&json!([of("A"), of("B")]));
    let daemon = site.start();
    pipe(&b);
    daemon.signal("HUP");
    daemon.wait_for("B: cannot load the new module, and keeps running the previous module: ");
    assert!(daemon.log_lines().iter().any(|line| line.contains("it is a named pipe, not a regular file")));
    // The next reload works as well, and one with a pipe as a secret is refused.
    site.file("c.wat", &module);
    site.configure(&json!([of("A"), of("B"), of("C")]));
    daemon.signal("HUP");
    daemon.wait_for("C: runs");
    pipe(&site.folder().join("token"));
    let grants = json!({"http": [{"origin": "http://192.0.2.1", "headers": {"x-token": {"secret_file": "token"}}}]});
    let mut with_secret = of("C");
    with_secret["grants"] = grants;
    site.configure(&json!([of("A"), with_secret]));
    daemon.signal("HUP");
    daemon.wait_for("the new configuration is refused");
    fs::remove_file(site.folder().join("token")).expect("it is ours");
    site.file("token", "s3cret");
    site.file("b.wat", &module);
    site.configure(&json!([of("A"), of("B"), of("C"), of("D")]));
    site.file("d.wat", &module);
    daemon.signal("HUP");
    daemon.wait_for("D: runs");
    assert!(daemon.end("TERM").success());
}

/// A payload as pattoo's own agents store it.
fn backlog(number: u64) -> String {
    let pairs = [
        ("pattoo_agent_id", ID),
        ("pattoo_agent_program", "A"),
        ("pattoo_agent_hostname", "h"),
        ("pattoo_agent_polled_target", "t"),
        ("pattoo_agent_polling_interval", "1000"),
        ("pattoo_key", "planted"),
        ("pattoo_value", "666"),
        ("pattoo_data_type", "99"),
        ("pattoo_timestamp", "1700000000000"),
        ("pattoo_checksum", "x"),
    ];
    let numbered: serde_json::Map<String, Value> =
        pairs.iter().enumerate().map(|(id, pair)| (id.to_string(), json!([pair.0, pair.1]))).collect();
    let ids: Vec<usize> = (0..pairs.len()).collect();
    json!({
        "pattoo_agent_timestamp": number, "pattoo_agent_id": ID, "pattoo_agent_polling_interval": 1000,
        "pattoo_datapoints": {"key_value_pairs": numbered, "datapoint_pairs": [ids]},
    })
    .to_string()
}

/// A site whose collector has an agent id, and a backlog of pattoo's own agent.
fn with_backlog(server: std::net::SocketAddr) -> Site {
    let site = Site::new(server);
    site.file("a.wat", emits_and("i32.const 512"));
    let folder = site.folder();
    fs::create_dir(folder.join("daemon/agent_id")).expect("a new folder");
    fs::write(folder.join("daemon/agent_id/A.agent_id"), ID).expect("a writable folder");
    fs::create_dir(folder.join("cache").join(ID)).expect("a new folder");
    let name = format!("cache/{ID}/1700000000000_{ID}.json");
    fs::write(folder.join(name), backlog(1_700_000_000_000)).expect("a writable folder");
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    site
}

fn checked(site: &Site) -> Finished {
    let cli = Cli::new();
    ended(cli.command(&["check"]).env("PATTOO_CONFIGDIR", site.folder()))
}

#[test]
fn backlog_that_other_users_can_write_is_not_delivered() {
    let cli = Cli::new();
    let receiver = cli.receive();
    let site = with_backlog(receiver.address());
    let cache = site.folder().join("cache");
    let planted = |cli: &Cli| cli.received().iter().filter(|body| body.to_string().contains("planted")).count();
    let daemon_says = |what: &Path| format!("{} can be written by every user", what.display());
    mode(&cache, 0o777);
    let run = checked(&site);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["can be written by every user", "chmod o-w"]);
    let daemon = Daemon::start(&mut site.command());
    let said = daemon.wait_for("cannot import the backlog of");
    assert!(said.contains(&daemon_says(&cache)) && said.contains("chmod o-w"), "{said}");
    daemon.wait_until("a body of its own", |_| !cli.received().is_empty());
    assert_eq!(planted(&cli), 0);
    // The same where others can write only the agent's folder, or only the file.
    mode(&cache, 0o755);
    let folder = cache.join(ID);
    for (path, open, closed) in
        [(folder.clone(), 0o777, 0o755), (folder.join(format!("1700000000000_{ID}.json")), 0o666, 0o644)]
    {
        mode(&path, open);
        daemon.signal("HUP");
        daemon.wait_for(&daemon_says(&path));
        daemon.wait_for("collectors run");
        assert_eq!(planted(&cli), 0);
        mode(&path, closed);
    }
    daemon.signal("HUP");
    daemon.wait_for("imported 1 payload from");
    daemon.wait_until("the backlog", |_| planted(&cli) == 1);
    assert!(daemon.end("TERM").success());
}

#[test]
fn agent_id_that_other_users_can_write_is_not_used() {
    let site = with_backlog(unused_address());
    let ids = site.folder().join("daemon/agent_id");
    for (path, open, closed) in [(ids.clone(), 0o777, 0o755), (ids.join("A.agent_id"), 0o666, 0o644)] {
        mode(&path, open);
        let (status, said) = Daemon::start(&mut site.command()).wait();
        let said = said.join(" ");
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains("the agent id cannot be trusted") && said.contains("every user"), "{said}");
        // `check` says the same before the daemon starts.
        let run = checked(&site);
        assert_eq!(run.code, Some(2), "{run:#?}");
        assert_says(&run, &["can be written by every user", "chmod o-w"]);
        mode(&path, closed);
    }
    assert_eq!(checked(&site).code, Some(0));
    fs::remove_file(ids.join("A.agent_id")).expect("it is there");
    pipe(&ids.join("A.agent_id"));
    let run = checked(&site);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["A.agent_id", "named pipe"]);
}

#[test]
fn check_and_daemon_refuse_a_spool_that_others_can_write() {
    let site = with_backlog(unused_address());
    let spool = site.folder().join("daemon/pattoo_wasm/spool/spool.sqlite3");
    fs::create_dir_all(spool.parent().expect("a folder")).expect("a new folder");
    mode(spool.parent().expect("a folder"), 0o700);
    fs::write(&spool, "").expect("a writable folder");
    mode(&spool, 0o666);
    let (status, said) = Daemon::start(&mut site.command()).wait();
    let said = said.join(" ");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("can be written by other users than its owner"), "{said}");
    let run = checked(&site);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert_says(&run, &["spool.sqlite3", "can be written by other users than its owner"]);
}

#[test]
fn configuration_and_secrets_that_others_can_write_are_refused_with_a_fix() {
    let cli = configured();
    let at = |name: &str| cli.folder().join(name);
    for (name, open, closed) in [
        ("pattoo.yaml", 0o666, 0o644),
        ("pattoo_agent.yaml", 0o646, 0o644),
        ("pattoo_wasm.yaml", 0o602, 0o600),
        ("pattoo_wasm.d", 0o777, 0o755),
        // With the sticky bit any user could still add a collector.
        ("pattoo_wasm.d", 0o1777, 0o755),
        ("pattoo_wasm.d/b.yaml", 0o666, 0o644),
        ("settings.yaml", 0o646, 0o644),
        ("token", 0o622, 0o600),
        (".", 0o777, 0o755),
    ] {
        mode(&at(name), open);
        let run = check(&cli);
        assert_eq!(run.code, Some(2), "{name}: {run:#?}");
        assert_says(&run, &["can be written by every user", "chmod o-w"]);
        mode(&at(name), closed);
        assert_eq!(check(&cli).code, Some(0), "{name}");
    }
    // With the sticky bit no user can replace another's file, and root's group is root.
    mode(&at("."), 0o1777);
    mode(&at("pattoo_wasm.yaml"), 0o664);
    assert_eq!(check(&cli).code, Some(0), "{:#?}", check(&cli));
    // A secret that all can read and a module that all can write cause warnings; a group may write
    // on purpose.
    mode(&at("token"), 0o644);
    mode(&at("a.wat"), 0o666);
    let run = check(&cli);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert_says(&run, &["token can be read by every user", "chmod o-r", "a.wat can be written by every user"]);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(at("pattoo.yaml"), Some(1), Some(1)).expect("root may");
        mode(&at("pattoo.yaml"), 0o660);
        let run = check(&cli);
        assert_eq!(run.code, Some(2), "in a directory that all can write: {run:#?}");
        assert_says(&run, &["belongs to user 1"]);
        mode(&at("."), 0o755);
        let run = check(&cli);
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert_says(&run, &["pattoo.yaml can be written by the group 1", "chmod g-w"]);
    }
}
