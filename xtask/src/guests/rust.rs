//! Rust: cargo does it all. The other examples in Rust are built into cargo's own folder, this one is copied out of it.

use std::process::Command;

use super::{Collector, Language};
use crate::tools;

pub(super) const LANGUAGE: Language = Language {
    name: "rust",
    collectors: &["station/rust"],
    inputs: &["guest-sdk/src", "wit", "Cargo.lock"],
    tools: &[],
    build,
};

fn build(collector: &Collector) -> Vec<Command> {
    let profile = ["build", "--profile", "guest", "--target", tools::GUEST_TARGET, "--locked"];
    let mut build = tools::cargo(&profile);
    build.args(["--package", "station"]);
    let mut copy = Command::new("cp");
    copy.arg(tools::guests().join("station.wasm")).arg(&collector.output);
    vec![build, copy]
}
