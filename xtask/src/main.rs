//! The project's own commands: `cargo xtask demo`, `guests`, `test`, `soak`, `bench` and others.
//!
//! They need Rust, and install the rest: the wasm target through rustup, test peers into `target/peers`, tools of other
//! languages into `target/tools`, and, as root on Debian, what only Debian's packages have.

mod baseline;
mod bench;
mod compare;
mod guests;
mod soak;
mod steps;
mod tools;
mod wit;

use std::process::ExitCode;

use steps::Steps;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo     build everything and show it at work on loopback
  guests [LANGUAGE ...]
           build the collectors: those in Rust into target/wasm32-wasip2/guest, the
           station in every language (or these) into target/guests
  soak     what takes long, by name: crash, fairness, guests, hostile, queue, scale,
           tenants, or fuzz [TARGET]; with the program that PATTOO_WASM_BINARY names, if it does
  test     format, lints, licences, every test; with CI=true a skipped step is a failure
  bench [NAME] [--profile dev]
           figures against their targets and rivals, built for release: encode, cycle, boundary, calls, startup, spool,
           scale, modbus;
           and, only when named, curve and guests
  compare  put the figures of `bench guests` into docs/guests/compare.md
  wit      make docs/reference/wit.md anew, after a change of wit/
  baseline [REVISION] [--profile NAME]
           build the program of an earlier commit into target/baseline, and print its path; without
           a revision the commit that made tests/fixtures
  fixtures make tests/fixtures again, with the program and the collectors of that commit
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match *arguments {
        ["demo"] => demo(),
        ["guests", ref languages @ ..] => guests(languages),
        ["test"] => test(),
        ["soak", "fuzz"] => soak::fuzz(None),
        ["soak", "fuzz", target] => soak::fuzz(Some(target)),
        ["soak", name] => soak::run(name),
        ["bench"] => bench::run(None, "bench"),
        ["bench", "--profile", profile] => bench::run(None, profile),
        ["bench", name] => bench::run(Some(name), "bench"),
        ["bench", name, "--profile", profile] => bench::run(Some(name), profile),
        ["compare"] => compare::write(),
        ["wit"] => wit::write(),
        ["baseline"] => baseline::build(None, "dev"),
        ["baseline", "--profile", profile] => baseline::build(None, profile),
        ["baseline", revision] => baseline::build(Some(revision), "dev"),
        ["baseline", revision, "--profile", profile] => baseline::build(Some(revision), profile),
        ["fixtures"] => baseline::fixtures_again(),
        ["help" | "--help" | "-h"] => {
            steps::say(USAGE);
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            steps::complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, in words for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

fn demo() -> Result<()> {
    let mut steps = Steps::begin();
    build(&mut steps)?;
    steps.run("the demo", tools::program(&tools::binary()).arg("demo").arg(tools::guests()))
}

fn guests(languages: &[&str]) -> Result<()> {
    let mut steps = Steps::begin();
    if languages.is_empty() {
        build_guests(&mut steps)?;
    }
    guests::build(&mut steps, languages)?;
    steps.finish();
    Ok(())
}

fn test() -> Result<()> {
    let mut steps = Steps::begin();
    steps.run("format", &mut tools::cargo(&["fmt", "--all", "--check"]))?;
    build(&mut steps)?;
    guests::build(&mut steps, &[])?;
    tools::install_peers(&mut steps)?;
    let foreign = tools::install_debian_packages(&mut steps)?;
    steps.run(
        "lints",
        &mut tools::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )?;
    steps.run(
        "lints of the collectors",
        tools::cargo(&["clippy", "--lib", "--locked", "--target", tools::GUEST_TARGET])
            .args(tools::guest_packages())
            .args(["--", "--deny", "warnings"]),
    )?;
    match tools::cargo_deny() {
        Some(mut deny) => {
            steps.run("licences, sources, duplicates", deny.args(["check", "licenses", "bans", "sources"]))?;
            advisories(&mut steps)?;
        }
        None => {
            steps.skip("licences, sources, duplicates", "cargo-deny is not installed (cargo install cargo-deny)")?;
        }
    }
    let mut tests = tools::cargo(&["test", "--workspace", "--locked"]);
    if !foreign {
        tests.args(["--", "--skip", "modbus::mbpoll"]);
    }
    steps.run("tests", tools::with_peers(&mut tests))?;
    steps.run(
        "documentation",
        tools::cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    steps.finish();
    Ok(())
}

/// Whether a crate has a known vulnerability, where the database of advisories can be had.
fn advisories(steps: &mut Steps) -> Result<()> {
    let Some(mut deny) = tools::cargo_deny() else { return Ok(()) };
    steps.run_within_reach(
        "advisories",
        deny.args(["check", "advisories"]),
        |said| said.contains("failed to fetch advisory database"),
        "the database (https://github.com/RustSec/advisory-db) cannot be fetched from here",
    )
}

fn build(steps: &mut Steps) -> Result<()> {
    build_guests(steps)?;
    // The whole workspace at once: built one by one, the crates would choose different features of what they share.
    steps.run("pattoo-wasm", &mut tools::cargo(&["build", "--workspace", "--locked"]))
}

fn build_guests(steps: &mut Steps) -> Result<()> {
    tools::install_target(steps)?;
    steps.run(
        "the collectors",
        tools::cargo(&["build", "--profile", "guest", "--target", tools::GUEST_TARGET, "--locked"])
            .args(tools::guest_packages()),
    )
}
