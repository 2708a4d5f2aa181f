//! `pattoo:agent/log`, and where standard output and error go: a collector's words for its operator.
//!
//! Lines are counted together, whichever way they come. What goes beyond the limit is left out, and how much is said at
//! the end: a flood of words is no reason to lose measurements.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use super::{Host, LimitReached, Limits, bindings::pattoo::agent::log, limits::Reached};
use crate::{pattoo::Program, text::one_line};

/// Under which target what guests say is logged.
pub const GUEST_LOG: &str = "guest";

/// The log of one collection. Clones write to the same log.
#[derive(Debug, Clone)]
pub struct GuestLog {
    program: Program,
    max_lines: u32,
    max_line_bytes: usize,
    max_bytes: usize,
    reached: Reached,
    written: Arc<Written>,
}

/// What was written to a log.
#[derive(Debug, Default)]
struct Written {
    lines: AtomicU32,
    bytes: AtomicUsize,
    left_out: AtomicU32,
}

impl GuestLog {
    /// An empty log of `program`, which says to `reached` that it had to cut a line.
    pub(super) fn new(program: &Program, limits: &Limits, reached: &Reached) -> Self {
        Self {
            program: program.clone(),
            max_lines: limits.log_lines,
            max_line_bytes: limits.log_line_bytes,
            max_bytes: limits.log_bytes,
            reached: reached.clone(),
            written: Arc::default(),
        }
    }

    /// The longest line that is kept whole, in bytes.
    pub(super) fn max_line_bytes(&self) -> usize {
        self.max_line_bytes
    }

    /// Writes one line, made safe for a log: see [`one_line`].
    pub(super) fn write(&self, level: log::Level, message: &str) {
        let limit = self.max_line_bytes;
        let is_cut = message.len() > limit;
        let message = one_line(message, limit);
        if !self.has_room(message.len()) {
            self.written.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let program = &self.program;
        match level {
            log::Level::Trace => tracing::trace!(target: GUEST_LOG, "{program}: {message}"),
            log::Level::Debug => tracing::debug!(target: GUEST_LOG, "{program}: {message}"),
            log::Level::Info => tracing::info!(target: GUEST_LOG, "{program}: {message}"),
            log::Level::Warn => tracing::warn!(target: GUEST_LOG, "{program}: {message}"),
            log::Level::Error => tracing::error!(target: GUEST_LOG, "{program}: {message}"),
        }
        if is_cut {
            self.reached.say(LimitReached::of_bytes("one log line", limit, "log_line_bytes"));
        }
    }

    /// Whether there is room for one more line of so many bytes; then it is taken.
    fn has_room(&self, bytes: usize) -> bool {
        // One guest writes at a time.
        let (lines, before) = (self.written.lines.load(Ordering::Relaxed), self.written.bytes.load(Ordering::Relaxed));
        let after = before.saturating_add(bytes);
        if lines >= self.max_lines || after > self.max_bytes {
            return false;
        }
        self.written.lines.store(lines.saturating_add(1), Ordering::Relaxed);
        self.written.bytes.store(after, Ordering::Relaxed);
        true
    }

    /// Says how many lines were left out, if any.
    pub(super) fn finish(&self) {
        let left_out = self.written.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            let (program, kept) = (&self.program, self.written.lines.load(Ordering::Relaxed));
            let bytes = bytesize::ByteSize(self.max_bytes as u64).display().iec();
            tracing::warn!(
                "{program}: {left_out} log lines left out after the first {kept} of this collection: there may be {} of \
                 them (limit log_lines) with {bytes} in all (limit log_bytes)",
                self.max_lines
            );
        }
    }
}

impl Host {
    /// The text with which the guest fails, on one line and not too long.
    pub(crate) fn last_words(&self, message: &str) -> String {
        let limit = self.assignment.limits.error_bytes;
        if message.len() > limit {
            self.reached.say(LimitReached::of_bytes("the text with which a collector fails", limit, "error_bytes"));
        }
        one_line(message, limit)
    }
}

impl log::Host for Host {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &message);
        Ok(())
    }
}
