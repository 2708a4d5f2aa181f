//! Many collectors of 20 modules, each once a second, from the collection to the committed spool.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use pattoo_tests::{
    Daemon, Site, binary,
    emitter::emitter,
    figures::{Samples, Target, say},
    resident_kib, unused_address,
};
use serde_json::json;

const MODULES: usize = 20;
/// After it is ready, until all that is slow only once is over.
const WARM_UP: Duration = Duration::from_secs(10);
const SECONDS: u64 = 20;

pub(crate) fn figures(sizes: &[usize]) {
    for &collectors in sizes {
        figures_of(collectors);
    }
}

fn figures_of(collectors: usize) {
    // The server is unavailable all the time, so all of it stays in the spool.
    let site = Site::new(unused_address());
    let modules: Vec<_> =
        (0..MODULES).map(|number| site.file(&format!("emitter_{number}.wat"), emitter(10, 1, 10 * number))).collect();
    let collector = |number: usize| json!({"program": format!("C_{number}"), "module": modules[number % MODULES], "polling_interval": 1});
    site.configure(&(0..collectors).map(collector).collect());
    let mut command = Command::new(binary());
    command.args(["daemon", "--config"]).arg(site.folder()).stdin(Stdio::null());
    let daemon = Daemon::start(&mut command);
    daemon.wait_for("collectors run");
    std::thread::sleep(WARM_UP);
    let (before, cpu) = (daemon.metrics(), cpu_seconds(&daemon));
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (after, cpu) = (daemon.metrics(), cpu_seconds(&daemon) - cpu);
    let resident = resident_kib(daemon.pid()) as f64 / 1024.0;
    daemon.end("TERM");

    let grown = |name: &str, label: &str| {
        let sum = |metrics: &BTreeMap<String, f64>| -> f64 {
            metrics.iter().filter(|(key, _)| key.starts_with(name) && key.contains(label)).map(|(_, value)| value).sum()
        };
        sum(&after) - sum(&before)
    };
    let one = |value: f64| Samples::new(vec![value]);
    let runs = grown("pattoo_wasm_lateness_seconds_count", "");
    // words: keep, the name that a binary of the previous release has as well
    let skipped = grown("pattoo_wasm_departures_skipped_total", "");
    let timely = 100.0 * grown("pattoo_wasm_lateness_seconds_bucket", "le=\"0.1\"") / (runs + skipped);
    let bound = collectors <= 10_000;
    let target = |target: Target| if bound { target } else { Target::None };
    let what = format!("{collectors} collectors each second");
    say(
        &format!("scale: % begun within 100 ms of their time, {what}"),
        &one(timely),
        None,
        target(Target::AtLeast(99.0)),
    );
    say(&format!("scale: MiB resident, {what}"), &one(resident), None, target(Target::AtMost(1024.0)));
    let committed = grown("pattoo_wasm_spool_bodies", "") / SECONDS as f64;
    say(&format!("scale: bodies/s committed, {what}"), &one(committed), None, Target::None);
    say(&format!("scale: us of processors a collection, {what}"), &one(1e6 * cpu / runs), None, Target::None);
}

/// Processor time so far: fields 14 and 15 of `/proc/PID/stat`, in hundredths.
fn cpu_seconds(daemon: &Daemon) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
