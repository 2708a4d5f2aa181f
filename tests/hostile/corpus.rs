//! The hostile guests: their files, and the tests that run all of them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pattoo_wasm::config::known_limits;

use crate::{
    controls::{self, controls},
    giants::GIANTS_LIMITS,
    machine::Machine,
};

/// One hostile guest.
pub(crate) struct Guest {
    pub(crate) name: String,
    /// The one control that stops it: a limit by its name, or another of [`controls`].
    pub(crate) control: String,
    /// Limits that are set lower, so that it reaches them soon.
    pub(crate) with: Vec<(String, String)>,
    /// What the message must have in it.
    pub(crate) says: Option<String>,
    /// The hostile part of its text, and a harmless replacement.
    pub(crate) harmless: Option<(String, String)>,
    pub(crate) text: String,
}

impl Guest {
    /// Reads the comments at the head of a guest.
    fn parse(name: &str, text: &str) -> Self {
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix(";; ")).collect();
        let [attack, fields @ ..] = head.as_slice() else { panic!("{name} does not say what it attacks") };
        assert!(attack.ends_with('.'), "{name} begins with a sentence: {attack}");
        let fields: BTreeMap<&str, &str> =
            fields.iter().map(|line| line.split_once(": ").expect("`;; field: value`")).collect();
        let pair = |text: &str, between: &str| {
            let (left, right) =
                text.split_once(between).unwrap_or_else(|| panic!("{name}: `{text}` has no `{between}`"));
            (left.to_owned(), right.to_owned())
        };
        let body = text.lines().skip(head.len()).collect::<Vec<_>>().join("\n");
        Self {
            name: name.to_owned(),
            control: (*fields.get("control").unwrap_or_else(|| panic!("{name} names no control"))).to_owned(),
            with: fields.get("with").map_or_else(Vec::new, |with| with.split(' ').map(|set| pair(set, "=")).collect()),
            says: fields.get("says").map(|&says| says.to_owned()),
            harmless: fields.get("harmless").map(|change| pair(change, " => ")),
            text: body,
        }
    }

    /// All of them, by their names.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/guests");
        let mut paths: Vec<_> =
            fs::read_dir(folder).expect("the guests are there").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let guest = |path: &Path| {
            let name = path.file_stem().expect("a name").to_string_lossy();
            Self::parse(&name, &fs::read_to_string(path).expect("a guest is text"))
        };
        paths.iter().map(|path| guest(path)).collect()
    }

    /// Its text with the hostile part replaced.
    pub(crate) fn made_harmless(&self) -> Option<String> {
        let (hostile, harmless) = self.harmless.as_ref()?;
        assert!(self.text.contains(hostile.as_str()), "{}: `{hostile}` is not in it", self.name);
        Some(self.text.replace(hostile.as_str(), harmless))
    }
}

#[test]
fn every_hostile_guest_is_stopped_by_exactly_its_control() {
    let only = std::env::var("HOSTILE_GUEST").ok();
    let guests: Vec<Guest> =
        Guest::all().into_iter().filter(|guest| only.as_deref().is_none_or(|only| guest.name.contains(only))).collect();
    let machine = Machine::new();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Most of them wait for their deadline, so there are more threads than processors.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let worker = machine.worker();
                while let Some(guest) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checks =
                        [controls::stops(guest, &worker), worker.good_collection(), controls::alone(guest, &worker)];
                    let faulty =
                        checks.into_iter().filter_map(Result::err).map(|fault| format!("{}: {fault}", guest.name));
                    faults.lock().expect("no test panicked").extend(faulty);
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no test panicked");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn each_control_is_tried_by_at_least_one_hostile_guest() {
    let guests = Guest::all();
    assert!(guests.len() >= 60, "{}", guests.len());
    for guest in &guests {
        assert!(controls().any(|name| name == guest.control), "{}: there is no control {}", guest.name, guest.control);
    }
    for control in controls() {
        assert!(guests.iter().any(|guest| guest.control == control), "no guest tries {control}");
    }
}

#[test]
fn each_configurable_limit_is_tried_and_named_in_its_message() {
    for limit in known_limits() {
        let tried = controls().any(|name| name == limit.name) || GIANTS_LIMITS.contains(&limit.name);
        assert!(tried, "nothing tries {}", limit.name);
    }
}

#[test]
fn every_function_of_the_contract_is_attacked() {
    let tried: String = Guest::all().into_iter().map(|guest| guest.text).collect();
    let imports: Vec<_> = include_str!("imports.wat").lines().filter(|line| line.starts_with("(import")).collect();
    for import in &imports {
        assert!(tried.contains(import), "no guest calls {import}");
    }
    let wit = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).expect("the contract is there");
    for file in wit.map(|entry| entry.expect("an entry").path()).filter(|path| !path.ends_with("world.wit")) {
        let text = fs::read_to_string(&file).expect("it is text");
        for name in text.lines().filter_map(|line| Some(line.trim().split_once(": func(")?.0)) {
            assert!(
                imports.iter().any(|import| import.contains(&format!(" \"{name}\" "))),
                "{name} is not in imports.wat"
            );
        }
    }
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("we run");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A short form of the long test, in its own process, because other tests in this process use
/// memory too.
#[test]
fn hostile_guests_do_not_leak_host_memory() {
    let long = "corpus::hostile_guests_end_by_their_deadline_without_leaking_memory";
    let run = Command::new(std::env::current_exe().expect("a program"))
        .args(["--exact", long, "--ignored", "--nocapture"])
        // Other tests run at the same time.
        .envs([("HOSTILE_ROUNDS", "2"), ("HOSTILE_LATE_MS", "2000")])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

/// One at a time, so that only the guest can cause lateness. `HOSTILE_ROUNDS` is the number of
/// rounds, `HOSTILE_LATE_MS` the largest allowed lateness.
#[test]
#[ignore = "a minute long, and wants a machine of its own: `cargo xtask soak hostile` runs it"]
fn hostile_guests_end_by_their_deadline_without_leaking_memory() {
    let rounds = std::env::var("HOSTILE_ROUNDS").map_or(5, |text| text.parse().expect("a number"));
    let guests = Guest::all();
    let machine = Machine::new();
    let worker = machine.worker();
    let mut late = Vec::new();
    let mut levels = Vec::new();
    for _ in 0..rounds {
        for guest in &guests {
            late.extend(controls::lateness(guest, &worker));
        }
        levels.push(resident());
    }
    late.sort_unstable();
    let most = late.last().copied().expect("some are stopped by their deadline");
    let typical = late.get(late.len() / 2).copied().expect("some");
    println!(
        "{} guests {rounds} times; {} collections stopped by their deadline, half of them within {typical:?} of it, all within {most:?}; \
         resident KiB after each round: {levels:?}",
        guests.len(),
        late.len(),
    );
    let late = std::env::var("HOSTILE_LATE_MS").map_or(100, |text| text.parse().expect("a number"));
    assert!(most <= Duration::from_millis(late), "{most:?}");
    let (first, last) = (levels.first().expect("a round"), levels.last().expect("a round"));
    assert!(*last <= first + first / 10 + 8 * 1024, "{levels:?}");
}
