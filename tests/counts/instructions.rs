//! Instructions, counted by valgrind: this program is started again under it, and does the work
//! there.
//!
//! The counted build is a development build on a processor without instructions for SHA-256: the
//! bounds are on work, not on time.

use std::{env, process::Command};

use pattoo_measurement::DEFAULT_FUTURE_BOUND;
use pattoo_output::pattoo::Batch;
use pattoo_tests::{NOW, agent, candidates, has_program};

use super::BOUNDS;

/// All instructions of this program while it does the work that the text says more about.
pub(crate) fn instructions_of(work: &str, counted: &str) -> Option<u64> {
    if !has_program("valgrind") {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "valgrind is missing");
        return None;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe().unwrap());
    valgrind.args([work, "--exact", "--ignored", "--test-threads=1"]).env("PATTOO_COUNTED", counted);
    let output = valgrind.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    Some(count.trim().parse().unwrap())
}

/// Instructions for each datapoint, without what is there but once.
fn each(work: &str) -> Option<u64> {
    Some(instructions_of(work, "600")?.saturating_sub(instructions_of(work, "100")?) / 500)
}

#[test]
fn datapoint_takes_a_bounded_number_of_instructions() {
    let Some(instructions) = each("instructions::of_datapoints") else { return };
    assert!(instructions <= BOUNDS.instructions, "{instructions} for each datapoint");
}

#[test]
#[ignore = "is started where it is counted"]
fn of_datapoints() {
    let points = env::var("PATTOO_COUNTED").unwrap().parse().unwrap();
    let mut batch = Batch::new(agent("modbus_registers"), DEFAULT_FUTURE_BOUND);
    assert!(batch.emit("plc1", candidates(0..points), NOW).unwrap().is_empty());
    assert!(batch.into_body(NOW).is_some());
}
