//! The log of one collection, and what libraries log for it.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use pattoo_base::text::one_line;
use tracing::Level;

use super::{LogLimits, line_sink::ProgramLines};
use crate::capability::{LimitReached, bindings::pattoo::agent::log, limit_reached::Reached};

thread_local! {
    /// The log of the collection that this thread is at work for.
    static CURRENT: RefCell<Option<GuestLog>> = const { RefCell::new(None) };
}

/// What a library logs while a collection is at work belongs to that collection: it is written in
/// its program's name, and counted like its own lines. `false` when this thread is not at work for
/// one, and nothing was written.
///
/// A library does not know whose call it answers, and a guest can have it log as often as it calls.
pub fn log_for_guest(message: &str) -> bool {
    // Taken out meanwhile, so that what is logged about logging finds none.
    let Some(log) = CURRENT.take() else { return false };
    log.write(log::Level::Warn, message);
    CURRENT.set(Some(log));
    true
}

/// A future of one collection: while it is polled, what libraries log is its collection's.
pub(crate) struct Attributed<F> {
    log: GuestLog,
    future: F,
}

impl<F: Future + Unpin> Attributed<F> {
    pub(crate) fn new(log: GuestLog, future: F) -> Self {
        Self { log, future }
    }
}

impl<F: Future + Unpin> Future for Attributed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = CURRENT.replace(Some(self.log.clone()));
        let polled = Pin::new(&mut self.future).poll(context);
        CURRENT.set(before);
        polled
    }
}

/// The log of one collection. Clones write to the same log.
#[derive(Debug, Clone)]
pub struct GuestLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines_of: ProgramLines,
    max_lines: u32,
    max_line_bytes: usize,
    max_bytes: usize,
    reached: Reached,
    /// What was written.
    lines: AtomicU32,
    bytes: AtomicUsize,
    left_out: AtomicU32,
}

impl GuestLog {
    /// An empty log, whose lines go to `lines_of`. It says to `reached` that it had to cut a line.
    pub(in crate::capability) fn new(lines_of: ProgramLines, limits: &LogLimits, reached: &Reached) -> Self {
        Self(Arc::new(Inner {
            lines_of,
            max_lines: limits.lines,
            max_line_bytes: limits.line_bytes,
            max_bytes: limits.bytes,
            reached: reached.clone(),
            lines: AtomicU32::new(0),
            bytes: AtomicUsize::new(0),
            left_out: AtomicU32::new(0),
        }))
    }

    /// The longest line that is kept whole, in bytes.
    pub(in crate::capability) fn max_line_bytes(&self) -> usize {
        self.0.max_line_bytes
    }

    /// Writes one line, made safe for a log: see [`one_line`].
    pub(in crate::capability) fn write(&self, level: log::Level, message: &str) {
        let limit = self.0.max_line_bytes;
        let is_cut = message.len() > limit;
        let message = one_line(message, limit);
        if !self.has_room(message.len()) {
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let level = match level {
            log::Level::Trace => Level::TRACE,
            log::Level::Debug => Level::DEBUG,
            log::Level::Info => Level::INFO,
            log::Level::Warn => Level::WARN,
            log::Level::Error => Level::ERROR,
        };
        self.0.lines_of.guest(level, &message);
        if is_cut {
            self.0.reached.say(LimitReached::of_bytes("one log line", limit, "log_line_bytes"));
        }
    }

    /// A line of the runtime about the collection. It does not count as a line of the guest.
    pub(in crate::capability) fn runtime(&self, level: Level, text: &str) {
        self.0.lines_of.runtime(level, text);
    }

    /// Whether there is room for one more line of so many bytes; then it is taken.
    fn has_room(&self, bytes: usize) -> bool {
        // One guest writes at a time.
        let (lines, before) = (self.0.lines.load(Ordering::Relaxed), self.0.bytes.load(Ordering::Relaxed));
        let after = before.saturating_add(bytes);
        if lines >= self.0.max_lines || after > self.0.max_bytes {
            return false;
        }
        self.0.lines.store(lines.saturating_add(1), Ordering::Relaxed);
        self.0.bytes.store(after, Ordering::Relaxed);
        true
    }

    /// Says how many lines were left out, if any.
    pub(in crate::capability) fn finish(&self) {
        let left_out = self.0.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            let kept = self.0.lines.load(Ordering::Relaxed);
            let bytes = bytesize::ByteSize(self.0.max_bytes as u64).display().iec();
            let text = format!(
                "{left_out} log lines left out after the first {kept} of this collection: at most {} lines \
                 (limit log_lines) and {bytes} (limit log_bytes) are logged",
                self.0.max_lines
            );
            self.0.lines_of.runtime(Level::WARN, &text);
        }
    }
}
