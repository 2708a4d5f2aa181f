//! JavaScript and TypeScript: the SDK's own command, which calls esbuild and the componentizer of the engine.

use std::process::Command;

use super::{Collector, Language, NPM, Tool, locked_tools};
use crate::tools;

/// What is needed, with its lock file.
const TOOLS: &str = "xtask/javascript";

/// On QuickJS, which is small and starts quickly.
pub(super) const LANGUAGE: Language = Language {
    name: "javascript",
    collectors: &["station/javascript", "station/typescript"],
    inputs: INPUTS,
    tools: &[NPM, Tool::Locked(TOOLS)],
    build: |collector| build(collector, "quickjs"),
};

/// On StarlingMonkey, which has its own `fetch`.
pub(super) const FETCH: Language = Language {
    name: "javascript-fetch",
    collectors: &["station/javascript-fetch"],
    inputs: INPUTS,
    tools: &[NPM, Tool::Locked(TOOLS)],
    build: |collector| build(collector, "starlingmonkey"),
};

const INPUTS: &[&str] = &["guest-sdk/javascript/bin", "guest-sdk/javascript/src", "wit", "xtask/javascript"];

fn build(collector: &Collector, engine: &str) -> Vec<Command> {
    let source = ["js", "ts"].map(|ending| collector.source.join("collector").with_extension(ending));
    let mut build = Command::new("node");
    build
        .arg(tools::root().join("guest-sdk/javascript/bin/pattoo-build.js"))
        .args(source.iter().filter(|source| source.exists()))
        .args(["--engine", engine, "--output"])
        .arg(&collector.output)
        // It looks for its tools where it is called.
        .current_dir(locked_tools(TOOLS));
    vec![build]
}
