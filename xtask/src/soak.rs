//! `cargo xtask soak`: tests of `cargo xtask test` at length, those that are ignored there, and fuzzing.

use std::path::Path;

use crate::{build, guests, result::Result, steps::Steps, tools};

/// One soak: its name, its test, and the settings that make it long.
struct Soak {
    name: &'static str,
    /// The binary of the tests that it is in.
    binary: &'static str,
    test: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const SOAKS: [Soak; 9] = [
    Soak {
        name: "crash",
        binary: "e2e",
        test: "delivery::crash::finished_collections_survive_any_number_of_kills",
        // A fifth of the kills each: at random, and at each of four moments.
        settings: &[("CRASH_KILLS", "1000"), ("CRASH_COLLECTORS", "20")],
    },
    Soak {
        name: "guests",
        binary: "e2e",
        test: "languages::soak::every_language_collects_thousands_of_times_without_memory_growth",
        settings: &[("GUEST_COLLECTIONS", "20000")],
    },
    Soak {
        name: "queue",
        binary: "e2e",
        test: "delivery::long_queue::long_queue_needs_little_memory_and_drains_at_the_speed_of_the_receiver",
        settings: &[("QUEUE_BODIES", "1000000")],
    },
    Soak {
        name: "scale",
        binary: "e2e",
        test: "daemon::scale::thousand_collectors_neither_drift_nor_grow_in_memory",
        settings: &[("SCALE_SECONDS", "600"), ("SCALE_COLLECTORS", "1000")],
    },
    Soak {
        name: "operator",
        binary: "e2e",
        test: "daemon::operator::ten_minutes_of_an_operator_lose_nothing_and_all_sources_agree",
        settings: &[("OPERATOR_AWAY", "420")],
    },
    Soak {
        name: "fairness",
        binary: "e2e",
        test: "sandbox::fairness::hundred_collectors_stay_on_schedule_beside_endless_collectors",
        settings: &[("FAIRNESS_SECONDS", "120"), ("FAIRNESS_COLLECTORS", "100")],
    },
    Soak {
        name: "systemd",
        binary: "e2e",
        test: "daemon::systemd::unit_runs_under_systemd_and_its_compiler_is_confined",
        settings: &[],
    },
    Soak {
        name: "hostile",
        binary: "hostile",
        test: "corpus::hostile_guests_end_by_their_deadline_without_leaking_memory",
        settings: &[("HOSTILE_ROUNDS", "5")],
    },
    Soak {
        name: "tenants",
        binary: "tenants",
        test: "twenty_hostile_collectors_do_not_delay_or_lose_collections_of_twenty_others",
        settings: &[("TENANTS_SECONDS", "600")],
    },
];

/// The fuzz targets, each with the flags that libFuzzer gets beside the time.
const FUZZ_TARGETS: [(&str, &[&str]); 5] = [
    ("configuration", &["-dict=dictionaries/configuration", "-timeout=10"]),
    ("componentize", &["-timeout=30"]),
    ("host_functions", &["-dict=dictionaries/host_functions", "-timeout=30"]),
    ("loader", &["-timeout=30"]),
    ("modbus_reply", &[]),
];

/// The former name of a target, which still selects it.
fn current_name(name: &str) -> &str {
    // words: keep, the former name
    if name == "lifting" { "componentize" } else { name }
}

/// Fuzzes one target, or each of them in turn, for `FUZZ_SECONDS` (an hour unless set).
pub(crate) fn fuzz(only: Option<&str>) -> Result<()> {
    let only = only.map(current_name);
    let targets: Vec<_> = FUZZ_TARGETS.iter().filter(|(name, _)| only.is_none_or(|only| *name == only)).collect();
    if targets.is_empty() {
        let names: Vec<_> = FUZZ_TARGETS.iter().map(|(name, _)| *name).collect();
        return Err(format!("unknown fuzz target\nhelp: use one of {}", names.join(", ")));
    }
    let mut steps = Steps::begin();
    let folder = tools::fuzz();
    let build = ["build", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "fuzz/target"];
    steps.run("the fuzz targets", tools::cargo(&build).env("RUSTC_WRAPPER", folder.join("instrument")))?;
    let seconds = std::env::var("FUZZ_SECONDS").unwrap_or_else(|_| "3600".to_owned());
    for (name, flags) in targets {
        // What was found stays here, for the next time; what is in the repository to begin with is only read.
        let corpus = folder.join("corpus").join(name);
        let found = folder.join("artifacts").join(name);
        for made in [&corpus, &found] {
            std::fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
        }
        let mut target = tools::program(&folder.join("target/debug").join(name));
        target.current_dir(&folder).args(*flags).arg(format!("-max_total_time={seconds}"));
        target
            .args(["-rss_limit_mb=4096", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", found.display()));
        target.arg(&corpus);
        if let Some(seeds) = seeds(name) {
            target.arg(seeds);
        }
        steps.run(name, &mut target)?;
    }
    steps.finish();
    Ok(())
}

/// Where a target's first inputs are, relative to its folder.
fn seeds(target: &str) -> Option<&'static Path> {
    match target {
        "configuration" => Some(Path::new("seeds/configuration")),
        "loader" => Some(Path::new("../tests/hostile/guests")),
        _ => None,
    }
}

/// Runs a soak. A setting that the environment has already stays as it is.
pub(crate) fn run(name: &str) -> Result<()> {
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == name) else {
        let names: Vec<_> = SOAKS.iter().map(|soak| soak.name).collect();
        return Err(format!("unknown soak: `{name}`\nhelp: use one of {}, fuzz", names.join(", ")));
    };
    let mut steps = Steps::begin();
    build::all(&mut steps)?;
    if soak.name == "guests" {
        guests::build(&mut steps, &[])?;
    }
    tools::install_peers(&mut steps)?;
    let mut test = tools::cargo(&["test", "--locked", "--package", "pattoo-tests", "--test", soak.binary, "--"]);
    test.args(["--exact", soak.test, "--nocapture", "--include-ignored"]);
    for (setting, value) in soak.settings {
        if std::env::var_os(setting).is_none() {
            test.env(setting, value);
        }
    }
    tools::with_peers(&mut test);
    // Another program than the one that was just built, such as that of `cargo xtask baseline`.
    if let Some(binary) = std::env::var_os("PATTOO_WASM_BINARY") {
        test.env("PATTOO_WASM_BINARY", binary);
    }
    steps.run(soak.name, &mut test)?;
    steps.finish();
    Ok(())
}
