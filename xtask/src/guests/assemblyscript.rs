//! AssemblyScript: the compiler is a package for npm.

use std::process::Command;

use super::{Collector, Language, Tool, node_tools};
use crate::tools::{self, Debian};

pub(super) const LANGUAGE: Language = Language {
    name: "assemblyscript",
    collectors: &["station/assemblyscript"],
    inputs: &[],
    tools: &[Tool::Debian(Debian { shown_by: "npm", package: "npm" }), Tool::Node("assemblyscript@0.28.20")],
    build,
};

/// As `docs/guests/assemblyscript.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let mut asc = tools::program(&node_tools().join("node_modules/.bin/asc"));
    // The compiler wants names that lie below the folder in which it runs.
    asc.current_dir(&collector.source).args(["station.ts", "--runtime", "stub", "--use", "abort=", "-O", "--outFile"]);
    asc.arg(&collector.output);
    vec![asc]
}
