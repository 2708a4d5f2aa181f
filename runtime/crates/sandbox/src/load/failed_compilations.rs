//! Compilations that failed, kept for the next start.
//!
//! A module that takes the compiler two minutes and then has no compiled form would take them at every start. So how it failed is
//! kept beside the compiled forms, under the module's digest and the engine's settings and with the same authentication code. It counts
//! for as long as this program is the same, and only where a new attempt might use no more than that one: to raise a limit, or to install
//! another version, is to try again. What the machine may be to blame for counts for an hour.

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{CompileError, CompileLimits};

/// For how long a failure counts that may have been the machine's.
const OF_THE_MACHINE: Duration = Duration::from_hours(1);

/// A compilation that failed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CompileFailure {
    /// The program that compiled; see [`identity`].
    program: String,
    /// When, in seconds since 1970.
    at: u64,
    /// What it might use: milliseconds, bytes of address space, bytes of data.
    time: u64,
    memory: u64,
    ceiling: u64,
    how: How,
}

#[derive(Debug, Serialize, Deserialize)]
enum How {
    NotACollector(String),
    Invalid(String),
    OutOfTime,
    OutOfMemory,
    OverCeiling,
    Killed { for_memory: bool },
    Stuck { seconds: u64 },
    Outgrown { bytes: u64 },
    Fault(String),
}

