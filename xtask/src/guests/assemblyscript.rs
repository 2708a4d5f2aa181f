//! AssemblyScript: the compiler is a package for npm.

use std::process::Command;

use super::{Collector, Language, NPM, Tool, locked_tools};
use crate::tools;

/// The compiler, with its lock file.
const TOOLS: &str = "xtask/assemblyscript";

pub(super) const LANGUAGE: Language = Language {
    name: "assemblyscript",
    collectors: &["station/assemblyscript"],
    inputs: &["xtask/assemblyscript"],
    tools: &[NPM, Tool::Locked(TOOLS)],
    build,
};

/// As `docs/guests/assemblyscript.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let mut asc = tools::program(&locked_tools(TOOLS).join("node_modules/.bin/asc"));
    // The compiler wants names that lie below the folder in which it runs.
    asc.current_dir(&collector.source).args(["station.ts", "--runtime", "stub", "--use", "abort=", "-O", "--outFile"]);
    asc.arg(&collector.output);
    vec![asc]
}
