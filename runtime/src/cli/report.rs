//! How a command ends: an exit code, and words for the person who typed it.

use std::process::ExitCode;

use miette::MietteDiagnostic;

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
    // Boxed: it is many times the size of what a command returns when all is well.
    diagnostic: Box<MietteDiagnostic>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl ToString) -> Self {
        Self { exit, diagnostic: Box::new(MietteDiagnostic::new(what.to_string())) }
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
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// Prints it to stderr. Lines are left to the terminal to wrap, so that a flag or URL can be copied whole.
    #[expect(clippy::print_stderr, reason = "this is the one place where a command's failure is printed")]
    pub(crate) fn print(&self) {
        let handler = miette::MietteHandlerOpts::new().wrap_lines(false);
        // It can only be set once, and then it is this one.
        let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone().build())));
        eprintln!("{:?}", miette::Report::new(MietteDiagnostic::clone(&self.diagnostic)));
    }
}
