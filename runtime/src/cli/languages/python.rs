//! Python: the command of the SDK, which calls componentize-py.

use std::path::Path;

use super::{Language, Tool, sdks};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "python",
    title: "Python",
    parts: &[("", sdks::PYTHON), ("pattoo", sdks::PYTHON_SDK)],
    marker: "pyproject.toml",
    test: "python3 -m unittest",
    build,
};

const COMPONENTIZE: &str = "componentize-py==0.25.1";

fn build(folder: &Path, output: &Path) -> Result<(), Failure> {
    // The project's own environment, if it has one.
    let own = folder.join(".venv/bin/python");
    let python = || Tool::new(if own.is_file() { own.as_path() } else { Path::new("python3") }, folder);
    let install = "apt install python3 python3-venv";
    let old = "import sys; print(sys.version.split()[0] if sys.version_info < (3, 11) else '')";
    let version = python().args(["-c", old]).output(install)?;
    if !version.is_empty() {
        return Err(Failure::usage(format!("Python {version} is too old: 3.11 or later is required")));
    }
    let find = "import os, shutil, sys; beside = os.path.join(os.path.dirname(sys.executable), 'componentize-py'); \
                print(beside if os.access(beside, os.X_OK) else shutil.which('componentize-py') or '')";
    if python().args(["-c", find]).output(install)?.is_empty() {
        let command = if own.is_file() {
            format!(".venv/bin/python -m pip install {COMPONENTIZE}")
        } else {
            format!("python3 -m venv .venv && .venv/bin/python -m pip install {COMPONENTIZE}")
        };
        return Err(Failure::usage("`componentize-py` is not installed")
            .help(format!("install it, in {}: {command}", folder.display())));
    }
    python().args(["-m", "pattoo", "build", "collector.py", "--output"]).args([output]).run(install)
}
