//! Steps of a command: each is announced, timed, and ends the command when it fails.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::result::Result;

/// The steps that were taken so far.
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
    skipped: Vec<String>,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self { taken: Vec::new(), skipped: Vec::new() }
    }

    /// Runs a step to its end, its output going where ours goes.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<()> {
        report(&format!("==> {name}"));
        let started = Instant::now();
        let status = command.status().map_err(|error| format!("{name}: {command:?}: {error}"))?;
        if !status.success() {
            return Err(format!("{name} failed ({status}): {command:?}"));
        }
        self.taken.push((name.to_owned(), started.elapsed()));
        Ok(())
    }

    /// Leaves a step out and says so. Where `CI=true` that is a failure: there nothing may be missing.
    pub(crate) fn skip(&mut self, name: &str, why: &str) -> Result<()> {
        if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
            return Err(format!("{name} cannot be skipped with CI=true: {why}"));
        }
        self.skipped.push(format!("{name}: {why}"));
        Ok(())
    }

    /// Runs a step that needs something which this machine may not reach. It is out of reach when `is_out_of_reach` says so of what the
    /// command said; then that is said at the end, and is no failure.
    pub(crate) fn run_within_reach(
        &mut self,
        name: &str,
        command: &mut Command,
        is_out_of_reach: impl FnOnce(&str) -> bool,
        why: &str,
    ) -> Result<()> {
        report(&format!("==> {name}"));
        let started = Instant::now();
        let output = command.output().map_err(|error| format!("{name}: {command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && is_out_of_reach(&said) {
            self.skipped.push(format!("{name}: {why}"));
            return Ok(());
        }
        report(&said);
        if !output.status.success() {
            return Err(format!("{name} failed ({}): {command:?}", output.status));
        }
        self.taken.push((name.to_owned(), started.elapsed()));
        Ok(())
    }

    /// Says what was done and what was left out.
    pub(crate) fn finish(&self) {
        for (name, time) in &self.taken {
            report(&format!("{:>6.1} s  {name}", time.as_secs_f64()));
        }
        for skipped in &self.skipped {
            report(&format!("skipped  {skipped}"));
        }
    }
}

/// Prints to stdout.
#[expect(clippy::print_stdout, reason = "a command's own answer")]
pub(crate) fn say(text: &str) {
    println!("{}", text.trim_end());
}

/// Prints to stderr.
#[expect(clippy::print_stderr, reason = "progress and errors of a command")]
pub(crate) fn report(text: &str) {
    eprintln!("{}", text.trim_end());
}
