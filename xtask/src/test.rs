//! `cargo xtask test`: what every change has to pass, in parts that can be run one by one.

use std::process::Command;

use crate::{build, guests, result::Result, steps::Steps, tools, words};

/// A part of the tests.
struct Part {
    name: &'static str,
    /// What it checks, for the usage text.
    about: &'static str,
    /// Whether `cargo xtask test` without a name runs it.
    by_default: bool,
    check: Check,
}

enum Check {
    /// Does something of its own.
    Steps(fn(&mut Steps) -> Result<()>),
    /// Runs tests of cargo: the arguments that choose them. What is typed after the name of the part selects among them.
    Cargo { arguments: &'static [&'static str], needs: Needs },
}

/// What has to be built and installed before tests.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    /// The program, the collectors in every language, the peers, the foreign programs.
    Everything,
}

const fn steps(name: &'static str, about: &'static str, check: fn(&mut Steps) -> Result<()>) -> Part {
    Part { name, about, by_default: true, check: Check::Steps(check) }
}

const fn cargo(name: &'static str, about: &'static str, arguments: &'static [&'static str], needs: Needs) -> Part {
    Part { name, about, by_default: true, check: Check::Cargo { arguments, needs } }
}

/// All parts, in the order in which they run.
const PARTS: [Part; 13] = [
    steps("format", "the format of all Rust", format),
    steps("words", "the terms of STYLE.md and the sizes of files", |_| words::check(&[])),
    steps("workflows", "the workflows in .github/", workflows),
    steps("licences", "licences, sources and duplicates of dependencies", licences),
    steps("advisories", "known vulnerabilities of dependencies", advisories),
    steps("lints", "clippy, without a warning", lints),
    cargo("unit", "tests beside the code, of all crates", &["--lib", "--bins"], Needs::Nothing),
    cargo("e2e", "the program from outside", &["--test", "e2e"], Needs::Everything),
    cargo("counts", "costs that are counted", &["--test", "counts"], Needs::Everything),
    cargo("hostile", "collectors that attack the sandbox", &["--test", "hostile"], Needs::Everything),
    cargo("tenants", "hostile collectors beside good ones", &["--test", "tenants"], Needs::Everything),
    cargo("doctests", "examples in the documentation of crates", &["--doc"], Needs::Nothing),
    steps("doc", "the documentation of crates, without a warning", documentation),
];

/// The usage of the command, with the names of all parts.
pub(crate) fn usage() -> String {
    let line = |part: &Part| {
        let note = if part.by_default { "" } else { " (only by its name)" };
        format!("  {:<10} {}{note}\n", part.name, part.about)
    };
    let parts: String = PARTS.iter().map(line).collect();
    format!(
        "Usage: cargo xtask test [PART [FILTER ...]]\n\n\
         Without a part, all parts run. A filter selects tests by a part of their name: `cargo xtask test e2e modbus::`.\n\
         Arguments of the test program follow: `cargo xtask test unit spool --nocapture`.\n\n\
         Parts:\n{parts}"
    )
}

/// Runs everything, or one part with what was typed after its name.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut steps = Steps::begin();
    let mut session = Session { prepared: None };
    match arguments {
        [] => {
            for part in PARTS.iter().filter(|part| part.by_default) {
                session.run(&mut steps, part, &[])?;
            }
        }
        [name, filters @ ..] => session.run(&mut steps, find(name)?, filters)?,
    }
    steps.finish();
    Ok(())
}

