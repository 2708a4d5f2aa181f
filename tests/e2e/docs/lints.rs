//! Lints make sure that input never makes our code panic: these tests check that they are on, and
//! where they are off.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lints on code that could panic, and on exemptions without a reason. `arithmetic_side_effects` is
/// a warning during development and an error in `cargo xtask test`, which denies warnings.
const LINTS: [(&str, &str); 8] = [
    ("unwrap_used", "deny"),
    ("expect_used", "deny"),
    ("panic", "deny"),
    ("indexing_slicing", "deny"),
    ("string_slice", "deny"),
    ("todo", "deny"),
    ("arithmetic_side_effects", "warn"),
    ("allow_attributes_without_reason", "deny"),
];

/// Files of the runtime with an exemption, other than tests: the helper that stops a test at a bug,
/// and code generated from WIT.
const EXCEPTIONS: [&str; 5] = [
    "runtime/crates/base/src/invariant.rs",
    "runtime/crates/sandbox/src/capability/bindings.rs",
    "runtime/crates/sandbox/src/capability/wasi_config/bindings.rs",
    "runtime/crates/sandbox/src/capability/wasi_keyvalue/bindings.rs",
    "runtime/crates/sandbox/src/capability/wasi_logging/bindings.rs",
];

/// The packages of the runtime: the program, and the crates that it is made of.
fn packages() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("runtime/crates")).expect("the crates");
    let crates = crates.map(|entry| entry.expect("an entry").path());
    let packages: Vec<_> = crates.chain([root().join("runtime")]).collect();
    assert!(packages.len() > 8, "{packages:?}");
    packages
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the repository")
}

#[test]
fn lints_deny_every_operation_that_could_panic() {
    let table = read("Cargo.toml");
    let (_, table) = table.split_once("[workspace.lints.clippy]").expect("a table of lints");
    for (lint, level) in LINTS {
        assert!(table.contains(&format!("\n{lint} = \"{level}\"\n")), "{lint} is not on `{level}`");
    }
    for package in packages() {
        let manifest = package.join("Cargo.toml");
        assert!(read(&manifest).contains("\n[lints]\nworkspace = true"), "{}", manifest.display());
    }
    assert!(
        read("xtask/src/test.rs")
            .contains(r#""clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings""#)
    );
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Whether this source exempts code other than test modules from one of the lints.
fn has_exception(text: &str) -> bool {
    let attributes = text.split("#[").chain(text.split("#![")).skip(1);
    let mut off = attributes.filter_map(|rest| rest.split_once(")]")).filter(|(attribute, behind)| {
        let allows = attribute.starts_with("allow(") || attribute.starts_with("expect(");
        let lint = LINTS.iter().any(|(lint, _)| attribute.contains(&format!("clippy::{lint}")));
        // The next item or attribute shows that the exemption is for tests.
        let of_tests = behind.split_once('{').is_some_and(|(head, _)| head.contains("mod tests"));
        allows && lint && !of_tests && !behind.trim_start().starts_with("mod tests;")
    });
    off.next().is_some()
}

#[test]
fn no_runtime_code_is_exempt_from_the_panic_lints() {
    let mut files = Vec::new();
    for package in packages() {
        sources(&package.join("src"), &mut files);
    }
    let of_tests = |path: &PathBuf| {
        let mut parts = path.strip_prefix(root()).expect("below it").components();
        parts.any(|part| ["tests", "tests.rs"].iter().any(|tests| part.as_os_str() == *tests))
    };
    let mut excepted: Vec<_> = files
        .iter()
        .filter(|path| !of_tests(path) && has_exception(&read(path)))
        .map(|path| path.strip_prefix(root()).expect("below it").display().to_string())
        .collect();
    excepted.sort();
    assert_eq!(excepted, EXCEPTIONS);
}

#[test]
fn lint_exemption_is_found_by_the_check() {
    let attribute = "expect(clippy::unwrap_used, reason = \"x\")]";
    assert!(has_exception(&format!("fn a() {{}}\n#[{attribute}\nfn b() {{}}")));
    assert!(has_exception(&format!("#![{attribute}\nfn b() {{}}")));
    assert!(!has_exception(&format!("#[cfg(test)]\n#[{attribute}\nmod tests;")));
    assert!(!has_exception("#[expect(clippy::cast_possible_truncation, reason = \"x\")]\nfn b() {}"));
}
