//! The destination of the lines about a program's collections.

use std::{fmt, sync::Arc};

use pattoo_measurement::Program;
use tracing::Level;

use crate::capability::Assignment;

/// The target of the log lines of guests.
pub const GUEST_LOG: &str = "guest";

/// Who reports a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter {
    /// The collector, or a library on its behalf.
    Guest,
    /// The runtime, about a collection of the collector.
    Runtime,
}

/// Takes the lines about collections, and decides which of them are logged.
pub trait LineSink: fmt::Debug + Send + Sync {
    /// A line about a collection of this program. The text is one line.
    fn line(&self, program: &Program, reporter: Reporter, level: Level, text: &str);
}

/// Logs each line.
#[derive(Debug)]
pub(in crate::capability) struct EachLine;

impl LineSink for EachLine {
    fn line(&self, program: &Program, reporter: Reporter, level: Level, text: &str) {
        log_line(program, reporter, level, text);
    }
}

/// Logs a line.
pub fn log_line(program: &Program, reporter: Reporter, level: Level, text: &str) {
    macro_rules! log {
        ($($level:ident)*) => {
            match (reporter, level) {
                $(
                    (Reporter::Guest, Level::$level) => tracing::event!(target: GUEST_LOG, Level::$level, "{program}: {text}"),
                    (Reporter::Runtime, Level::$level) => tracing::event!(Level::$level, "{program}: {text}"),
                )*
            }
        };
    }
    log!(ERROR WARN INFO DEBUG TRACE);
}

/// Whether a line of this level would be logged.
pub fn is_logged(reporter: Reporter, level: Level) -> bool {
    macro_rules! enabled {
        ($($level:ident)*) => {
            match (reporter, level) {
                $(
                    (Reporter::Guest, Level::$level) => tracing::event_enabled!(target: GUEST_LOG, Level::$level),
                    (Reporter::Runtime, Level::$level) => tracing::event_enabled!(Level::$level),
                )*
            }
        };
    }
    enabled!(ERROR WARN INFO DEBUG TRACE)
}

/// The lines about the collections of one program.
#[derive(Debug, Clone)]
pub(in crate::capability) struct ProgramLines {
    program: Program,
    sink: Arc<dyn LineSink>,
}

impl ProgramLines {
    pub(in crate::capability) fn of(assignment: &Assignment) -> Self {
        Self { program: assignment.agent.program.clone(), sink: Arc::clone(&assignment.lines) }
    }

    /// Lines that are all logged.
    #[cfg(test)]
    pub(in crate::capability) fn all(program: &Program) -> Self {
        Self { program: program.clone(), sink: Arc::new(EachLine) }
    }

    /// A line of the collector.
    pub(in crate::capability) fn guest(&self, level: Level, text: &str) {
        self.sink.line(&self.program, Reporter::Guest, level, text);
    }

    /// A line of the runtime.
    pub(in crate::capability) fn runtime(&self, level: Level, text: &str) {
        self.sink.line(&self.program, Reporter::Runtime, level, text);
    }
}
