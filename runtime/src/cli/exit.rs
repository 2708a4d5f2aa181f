//! How a command ends: an exit code, and messages for the person who ran it.

use std::{fmt, io::Write as _, process::ExitCode};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use pattoo_base::text::{masked, printable};
use pattoo_measurement::AgentIdError;
use pattoo_sandbox::{LoadError, capability::GrantError, state_store::StateError};
use pattoo_settings::{ConfigError, Place, Problem, Severity};
use pattoo_spool::SpoolError;

use crate::{
    config::{OtherUsersDirectory, SettingsError},
    daemon::PlanError,
};

/// How many problems of a configuration are shown at once.
const MAX_SHOWN: usize = 20;

/// The longest part of a line that is shown, in bytes.
const LONGEST_LINE: usize = 1000;

/// The exit codes, a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Collected, and delivered if that was requested.
    Success = 0,
    /// An internal error, or one of the machine.
    InternalError = 1,
    /// Usage or configuration: nothing was run.
    Usage = 2,
    /// The collector returned an error.
    CollectorFailed = 3,
    /// The collector was stopped.
    CollectorStopped = 4,
    /// Collected and not delivered.
    NotDelivered = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed: what happened, how to fix it, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    findings: Vec<Finding>,
}

/// One message: what is wrong, where, and how to fix it.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    what: String,
    help: Option<String>,
    severity: Severity,
    place: Option<(NamedSource<String>, LabeledSpan)>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl ToString) -> Self {
        let finding = Finding { what: what.to_string(), help: None, severity: Severity::Error, place: None };
        Self { exit, findings: vec![finding] }
    }

    /// Usage or configuration.
    pub(crate) fn usage(what: impl ToString) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// An internal error, or one of the machine.
    pub(crate) fn internal(what: impl ToString) -> Self {
        Self::new(Exit::InternalError, what)
    }

    /// Adds how to fix it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.with_help(Some(help))
    }

    /// Adds how to fix it, if that is known.
    fn with_help(mut self, help: Option<impl Into<String>>) -> Self {
        if let Some((finding, help)) = self.findings.last_mut().zip(help) {
            finding.help = Some(help.into());
        }
        self
    }

    /// What its first message says, and the help.
    #[cfg(test)]
    pub(crate) fn message(&self) -> (String, String) {
        let finding = &self.findings[0];
        (finding.what.clone(), finding.help.clone().unwrap_or_default())
    }

    /// Prints it to stderr.
    pub(crate) fn print(&self) {
        let left_out = self.findings.len().saturating_sub(MAX_SHOWN);
        self.findings.iter().take(MAX_SHOWN).for_each(Finding::print);
        if left_out > 0 {
            Self::new(self.exit, format!("{left_out} more problems are not shown"))
                .findings
                .iter()
                .for_each(Finding::print);
        }
    }
}

impl From<ConfigError> for Failure {
    /// A configuration that cannot be used.
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Usage, findings: error.problems().iter().map(Finding::from).collect() }
    }
}

impl From<OtherUsersDirectory> for Failure {
    /// A directory that this user should leave alone.
    fn from(error: OtherUsersDirectory) -> Self {
        let help = error.help();
        Self::usage(error).help(help)
    }
}

impl From<LoadError> for Failure {
    /// A module that cannot be run.
    fn from(error: LoadError) -> Self {
        let help = error.help().into_owned();
        Self::usage(error).help(help)
    }
}

impl From<SpoolError> for Failure {
    /// A spool that cannot be used.
    fn from(error: SpoolError) -> Self {
        let help = error.help();
        Self::usage(error).with_help(help)
    }
}

impl From<PlanError> for Failure {
    /// A configuration that cannot be run.
    fn from(error: PlanError) -> Self {
        let help = error.help();
        Self::usage(error).with_help(help)
    }
}

impl From<AgentIdError> for Failure {
    /// An agent id that cannot be read or created.
    fn from(error: AgentIdError) -> Self {
        let help = error.help();
        Self::usage(error).with_help(help)
    }
}

impl From<GrantError> for Failure {
    /// A grant that cannot be used.
    fn from(error: GrantError) -> Self {
        let help = error.help;
        Self::usage(error).help(help)
    }
}

impl From<SettingsError> for Failure {
    /// Settings of a collector that cannot be used.
    fn from(error: SettingsError) -> Self {
        let help = error.help();
        Self::usage(error).help(help)
    }
}

impl From<StateError> for Failure {
    /// State of a collector that cannot be stored.
    fn from(error: StateError) -> Self {
        let help = error.help();
        Self::internal(error).help(help)
    }
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        let drawn = problem.place.as_ref().filter(|place| can_be_drawn(place));
        let what = if drawn.is_some() { problem.what.clone() } else { problem.to_string() };
        let place = drawn.map(|Place { file, span }| {
            let source = NamedSource::new(printable(&file.path.display().to_string()), masked(&file.text));
            (source, LabeledSpan::new_with_span(None, span.clone()))
        });
        let help = Some(problem.help.clone()).filter(|help| !help.is_empty());
        Self { what, help, severity: problem.severity, place }
    }
}

/// Whether a place can be shown with the lines around it. If one of them is too long for any
/// terminal, line and column say more; and the library that draws them panics at a column beyond 65
/// 535.
fn can_be_drawn(place: &Place) -> bool {
    let text = place.file.text.as_str();
    let (before, after) = text.split_at_checked(place.span.start).unwrap_or((text, ""));
    let before = before.rsplit('\n').take(2).map(str::len);
    // The line of the place is counted in two parts. The line after it is shown as well.
    let after = after.split('\n').take(2).map(str::len);
    before.chain(after).all(|length| length <= LONGEST_LINE)
}

impl Finding {
    /// Prints it to stderr. The terminal wraps the lines, so that a flag or URL can be copied in
    /// one piece.
    ///
    /// If stderr cannot be written, the exit code still shows the failure.
    pub(crate) fn print(&self) {
        let handler = miette::MietteHandlerOpts::new().wrap_lines(false);
        // It fails if the hook is set already. Then it is this one.
        let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone().build())));
        let _ = writeln!(std::io::stderr(), "{:?}", miette::Report::new(self.clone()));
    }
}

impl fmt::Display for Finding {
    /// `error: what failed: cause`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", printable(&self.what))
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(printable(help)) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|(source, _)| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place.as_ref().map(|(_, label)| Box::new(std::iter::once(label.clone())) as _)
    }
}
