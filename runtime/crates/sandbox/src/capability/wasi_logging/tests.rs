//! Lines over `wasi:logging`, by a real guest.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{Event, Level, Metadata, Subscriber, field::Field, span};

use crate::{
    Termination,
    capability::{
        CollectionLimits, GUEST_LOG, log,
        testing::{builder, collect, component},
    },
};

const INTERFACE: &str = "wasi:logging/logging@0.1.0-draft";

/// A guest that logs `TIMES` times at this level: a context of `CONTEXT` bytes, and a message of
/// `MESSAGE` bytes.
fn guest(level: u32, times: u32, context: u32, message: u32) -> Vec<u8> {
    let core = format!(
        r#"(module
          (import "wasi:logging/logging@0.1.0-draft" "log" (func $log (param i32 i32 i32 i32 i32)))
          (memory (export "memory") 33)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
          (func (export "collect") (result i32) (local $turn i32)
            (memory.fill (i32.const 64) (i32.const 97) (i32.const 2097000))
            (loop $again
              (call $log (i32.const {level}) (i32.const 64) (i32.const {context}) (i32.const 64) (i32.const {message}))
              (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const {times}))))
            i32.const 0))"#
    );
    component("logging", INTERFACE, &core)
}

/// The lines that were logged, each with its level and what it is about.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String, String)>>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "message" {
                let _ = write!(text, "{value:?}");
            }
        });
        let metadata = event.metadata();
        self.0.lock().unwrap().push((*metadata.level(), metadata.target().to_owned(), text));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What a guest logs, and what is said about it.
fn lines(guest: Vec<u8>, limits: CollectionLimits) -> Vec<(Level, String, String)> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(collect(guest, builder().limits(limits)));
        assert!(matches!(outcome.ending, Termination::Completed), "{:?}", outcome.ending);
    });
    let lines = lines.0.lock().unwrap();
    lines.iter().filter(|(_, target, _)| target == GUEST_LOG || target.contains("capability")).cloned().collect()
}

#[test]
fn context_stands_before_the_message_and_critical_is_an_error() {
    for (level, logged) in [(0, Level::TRACE), (2, Level::INFO), (3, Level::WARN), (5, Level::ERROR)] {
        let line = |text: &str| vec![(logged, GUEST_LOG.to_owned(), text.to_owned())];
        assert_eq!(lines(guest(level, 1, 2, 3), CollectionLimits::default()), line("TEST: aa: aaa"));
        assert_eq!(lines(guest(level, 1, 0, 3), CollectionLimits::default()), line("TEST: aaa"));
    }
}

#[test]
fn flood_of_long_lines_is_cut_and_counted_with_all_others() {
    let limits = CollectionLimits {
        log: log::LogLimits { lines: 10, line_bytes: 100, ..log::LogLimits::default() },
        ..CollectionLimits::default()
    };
    let lines = lines(guest(2, 1_000, 2_000_000, 2_000_000), limits);
    let (guests, ours): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, target, _)| target == GUEST_LOG);
    assert_eq!(guests.len(), 10);
    assert!(guests.iter().all(|(_, _, text)| text.len() < 120), "{guests:?}");
    assert!(ours.iter().any(|(_, _, text)| text.contains("log_line_bytes")), "{ours:?}");
    assert!(ours.iter().any(|(_, _, text)| text.contains("990 log lines left out")), "{ours:?}");
}