/// What continuous integration runs: everything, and a step that is skipped is a failure.
pub(crate) fn ci() -> Result<()> {
    let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let status = tools::program(&program).arg("test").env("CI", "true").status();
    let status = status.map_err(|error| format!("{}: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err("cargo xtask ci failed: see above".to_owned()) }
}

fn find(name: &str) -> Result<&'static Part> {
    PARTS.iter().find(|part| part.name == name).ok_or_else(|| {
        let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        format!("unknown part of the tests: `{name}`\nhelp: use one of {}", names.join(", "))
    })
}

/// What is prepared already, so that parts share it.
struct Session {
    /// Whether the foreign programs are there.
    prepared: Option<bool>,
}

impl Session {
    fn run(&mut self, steps: &mut Steps, part: &Part, filters: &[&str]) -> Result<()> {
        match part.check {
            Check::Steps(check) if filters.is_empty() => check(steps),
            Check::Steps(_) => Err(format!(
                "the part `{}` takes no filter\nhelp: filters select tests of unit, e2e, counts, hostile, tenants, doctests",
                part.name
            )),
            Check::Cargo { arguments, needs } => {
                let foreign = needs == Needs::Nothing || self.prepare(steps)?;
                // The whole workspace even for one program: its features decide what is built, and nothing is built twice.
                let mut tests = tools::cargo(&["test", "--workspace", "--locked"]);
                tests.args(arguments).arg("--").args(filters);
                if !foreign {
                    tests.args(["--skip", "modbus::mbpoll"]);
                }
                steps.run(&format!("tests: {}", part.name), tools::with_peers(&mut tests))
            }
        }
    }

    /// Builds and installs everything once; says whether the foreign programs are there.
    fn prepare(&mut self, steps: &mut Steps) -> Result<bool> {
        if let Some(foreign) = self.prepared {
            return Ok(foreign);
        }
        build::all(steps)?;
        guests::build(steps, &[])?;
        tools::install_peers(steps)?;
        let foreign = tools::install_debian_packages(steps)?;
        self.prepared = Some(foreign);
        Ok(foreign)
    }
}

fn format(steps: &mut Steps) -> Result<()> {
    steps.run("format", &mut tools::cargo(&["fmt", "--all", "--check"]))
}

fn lints(steps: &mut Steps) -> Result<()> {
    steps.run(
        "lints",
        &mut tools::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )?;
    // The fuzz targets are a workspace of their own. To compile them here would take as long as the runtime does.
    steps.run(
        "lock file of the fuzz targets",
        &mut tools::cargo(&["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]),
    )?;
    tools::install_target(steps)?;
    steps.run(
        "lints of the collectors",
        tools::cargo(&["clippy", "--lib", "--locked", "--target", tools::GUEST_TARGET])
            .args(tools::guest_packages())
            .args(["--", "--deny", "warnings"]),
    )
}

/// `cargo deny`, out of the environment of the peers.
fn cargo_deny(steps: &mut Steps) -> Result<Option<Command>> {
    tools::install_peers(steps)?;
    Ok(tools::cargo_deny())
}

fn licences(steps: &mut Steps) -> Result<()> {
    match cargo_deny(steps)? {
        Some(mut deny) => steps.run("licences", deny.args(["check", "licenses", "bans", "sources"])),
        None => steps.skip("licences", "cargo-deny is not installed (cargo install cargo-deny)"),
    }
}

/// Whether a crate has a known vulnerability, where the database of advisories can be reached.
fn advisories(steps: &mut Steps) -> Result<()> {
    let Some(mut deny) = cargo_deny(steps)? else {
        return steps.skip("advisories", "cargo-deny is not installed (cargo install cargo-deny)");
    };
    steps.run_within_reach(
        "advisories",
        deny.args(["check", "advisories"]),
        |output| output.contains("failed to fetch advisory database"),
        "the database (https://github.com/RustSec/advisory-db) cannot be fetched from here",
    )
}

/// The checker of workflows as a package for pip.
const ZIZMOR: &str = "zizmor==1.32.0";

/// Whether the workflows are valid and safe, without asking the forge.
fn workflows(steps: &mut Steps) -> Result<()> {
    if let Err(why) = tools::install_python_tool(steps, ZIZMOR) {
        return steps.skip("workflows", &why);
    }
    let mut zizmor = tools::program(&tools::python_tools().join("bin/zizmor"));
    steps.run("workflows", zizmor.args(["--offline", "--strict-collection", "--no-progress", "--quiet", ".github"]))
}

fn documentation(steps: &mut Steps) -> Result<()> {
    steps.run(
        "documentation",
        tools::cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_part_is_answered_with_the_names_of_all() {
        let message = run(&["e2f"]).unwrap_err();
        assert!(message.starts_with("unknown part of the tests: `e2f`\nhelp: use one of format, "), "{message}");
        for part in &PARTS {
            assert!(message.contains(part.name), "{}", part.name);
        }
    }

    #[test]
    fn a_filter_for_what_has_no_tests_is_refused() {
        let message = run(&["format", "modbus"]).unwrap_err();
        assert!(message.starts_with("the part `format` takes no filter\n"), "{message}");
    }

    #[test]
    fn every_test_program_of_the_tests_crate_is_a_part() {
        let manifest = include_str!("../../tests/Cargo.toml");
        let programs = manifest.split("[[test]]").skip(1).filter_map(|test| test.split('"').nth(1));
        for program in programs {
            assert!(PARTS.iter().any(|part| part.name == program && part.by_default), "{program} is not run");
        }
    }

    #[test]
    fn crates_for_other_programs_build_no_more_than_they_use() {
        for (package, unused) in [("pattoo-modbus", &["rusqlite", "reqwest"][..]), ("pattoo-fetch", &["rusqlite"])] {
            let arguments = ["tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "none"];
            let tree = tools::cargo(&arguments).output().unwrap();
            let tree = String::from_utf8(tree.stdout).unwrap();
            assert!(tree.contains("pattoo-base"), "{package}: {tree}");
            for name in unused {
                assert!(!tree.contains(&format!("{name} v")), "{package} builds {name}");
            }
        }
    }
}
