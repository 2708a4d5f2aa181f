//! What takes too long for every change: the tests of `cargo xtask test` at length, and those that are ignored there.

use crate::{Result, build, guests, steps::Steps, tools};

/// One soak: its name, the test that it is, and how long it is made.
struct Soak {
    name: &'static str,
    test: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const SOAKS: [Soak; 4] = [
    Soak {
        name: "crash",
        test: "crash::nothing_that_was_finished_is_lost_however_often_the_daemon_is_killed",
        // A fifth of the kills each: at random, and at each of four moments.
        settings: &[("CRASH_KILLS", "1000"), ("CRASH_COLLECTORS", "20")],
    },
    Soak {
        name: "guests",
        test: "stations_soak::every_language_collects_thousands_of_times_in_the_same_memory",
        settings: &[("GUEST_COLLECTIONS", "20000")],
    },
    Soak {
        name: "queue",
        test: "queue::a_long_queue_costs_no_memory_and_no_start_and_is_drained_at_the_receivers_pace",
        settings: &[("QUEUE_BODIES", "1000000")],
    },
    Soak {
        name: "scale",
        test: "scale::a_thousand_collectors_neither_drift_nor_grow",
        settings: &[("SCALE_SECONDS", "600"), ("SCALE_COLLECTORS", "1000")],
    },
];

/// Runs a soak. A setting that the environment has already stays as it is.
pub(crate) fn run(name: &str) -> Result<()> {
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == name) else {
        let names: Vec<_> = SOAKS.iter().map(|soak| soak.name).collect();
        return Err(format!("there is no soak `{name}`; there are {}", names.join(", ")));
    };
    let mut steps = Steps::begin();
    build(&mut steps)?;
    if soak.name == "guests" {
        guests::build(&mut steps, &[])?;
    }
    tools::install_peers(&mut steps)?;
    let mut test = tools::cargo(&["test", "--locked", "--package", "pattoo-tests", "--test", "e2e", "--"]);
    test.args(["--exact", soak.test, "--nocapture", "--include-ignored"]);
    for (setting, value) in soak.settings {
        if std::env::var_os(setting).is_none() {
            test.env(setting, value);
        }
    }
    steps.run(soak.name, tools::with_peers(&mut test))?;
    steps.finish();
    Ok(())
}
