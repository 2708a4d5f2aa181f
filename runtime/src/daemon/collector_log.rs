//! The log of one collector: its own lines, and ours about its collections, folded over all of its
//! collections.
//!
//! What is logged is decided by [`LogFolding`]. A line that is not logged at its own level is logged
//! at the level debug. `pattoo-wasm run` has no such log: it logs each line.

use std::{sync::Mutex, time::Instant};

use pattoo_base::{
    lock::lock,
    log_folding::{LineDecision, LineKind, LogFolding, Over, more},
};
use pattoo_measurement::Program;
use pattoo_sandbox::capability::{LineSink, Reporter, is_logged, log_line};
use tracing::Level;

/// The log of one collector. It outlives a reload.
#[derive(Debug, Default)]
pub struct CollectorLog(Mutex<LogFolding>);

impl CollectorLog {
    /// Reports a problem of a collection.
    pub(super) fn problem(&self, program: &Program, level: Level, text: &str) {
        self.fold(program, Reporter::Runtime, LineKind::Ours, level, text);
    }

    /// Reports that a collection failed.
    pub(super) fn failure(&self, program: &Program, text: &str) {
        self.fold(program, Reporter::Runtime, LineKind::Failure, Level::WARN, text);
    }

    /// A collection has ended, and everything about it was reported. Logs what is over.
    pub(super) fn collection_ended(&self, program: &Program, is_complete: bool) {
        let over = lock(&self.0).round_ended(Instant::now(), is_complete);
        if let Some(over) = over {
            log_line(program, Reporter::Runtime, Level::INFO, &text_of(&over, is_complete));
        }
    }

    /// Each line that occurs is logged once more: the configuration was read again.
    pub(super) fn repeat(&self) {
        lock(&self.0).repeat();
    }

    fn fold(&self, program: &Program, reporter: Reporter, kind: LineKind, level: Level, text: &str) {
        // A line that is not logged anyway takes the place of none.
        if !is_logged(reporter, level) {
            return;
        }
        let decision = lock(&self.0).line(Instant::now(), kind, text);
        match decision {
            LineDecision::Log | LineDecision::LogAgain { folded: 0, .. } => log_line(program, reporter, level, text),
            LineDecision::LogAgain { folded, within } => {
                log_line(program, reporter, level, &format!("{text}{}", more(folded, within)));
            }
            LineDecision::Fold => log_line(program, reporter, Level::DEBUG, text),
            LineDecision::Full(count) => {
                log_line(program, reporter, Level::DEBUG, text);
                let text = format!(
                    "its log has too many different lines: {count} of them were not logged until now, and further \
                     ones are counted; the log level debug shows all"
                );
                log_line(program, Reporter::Runtime, Level::WARN, &text);
            }
        }
    }
}

impl LineSink for CollectorLog {
    fn line(&self, program: &Program, reporter: Reporter, level: Level, text: &str) {
        let kind = match (reporter, level) {
            (_, Level::DEBUG | Level::TRACE) => return log_line(program, reporter, level, text),
            (Reporter::Guest, Level::INFO) => LineKind::Information,
            (Reporter::Guest, _) => LineKind::Problem,
            (Reporter::Runtime, _) => LineKind::Ours,
        };
        self.fold(program, reporter, kind, level, text);
    }
}

/// The line about what is over.
fn text_of(over: &Over, is_complete: bool) -> String {
    let failed = over.first.as_ref().is_some_and(|line| line.kind == LineKind::Failure);
    if failed && is_complete {
        format!("collects successfully again; over: {over}")
    } else {
        format!("no longer occurs: {over}")
    }
}
