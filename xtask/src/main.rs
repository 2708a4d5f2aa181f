//! The project's own commands: `cargo xtask demo`, `guests`, `test`, `soak`, `bench` and others.
//!
//! They need Rust, and install the rest: the wasm target through rustup, test peers into `target/peers`, tools of other
//! languages into `target/tools`, and, as root on Debian, what only Debian's packages have.

mod baseline;
mod bench;
mod build;
mod compare;
mod guests;
mod result;
mod soak;
mod steps;
mod test;
mod tools;
mod wit;
mod words;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo     build everything and show it at work on loopback
  guests [LANGUAGE ...]
           build the collectors: those in Rust into target/wasm32-wasip2/guest, the
           station in every language (or these) into target/guests
  test [PART [FILTER ...]]
           format, lints, licences, every test, or one part of these; `test --help` lists the parts
  ci       what continuous integration runs: `test`, where a skipped step is a failure
  words [PATH ...]
           check texts and identifiers against the terms of STYLE.md, and the sizes of files
  soak     what takes long, by name: crash, fairness, guests, hostile, operator, queue, scale, systemd,
           tenants, or fuzz [TARGET]; with the program that PATTOO_WASM_BINARY names, if it does
  bench [NAME] [--profile dev]
           figures against their targets and rivals, built for release: encode, cycle, boundary, calls, startup, spool,
           scale, modbus;
           and, only when named, curve and guests
  compare  put the figures of `bench guests` into docs/guests/compare.md
  wit      write docs/reference/wit.md again, after a change of wit/
  baseline [REVISION] [--profile NAME]
           build the program of an earlier commit into target/baseline, and print its path; without
           a revision the commit that made tests/fixtures
  fixtures make tests/fixtures again, with the program and the collectors of that commit
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match *arguments {
        ["demo"] => build::demo(),
        ["guests", ref languages @ ..] => build::guests(languages),
        ["test", "help" | "--help" | "-h"] => {
            steps::say(&test::usage());
            Ok(())
        }
        ["test", ref part @ ..] => test::run(part),
        ["ci"] => test::ci(),
        ["soak", "fuzz"] => soak::fuzz(None),
        ["soak", "fuzz", target] => soak::fuzz(Some(target)),
        ["soak", name] => soak::run(name),
        ["bench"] => bench::run(None, "bench"),
        ["bench", "--profile", profile] => bench::run(None, profile),
        ["bench", name] => bench::run(Some(name), "bench"),
        ["bench", name, "--profile", profile] => bench::run(Some(name), profile),
        ["compare"] => compare::write(),
        ["wit"] => wit::write(),
        ["words", ref below @ ..] => words::check(below),
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
            steps::report(&message);
            ExitCode::FAILURE
        }
    }
}
