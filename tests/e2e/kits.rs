//! The kits of other languages have tests of their own, which need no wasm: they pass.

#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use pattoo_tests::python;

fn passes(command: &mut Command, folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = command.current_dir(root.join(folder)).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&said));
}

/// The tests in a folder, with the kit beside them.
fn python_tests(folder: &str) {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/python");
    let mut command = Command::new(python());
    command.args(["-m", "unittest", "discover", "--top-level-directory", "."]);
    passes(command.env("PYTHONPATH", kit).env("PYTHONDONTWRITEBYTECODE", "1"), folder);
}

#[test]
fn the_tests_of_the_kit_for_python_pass() {
    python_tests("guest-sdk/python");
}

#[test]
fn the_tests_of_the_station_in_python_pass() {
    python_tests("guests/station/python");
}
