//! How a command ends: an exit code, and words for the person who typed it.

use std::{fmt, io::Write as _, process::ExitCode};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use pattoo_base::text::{masked, printable};
use pattoo_measurement::AgentIdError;
use pattoo_output::SpoolError;
use pattoo_sandbox::{LoadError, state::StateError};
use pattoo_settings::{ConfigError, Place, Problem, Severity};

/// How many problems of a configuration are shown at once.
const MAX_SHOWN: usize = 20;

/// The longest part of a line that is shown, in bytes.
const LONGEST_LINE: usize = 1000;

/// The exit codes, a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Collected, and delivered where that was asked for.
    Good = 0,
    /// A fault of our own, or of the machine.
    Fault = 1,
    /// Usage or configuration: nothing was run.
    Usage = 2,
    /// The guest returned an error.
    GuestFailed = 3,
    /// The guest was stopped.
    GuestStopped = 4,
    /// Collected and not delivered.
    NotDelivered = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not end well: what happened, what to do about it, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    findings: Vec<Finding>,
}

/// One thing to say: what, where, and what to do about it.
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

    /// A fault of our own, or of the machine.
    pub(crate) fn fault(what: impl ToString) -> Self {
        Self::new(Exit::Fault, what)
    }

    /// Adds what to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.with_help(Some(help))
    }

    /// Adds what to do about it, where there is anything.
    fn with_help(mut self, help: Option<impl Into<String>>) -> Self {
        if let Some((finding, help)) = self.findings.last_mut().zip(help) {
            finding.help = Some(help.into());
        }
        self
    }

    /// Prints it to stderr.
    pub(crate) fn print(&self) {
        let left_out = self.findings.len().saturating_sub(MAX_SHOWN);
        self.findings.iter().take(MAX_SHOWN).for_each(Finding::print);
        if left_out > 0 {
            Self::new(self.exit, format!("{left_out} more are not shown")).findings.iter().for_each(Finding::print);
        }
    }
}

impl From<ConfigError> for Failure {
    /// A configuration that cannot be used.
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Usage, findings: error.problems().iter().map(Finding::from).collect() }
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

impl From<AgentIdError> for Failure {
    /// An identity that cannot be read or made.
    fn from(error: AgentIdError) -> Self {
        let help = error.help();
        Self::usage(error).with_help(help)
    }
}

impl From<StateError> for Failure {
    /// What a collector wanted to keep and could not.
    fn from(error: StateError) -> Self {
        let help = error.help();
        Self::fault(error).help(help)
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

/// Whether a place can be shown with the lines around it. Where one of them is too long for any terminal, its numbers say more; and
/// the library that draws them panics at a column beyond 65 535.
fn can_be_drawn(place: &Place) -> bool {
    let text = place.file.text.as_str();
    let (before, after) = text.split_at_checked(place.span.start).unwrap_or((text, ""));
    let before = before.rsplit('\n').take(2).map(str::len);
    // The line of the place is counted in two parts, and the one after it is shown as well.
    let after = after.split('\n').take(2).map(str::len);
    before.chain(after).all(|length| length <= LONGEST_LINE)
}

impl Finding {
    /// Prints it to stderr. Lines are left to the terminal to wrap, so that a flag or URL can be copied whole.
    ///
    /// Where stderr cannot be written there is nobody to tell; the exit code still says it.
    pub(crate) fn print(&self) {
        let handler = miette::MietteHandlerOpts::new().wrap_lines(false);
        // It can only be set once, and then it is this one.
        let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone().build())));
        let _ = writeln!(std::io::stderr(), "{:?}", miette::Report::new(self.clone()));
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&printable(&self.what))
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
