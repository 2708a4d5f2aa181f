//! The daemon on a disk that is full, read-only, or damages what was written.
//!
//! Full and read-only file systems are real ones, in a mount namespace of the daemon's own
//! (`unshare --map-root-user --mount`).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, FileExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pattoo_output::ServerUrl;
use pattoo_tests::{Cli, Daemon, Site, emits_and, guest, unused_address, value_of, wrapped};
use serde_json::{Value, json};

use crate::delivery::long_queue::{self, STAMP, agent_of, fill};

/// Bytes of a page of the spool.
const PAGE: u64 = 8192;

/// Whether an unprivileged user can create a mount namespace here. Elsewhere these tests are
/// skipped, but never with `CI=true`.
pub(crate) fn has_namespaces() -> bool {
    let tried = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).stderr(Stdio::null()).status();
    let has = tried.is_ok_and(|status| status.success());
    assert!(has || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "this machine gives no mount namespaces");
    if !has {
        println!("skipped: this machine gives no mount namespaces");
    }
    has
}

/// The command in its own mount namespace, after the script `setup`, in which `"$0" "$@"` is the
/// command.
pub(crate) fn in_namespace(setup: &str, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--mount", "sh", "-c", &format!("set -e; {setup}; exec \"$0\" \"$@\"")]);
    wrapped(inside, command)
}

/// A path as the daemon sees it.
pub(crate) fn seen_by(daemon: &Daemon, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), path.display()))
}

/// Fills the file system.
fn fill_up(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    for size in [65536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

fn counts(bodies: &[Value]) -> BTreeMap<String, Vec<u64>> {
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for body in bodies {
        let value = |key: &str| value_of(body, key);
        let program = value("pattoo_agent_program").as_str().expect("a name").to_owned();
        counts.entry(program).or_default().push(value("pattoo_value").as_u64().expect("a number"));
    }
    counts
}

#[test]
fn full_disk_loses_no_collection_that_was_reported_complete() {
    if !has_namespaces() {
        return;
    }
    let cli = Cli::new();
    let address = unused_address();
    let site = Site::new(address);
    site.configure(&json!(
        ["A", "B"].map(|program| json!({"program": program, "module": guest("counter"), "polling_interval": 1}))
    ));
    let disk = site.folder().join("daemon");
    let mount = format!("mount -t tmpfs -o size=2m tmpfs '{}'", disk.display());
    let daemon = Daemon::start(&mut in_namespace(&mount, &site.command()));
    daemon.wait_for("collectors run");
    daemon.wait_until("two bodies in the spool", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] >= 2.0);
    let ballast = seen_by(&daemon, &disk.join("ballast"));
    fill_up(&ballast);
    let said = daemon.wait_for("cannot store datapoints yet, trying again");
    assert!(said.contains("there is no space left"), "{said}");
    let lost =
        |daemon: &Daemon| daemon.metrics()["pattoo_wasm_collections_total{program=\"A\",outcome=\"not_stored\"}"];
    daemon.wait_until("a loss that is counted", |daemon| lost(daemon) >= 1.0);
    let words = daemon.status_of("A").expect("it is listed")["last"]["message"].to_string();
    assert!(words.contains("lost") && words.contains("no space left"), "{words}");

    // Payloads that were stored before are delivered, once.
    let _receiver = cli.receive_at(&address.to_string());
    daemon.wait_until("what was stored", |_| {
        counts(&cli.received()).values().filter(|counts| counts.len() >= 2).count() == 2
    });
    fs::remove_file(ballast).expect("it is ours");
    let after = cli.received().len();
    daemon.wait_until("fresh bodies", |_| cli.received().len() >= after + 6);
    let heard = daemon.log_lines();
    // Every collection that was logged as complete by now was stored before, and has arrived when
    // the spool is empty.
    daemon.wait_until("an empty spool", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] == 0.0);
    assert!(daemon.end("TERM").success());

    // A lost number was not counted, so the next collection emitted it again: nothing is missing or
    // out of order.
    for (program, counts) in counts(&cli.received()) {
        let mut last = 0;
        for count in &counts {
            assert!(*count == last || *count == last + 1, "{program}: {counts:?}");
            last = *count;
        }
        let done = format!("{program}: completed, 1 datapoints accepted");
        let finished = heard.iter().filter(|line| line.ends_with(&done)).count();
        assert!(counts.len() >= finished, "{program}: {finished} finished, {counts:?}");
        let unkept =
            heard.iter().filter(|line| line.contains(&done) && line.contains("its state is not stored")).count();
        let repeated = counts.windows(2).filter(|two| two[0] == two[1]).count();
        assert!(repeated <= unkept, "{program}: {repeated} came twice, {unkept} could not be counted: {counts:?}");
    }
}

