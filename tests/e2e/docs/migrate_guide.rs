//! The guide on migrating from pattoo's own Modbus agent, executed: with the agent's file, its id
//! and its backlog, as the agent left them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

use std::{fs, path::PathBuf, process::Command};

use pattoo_tests::{
    Cli, Daemon, Finished, Running, binary, guest, in_environment_of, modbus_device, peer, python, value_of,
};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/guides/migrate-modbus.md");

const PROGRAM: &str = "pattoo_agent_modbustcpd";

/// The block of the page that contains a text.
fn block(language: &str, containing: &str) -> String {
    let mut blocks = PAGE.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(of, text)| *of == language && text.contains(containing));
    let text = found.expect("the page has this block").1;
    // The blocks of a list are indented.
    let indent = text.get(..text.len().saturating_sub(text.trim_start().len())).unwrap_or_default();
    text.lines().map(|line| line.strip_prefix(indent).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// A machine on which the agent ran while its server was unavailable.
struct Machine {
    cli: Cli,
    configuration: PathBuf,
    device: Running,
    receiver: Running,
    backlog: Vec<Value>,
}

impl Machine {
    fn new() -> Self {
        let cli = Cli::new();
        let configuration = cli.folder().join("etc");
        let data = |name: &str| {
            let folder = cli.folder().join("data").join(name);
            fs::create_dir_all(&folder).expect("a new folder");
            folder.display().to_string()
        };
        fs::create_dir(&configuration).expect("a new folder");
        let pattoo = json!({"pattoo": {
            "log_directory": data("log"), "log_level": "info", "cache_directory": data("cache"),
            "daemon_directory": data("daemon"), "system_daemon_directory": data("daemon"),
        }});
        cli.file("etc/pattoo.yaml", pattoo.to_string());
        let server = json!({"pattoo_agent_api": {"ip_address": "127.0.0.1", "ip_bind_port": 20201}});
        cli.file("etc/pattoo_agent.yaml", server.to_string());
        cli.file("etc/pattoo_agent_modbustcpd.yaml", block("yaml", "group_name"));
        let output = Command::new(python())
            .arg(peer("pattoo_backlog.py"))
            .args([PROGRAM, "192.0.2.10", "3"])
            .env("PATTOO_CONFIGDIR", &configuration)
            .output()
            .expect("it starts");
        let backlog = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let device = modbus_device(&json!({"0": {"input": {"385": [7]}, "holding": {"385": [9]}}}));
        let receiver = cli.receive();
        let machine = Self { cli, configuration, device, receiver, backlog };
        for module in ["modbus_tcp.wasm", "etc/modbus_tcp.wasm"] {
            machine.cli.file(module, fs::read(guest("modbus_tcp")).expect("the module"));
        }
        machine
    }

    /// A text of the page, with the addresses and folders of this machine.
    fn here(&self, text: &str) -> String {
        text.replace("/etc/pattoo", &self.configuration.display().to_string())
            .replace("192.0.2.10:502", &self.device.address().to_string())
            .replace("127.0.0.1:20201", &self.receiver.address().to_string())
    }

    /// A command of the page, as a shell runs it.
    fn shell(&self, command: &str) -> Command {
        let programs = binary().parent().expect("a folder").display().to_string();
        let mut shell = in_environment_of(Command::new("sh"), &self.cli.command(&[]));
        shell
            // The shell becomes the program, which gets our signals.
            .args(["-c", &format!("exec {}", self.here(command))])
            .current_dir(self.cli.folder())
            .env("PATTOO_CONFIGDIR", &self.configuration)
            .env("PATH", format!("{programs}:/usr/bin:/bin"));
        shell
    }

    /// The files in the agent's cache directory.
    fn cached(&self) -> usize {
        let id = self.backlog.first().and_then(|body| body["pattoo_agent_id"].as_str()).expect("an id");
        fs::read_dir(self.cli.folder().join("data/cache").join(id)).expect("a folder").count()
    }

    /// Starts the collector in the place of the agent: its backlog arrives before anything newer.
    fn delivers_the_backlog_first(&self, collector: &mut Command) {
        let daemon = Daemon::start(collector);
        daemon.wait_for("imported 3 payloads from");
        daemon.wait_until("the backlog, and a newer payload", |_| self.cli.received().len() > self.backlog.len());
        let received = self.cli.received();
        let (old, new) = received.split_at(self.backlog.len());
        assert_eq!(old, self.backlog);
        for body in new {
            assert_eq!(body["pattoo_agent_id"], self.backlog[0]["pattoo_agent_id"]);
            assert!(body.to_string().contains("holding_register_40386"), "{body}");
        }
        assert_eq!(self.cached(), 0);
        assert!(daemon.end("TERM").success());
    }
}

#[test]
fn migration_page_with_run_delivers_the_backlog_of_the_agent_first() {
    let machine = Machine::new();
    machine.cli.file("grants.yaml", machine.here(&block("yaml", "# grants.yaml")));
    let shown: Finished = machine.shell(&block("sh", "--pretty")).output().expect("it starts").into();
    assert_eq!(shown.body()["pattoo_agent_id"], machine.backlog[0]["pattoo_agent_id"], "{shown:#?}");
    assert_eq!(
        value_of(&shown.body(), "pattoo_agent_hostname"),
        value_of(&machine.backlog[0], "pattoo_agent_hostname")
    );
    assert_eq!((machine.cached(), machine.cli.received().len()), (3, 0), "nothing is sent yet");
    machine.delivers_the_backlog_first(&mut machine.shell(&block("sh", "--every")));
}

#[test]
fn migration_page_with_the_daemon_delivers_the_backlog_of_the_agent_first() {
    let machine = Machine::new();
    let file = machine.here(&block("yaml", "pattoo_wasm.yaml"));
    let file = file.replace("collectors:", "status: \"127.0.0.1:0\"\n  collectors:");
    // The first collection is within the interval.
    machine.cli.file(
        "etc/pattoo_wasm.yaml",
        file.replace("      polling_interval: 300\n      settings", "      polling_interval: 1\n      settings"),
    );
    let checked: Finished = machine.shell(&block("sh", "pattoo-wasm check")).output().expect("it starts").into();
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    machine.delivers_the_backlog_first(&mut machine.shell(&block("sh", "pattoo-wasm daemon")));
}
