//! The native tests of the SDKs and stations, which run without WebAssembly.

#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use pattoo_tests::{has_program, python, station_folder};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn passes(command: &mut Command, folder: &Path) {
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&said));
}

/// Runs the tests in a folder, with the SDK on the search path.
fn python_tests(folder: &str) {
    let sdk = root().join("guest-sdk/python");
    let mut command = Command::new(python());
    command.args(["-m", "unittest", "discover", "--top-level-directory", "."]);
    passes(command.env("PYTHONPATH", sdk).env("PYTHONDONTWRITEBYTECODE", "1"), &root().join(folder));
}

/// Runs the tests of a station in a folder where the SDK and the tools for JavaScript are
/// installed.
fn node_tests(name: &str, commands: &[(&str, &[&str])]) {
    let sdk = root().join("guest-sdk/javascript");
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("node_modules");
    fs::create_dir(&modules).unwrap();
    symlink(sdk, modules.join("pattoo")).unwrap();
    let installed = station_folder().join("../tools/javascript/node_modules");
    if !installed.exists() {
        // `cargo xtask test` reports that this language is skipped; with `CI=true` that is a
        // failure.
        return;
    }
    for entry in fs::read_dir(installed).unwrap().map(Result::unwrap) {
        symlink(entry.path(), modules.join(entry.file_name())).unwrap();
    }
    let source = root().join("guests/station").join(name);
    for entry in fs::read_dir(source).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    for (program, arguments) in commands {
        passes(Command::new(program).args(*arguments), folder.path());
    }
}

#[test]
fn tests_of_the_javascript_sdk_pass() {
    if has_program("node") {
        passes(Command::new("node").arg("--test"), &root().join("guest-sdk/javascript"));
    }
}

#[test]
fn tests_of_the_javascript_and_typescript_stations_pass() {
    for name in ["javascript", "javascript-fetch"] {
        node_tests(name, &[("node", &["--test"])]);
    }
    node_tests("typescript", &[("node_modules/.bin/tsc", &[]), ("node", &["--test", "build/collector.test.js"])]);
}

#[test]
fn tests_of_the_python_sdk_pass() {
    python_tests("guest-sdk/python");
}

#[test]
fn tests_of_the_python_station_pass() {
    python_tests("guests/station/python");
}
