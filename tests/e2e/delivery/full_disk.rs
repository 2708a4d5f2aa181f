//! A file system that is full to its last block, where another writer takes every block that
//! becomes free.
//!
//! The file systems are real: a tmpfs in a mount namespace, and an ext4 image where the tests run
//! as root and may mount it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use pattoo_output::ServerUrl;
use pattoo_tests::{Cli, Daemon, Site, unused_address, wrapped};
use serde_json::{Value, json};

use crate::delivery::long_queue::fill;

/// A process that holds a mount namespace open.
struct Namespace {
    holder: Child,
    own_user: bool,
}

impl Namespace {
    /// A namespace in which the script `setup` has run. None where the machine does not allow it.
    fn with(setup: &str, own_user: bool) -> Option<Self> {
        let mut command = Command::new("unshare");
        if own_user {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", &format!("set -e; {setup}; echo ready; read line")]);
        let mut holder =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        if line.trim() == "ready" {
            return Some(Self { holder, own_user });
        }
        holder.wait().expect("it ends");
        None
    }

    /// The command in this namespace.
    fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if self.own_user {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--");
        wrapped(inside, command)
    }

    fn path(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), path.display()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Writes into every block that becomes free, until it is dropped.
struct CompetingWriter {
    stop: Arc<AtomicBool>,
    /// How often no block was free.
    full: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl CompetingWriter {
    fn at(path: PathBuf) -> Self {
        let (stop, full) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stops, fulls) = (Arc::clone(&stop), Arc::clone(&full));
        let thread = std::thread::spawn(move || {
            let mut file = fs::File::create(path).expect("a file");
            let blocks = vec![7; 65_536];
            while !stops.load(Ordering::Relaxed) {
                let large = file.write_all(&blocks);
                if large.is_err() && file.write_all(&blocks[..1024]).is_err() {
                    fulls.fetch_add(1, Ordering::Relaxed);
                    std::thread::yield_now();
                }
            }
        });
        let writer = Self { stop, full, thread: Some(thread) };
        writer.wait_until_full();
        writer
    }

    /// Waits until no block was free a hundred times more.
    fn wait_until_full(&self) {
        let from = self.full.load(Ordering::Relaxed);
        while self.full.load(Ordering::Relaxed) < from + 100 {
            std::thread::yield_now();
        }
    }
}

impl Drop for CompetingWriter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const BODIES: u64 = 2000;

fn everything_is_delivered(file_system: &str, mount: &str, own_user: bool) {
    let cli = Cli::new();
    let address = unused_address();
    let site = Site::new(address);
    site.configure(&json!([]));
    let server: ServerUrl = format!("http://{address}").parse().expect("a URL");
    let filled = site.folder().join("filled");
    fs::DirBuilder::new().mode(0o700).create(&filled).expect("a new folder");
    fill(&filled.join("spool.sqlite3"), &server, BODIES);
    let disk = site.folder().join("daemon");
    let setup = format!(
        "{mount} '{0}'; mkdir -m 700 '{0}/pattoo_wasm'; cp -a '{1}' '{0}/pattoo_wasm/spool'; rm -f '{0}/pattoo_wasm/spool/reserve'",
        disk.display(),
        filled.display()
    );
    let Some(namespace) = Namespace::with(&setup, own_user) else {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci || !own_user, "this machine gives no mount namespaces");
        println!("skipped: {file_system} cannot be mounted here");
        return;
    };
    let start = || {
        let daemon = Daemon::start(&mut namespace.enter(&site.command()));
        daemon.wait_for("collectors run");
        daemon
    };
    let spool = |arguments: &[&str]| {
        let mut command = cli.command(&[&["spool"], arguments].concat());
        command.env("PATTOO_CONFIGDIR", site.folder());
        let output = namespace.enter(&command).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{file_system}: spool {arguments:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).expect("text")
    };
    let queued = || serde_json::from_str::<Value>(&spool(&["stats", "--json"])).expect("JSON")["queued"].as_u64();

    let daemon = start();
    daemon.wait_until("all is there", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] == 2000.0);
    let ballast = namespace.path(&disk.join("ballast"));
    let writer = CompetingWriter::at(ballast.clone());

    // The `spool` command works beside the daemon and without it, after a clean end and after a
    // kill.
    let drop_one = || {
        let listed = spool(&["list", "--limit", "1", "--json"]);
        let id = serde_json::from_str::<Value>(&listed).expect("JSON")["id"].to_string();
        assert!(spool(&["show", &id]).contains("intact"));
        assert_eq!(spool(&["retry", &id]), "1 payload in the queue\n");
        assert_eq!(spool(&["drop", &id]), "1 payload deleted\n");
    };
    let mut left = BODIES;
    let mut dropped = || {
        drop_one();
        left -= 1;
        assert_eq!(queued(), Some(left), "{file_system}");
    };
    dropped();
    daemon.end("KILL");
    dropped();
    writer.wait_until_full();
    let daemon = start();
    dropped();
    assert!(daemon.end("TERM").success());
    writer.wait_until_full();
    dropped();

    // Every payload is delivered once; after a kill one payload of each agent may arrive twice.
    let receiver = cli.receive_at(&address.to_string());
    let mut kills = 0;
    for signal in ["KILL", "TERM", "KILL"] {
        let before = cli.received().len();
        let daemon = start();
        daemon.wait_until("some are delivered", |_| cli.received().len() >= before + 200);
        daemon.end(signal);
        writer.wait_until_full();
        kills += u64::from(signal == "KILL");
    }
    let daemon = start();
    daemon.wait_until("all are delivered", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] == 0.0);
    let heard = daemon.log_lines().join("\n");
    assert!(!heard.contains("cannot be deleted"), "{file_system}: {heard}");
    let bodies = cli.received();
    let different: BTreeSet<String> =
        bodies.iter().map(|body| format!("{} {}", body["pattoo_agent_id"], body["pattoo_agent_timestamp"])).collect();
    assert_eq!(different.len() as u64, left, "{file_system}: each of them");
    let twice = bodies.len() - different.len();
    assert!(twice as u64 <= 20 * kills, "{file_system}: {twice} came twice");
    println!("{file_system}: {left} bodies, {twice} twice after {kills} kills");
    drop(receiver);

    // With free space again, the spool file shrinks.
    drop(writer);
    fs::remove_file(ballast).expect("it is ours");
    assert!(daemon.end("TERM").success());
    let file = namespace.path(&disk.join("pattoo_wasm/spool/spool.sqlite3"));
    let daemon = start();
    daemon.wait_until("the file is small", |_| fs::metadata(&file).expect("a spool").len() < 300_000);
    assert!(daemon.end("TERM").success());
}

#[test]
fn queue_on_a_full_tmpfs_shared_with_another_writer_is_delivered_once() {
    everything_is_delivered("tmpfs", "mount -t tmpfs -o size=6m tmpfs", true);
}

#[test]
fn queue_on_a_full_ext4_shared_with_another_writer_is_delivered_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = folder.path().join("image");
    fs::File::create(&image).and_then(|file| file.set_len(12 << 20)).expect("a sparse file");
    let made =
        Command::new("mkfs.ext4").args(["-q", "-m", "0", "-b", "1024"]).arg(&image).stderr(Stdio::null()).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no mkfs.ext4 here");
        return;
    }
    everything_is_delivered("ext4", &format!("mount -o loop '{}'", image.display()), false);
}
