//! Zig: the whole compiler is a package for pip.

use std::process::Command;

use super::{Collector, Language, Tool};
use crate::tools;

pub(super) const LANGUAGE: Language = Language {
    name: "zig",
    collectors: &["station/zig"],
    inputs: &[],
    tools: &[Tool::Python("ziglang==0.17.1")],
    build,
};

/// The tests of the file, and then the file, as `docs/guests/zig.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let zig = |arguments: &[&str]| {
        let mut zig = tools::program(&tools::python_tools().join("bin/python"));
        zig.args(["-m", "ziglang"]).args(arguments).arg(collector.source.join("station.zig"));
        // What it compiled for itself stays with the rest.
        zig.env("ZIG_LOCAL_CACHE_DIR", tools::target().join("tools/zig-cache"));
        zig.env("ZIG_GLOBAL_CACHE_DIR", tools::target().join("tools/zig-cache"));
        zig
    };
    let test = zig(&["test"]);
    let mut build =
        zig(&["build-exe", "-target", "wasm32-freestanding", "-fno-entry", "-rdynamic", "-O", "ReleaseSmall"]);
    build.arg(format!("-femit-bin={}", collector.output.display()));
    vec![test, build]
}