#[test]
fn read_only_directory_is_named_and_nothing_runs() {
    if !has_namespaces() {
        return;
    }
    let site = Site::new(unused_address());
    site.configure(&json!([{"program": "A", "module": guest("counter"), "polling_interval": 1}]));
    let disk = site.folder().join("daemon").display().to_string();
    let read_only = format!("mount --bind '{disk}' '{disk}'; mount -o remount,bind,ro '{disk}'");
    let (status, said) = Daemon::start(&mut in_namespace(&read_only, &site.command())).wait();
    let said = said.join(" ");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("daemon/pattoo_wasm") && said.contains("Read-only file system"), "{said}");

    // A command does not collect what it could not store.
    let cli = Cli::new();
    let module = cli.file("a.wat", emits_and("i32.const 512")).display().to_string();
    let server = format!("http://{}", unused_address());
    let mut command = cli.command(&["run", &module, "--post", &server]);
    command.env("PATTOO_CONFIGDIR", site.folder());
    let output = in_namespace(&read_only, &command).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
    assert!(said.contains("pattoo_wasm/spool"), "{said}");
}

#[test]
fn compiled_code_is_cached_on_a_noexec_file_system() {
    if !has_namespaces() {
        return;
    }
    let cli = Cli::new();
    let module = guest("counter").display().to_string();
    let cache = cli.folder().join(".cache").display().to_string();
    // The first inspection compiles the module.
    let setup =
        format!("mkdir '{cache}'; mount -t tmpfs -o noexec,mode=700 tmpfs '{cache}'; \"$0\" \"$@\" >first.json");
    let output = in_namespace(&setup, &cli.command(&["inspect", "--json", &module])).output().expect("it starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let cached =
        |report: &[u8]| serde_json::from_slice::<Value>(report).expect("JSON")["compilation"]["cached"] == true;
    assert!(!cached(&fs::read(cli.folder().join("first.json")).expect("a report")));
    assert!(cached(&output.stdout));
}

/// Pseudo-random numbers that are the same in each run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The pages whose rows may be lost by damage at `place` of a file: its own page, and for a page of
/// the pointer map (the second page, which describes the next 1638, and so on) the pages that it
/// describes there.
fn concerned(place: u64) -> Vec<u64> {
    let page = place / PAGE + 1;
    if page >= 2 && (page - 2).is_multiple_of(PAGE / 5 + 1) {
        vec![page, page + 1 + place % PAGE / 5]
    } else {
        vec![page]
    }
}

/// The page on which each payload of a spool begins, by agent id and number.
fn pages(spool: &Path) -> BTreeMap<(String, u64), u64> {
    let file = fs::read(spool).expect("a spool");
    let head = b"{\"pattoo_agent_timestamp\":";
    let begins = file.windows(head.len()).enumerate().filter(|(_, window)| window == head);
    begins
        .map(|(at, _)| {
            let text = String::from_utf8_lossy(&file[at + head.len()..at + head.len() + 120]).into_owned();
            let (stamp, rest) = text.split_once(',').expect("a second member");
            let id = rest.split('"').nth(3).expect("the id");
            let number = stamp.trim().parse::<u64>().expect("a number") - STAMP;
            ((id.to_owned(), number), u64::try_from(at).expect("a place") / PAGE + 1)
        })
        .collect()
}

#[test]
fn intact_payloads_of_a_randomly_damaged_spool_are_delivered_in_order() {
    let original = tempfile::tempdir().expect("a temporary folder");
    let address = unused_address();
    let server: ServerUrl = format!("http://{address}").parse().expect("a URL");
    let source = original.path().join("spool.sqlite3");
    fill(&source, &server, 4000);
    let before = pages(&source);
    assert_eq!(before.len(), 4000);
    let root = rusqlite::Connection::open(&source)
        .and_then(|db| {
            db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'payload'", [], |row| row.get::<_, u32>(0))
        })
        .expect("a table");
    let size = fs::metadata(&source).expect("a spool").len();
    let mut rng = Rng(19_437);
    for round in 0..4 {
        let mut places: Vec<u64> = (0..10).map(|_| PAGE + rng.below(size - PAGE)).collect();
        if round % 2 == 0 {
            // The root page leads to all rows of the table.
            places.push((u64::from(root) - 1) * PAGE);
        }
        let (cli, site) = (Cli::new(), Site::new(address));
        site.configure(&json!([]));
        let folder = site.folder().join("daemon/pattoo_wasm/spool");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a new folder");
        let spool = folder.join("spool.sqlite3");
        fs::copy(&source, &spool).expect("a copy");
        let file = fs::File::options().write(true).open(&spool).expect("a file");
        for place in &places {
            let noise: Vec<u8> = (0..=rng.below(16)).map(|_| u8::try_from(rng.below(256)).expect("a byte")).collect();
            file.write_all_at(&noise, *place).expect("a writable file");
        }
        let damaged = fs::read(&spool).expect("a file");

        let _receiver = cli.receive_at(&address.to_string());
        let daemon = site.start();
        daemon.wait_until("an empty queue", |daemon| daemon.metrics()["pattoo_wasm_spool_payloads"] == 0.0);
        let quarantined = daemon.metrics()["pattoo_wasm_spool_quarantined_payloads"];
        let heard = daemon.log_lines().join("\n");
        assert!(daemon.end("TERM").success());

        let mut arrived: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for body in cli.received() {
            let id = body["pattoo_agent_id"].as_str().expect("an id").to_owned();
            let number = body["pattoo_agent_timestamp"].as_u64().expect("a number") - STAMP;
            let stored: Value = serde_json::from_slice(long_queue::body(&agent_of(&id), number).json()).expect("JSON");
            assert_eq!(body, stored, "as it was stored, or not at all");
            arrived.entry(id).or_default().push(number);
        }
        for (id, numbers) in &arrived {
            assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{id}: {numbers:?}");
        }
        let concerned: Vec<u64> =
            places.iter().flat_map(|place| concerned(*place).into_iter().chain(concerned(place + 15))).collect();
        let missing: Vec<_> = before
            .iter()
            .filter(|((id, number), _)| arrived.get(id).is_none_or(|numbers| numbers.binary_search(number).is_err()))
            .collect();
        let needless: Vec<_> = missing.iter().filter(|(_, page)| !concerned.contains(page)).collect();
        println!(
            "round {round}: {} of {} bodies did not arrive, {quarantined} of them in quarantine",
            missing.len(),
            before.len()
        );
        assert!(needless.is_empty(), "round {round}: their pages were not touched: {needless:?}\n{heard}");
        let aside = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("damaged-")).collect();
        if round % 2 == 0 || format!("{}", missing.len()) != quarantined.to_string() {
            assert!(heard.contains("is damaged") && heard.contains("intact payloads were recovered"), "{heard}");
            assert_eq!(aside.len(), 1, "{aside:?}");
            // Except counters in its header, which opening the file changes.
            assert!(
                fs::read(&aside[0]).expect("a file").get(100..) == damaged.get(100..),
                "it is kept as it was found"
            );
        }
    }
}