/// What tells this program from one that was installed in its place.
pub(super) fn identity(program: &Path) -> String {
    let found = program.metadata().ok();
    let modified = found.as_ref().and_then(|found| found.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok());
    let length = found.map_or(0, |found| found.len());
    format!("{} {length} {}", env!("CARGO_PKG_VERSION"), modified.unwrap_or_default().as_nanos())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl CompileFailure {
    /// What is to be kept of a failure; nothing of one that costs nothing, or is not the module's.
    pub(super) fn of(
        error: &CompileError,
        program: &str,
        limits: &CompileLimits,
        ceiling: u64,
        now: Duration,
    ) -> Option<Self> {
        let how = match error {
            CompileError::NotACollector(text) => How::NotACollector(text.clone()),
            CompileError::Invalid(text) => How::Invalid(text.clone()),
            CompileError::OutOfTime(_) => How::OutOfTime,
            CompileError::OutOfMemory(_) => How::OutOfMemory,
            CompileError::OverCeiling { .. } => How::OverCeiling,
            CompileError::Killed { for_memory, .. } => How::Killed { for_memory: *for_memory },
            CompileError::Stuck(time) => How::Stuck { seconds: time.as_secs() },
            CompileError::Outgrown(bytes) => How::Outgrown { bytes: *bytes },
            CompileError::Fault(text) => How::Fault(text.clone()),
            CompileError::TooManyFunctions(_) | CompileError::Before { .. } | CompileError::Child(_) => return None,
        };
        let (time, memory) = (millis(limits.time), limits.memory);
        Some(Self { program: program.to_owned(), at: now.as_secs(), time, memory, ceiling, how })
    }

    /// The failure that a new attempt would come to, if that is known. What counts for an hour does not count where the clock was set
    /// back to before it.
    pub(super) fn counts(
        self,
        program: &str,
        limits: &CompileLimits,
        ceiling: u64,
        now: Duration,
    ) -> Option<CompileError> {
        let age = now.as_secs().checked_sub(self.at).map(Duration::from_secs);
        let just_now = age.is_some_and(|age| age < OF_THE_MACHINE);
        let no_more_time = millis(limits.time) <= self.time;
        let no_more_memory = limits.memory <= self.memory;
        let no_more = no_more_time && no_more_memory && ceiling <= self.ceiling;
        let (counts, error) = match self.how {
            How::NotACollector(text) => return (self.program == program).then_some(CompileError::NotACollector(text)),
            How::Invalid(text) => return (self.program == program).then_some(CompileError::Invalid(text)),
            How::OutOfTime => (no_more_time, CompileError::OutOfTime(Duration::from_millis(self.time))),
            How::OutOfMemory => (no_more_memory, CompileError::OutOfMemory(self.memory)),
            How::OverCeiling => {
                let error = CompileError::OverCeiling { ceiling: self.ceiling, limit: self.memory };
                (no_more_memory && ceiling <= self.ceiling, error)
            }
            How::Killed { for_memory } => {
                let limit = self.memory.min(self.ceiling);
                (no_more && just_now, CompileError::Killed { for_memory, limit })
            }
            How::Stuck { seconds } => (no_more && just_now, CompileError::Stuck(Duration::from_secs(seconds))),
            How::Fault(text) => (no_more && just_now, CompileError::Fault(text)),
            How::Outgrown { bytes } => (true, CompileError::Outgrown(bytes)),
        };
        (counts && self.program == program)
            .then(|| CompileError::Before { error: Box::new(error), age: age.unwrap_or_default() })
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use std::time::Duration;

    use super::{CompileError, CompileFailure, CompileLimits};

    const GIB: u64 = 1 << 30;
    const NOW: Duration = Duration::from_hours(500_000);

    fn limits(seconds: u64, memory: u64) -> CompileLimits {
        CompileLimits { time: Duration::from_secs(seconds), memory, ..CompileLimits::default() }
    }

    /// Whether a failure under 120 s, 1 GiB and a ceiling of 2 GiB counts under others.
    fn counts(error: CompileError, program: &str, seconds: u64, memory: u64, ceiling: u64, after: u64) -> bool {
        let failure = CompileFailure::of(&error, "1", &limits(120, GIB), 2 * GIB, NOW).unwrap();
        // As it is kept.
        let failure: CompileFailure = serde_json::from_slice(&serde_json::to_vec(&failure).unwrap()).unwrap();
        let now = NOW + Duration::from_secs(after);
        failure.counts(program, &limits(seconds, memory), ceiling, now).is_some()
    }

    #[test]
    fn a_failure_counts_until_the_limit_is_raised_that_it_failed_at() {
        let time = || CompileError::OutOfTime(Duration::from_mins(2));
        assert!(counts(time(), "1", 120, GIB, 2 * GIB, 1_000_000));
        assert!(counts(time(), "1", 60, 8 * GIB, 8 * GIB, 0), "memory has nothing to do with it");
        assert!(!counts(time(), "1", 121, GIB, 2 * GIB, 0));
        let memory = || CompileError::OutOfMemory(GIB);
        assert!(counts(memory(), "1", 600, GIB, 8 * GIB, 0));
        assert!(!counts(memory(), "1", 120, GIB + 1, 2 * GIB, 0));
        let ceiling = || CompileError::OverCeiling { ceiling: 2 * GIB, limit: GIB };
        assert!(counts(ceiling(), "1", 120, GIB, 2 * GIB, 0));
        assert!(!counts(ceiling(), "1", 120, GIB, 3 * GIB, 0));
    }

    #[test]
    fn a_failure_does_not_count_for_another_version_of_the_program() {
        for error in [CompileError::Invalid("no".to_owned()), CompileError::OutOfMemory(1), CompileError::Outgrown(1)] {
            assert!(!counts(error, "2", 120, GIB, 2 * GIB, 0));
        }
    }

    #[test]
    fn what_the_machine_may_be_to_blame_for_is_tried_again_after_an_hour() {
        let killed = || CompileError::Killed { for_memory: true, limit: GIB };
        assert!(counts(killed(), "1", 120, GIB, 2 * GIB, 3599));
        assert!(!counts(killed(), "1", 120, GIB, 2 * GIB, 3600));
        let child = CompileError::Child(std::io::ErrorKind::NotFound.into());
        assert!(CompileFailure::of(&child, "1", &limits(120, GIB), GIB, NOW).is_none());
    }

    #[test]
    fn a_clock_that_was_set_back_forgets_only_what_the_machine_may_be_to_blame_for() {
        let before = |error: CompileError| {
            let failure = CompileFailure::of(&error, "1", &limits(120, GIB), GIB, NOW).unwrap();
            failure.counts("1", &limits(120, GIB), GIB, Duration::from_secs(1)).is_some()
        };
        assert!(before(CompileError::OutOfMemory(GIB)));
        assert!(!before(CompileError::Killed { for_memory: false, limit: GIB }));
    }
}
