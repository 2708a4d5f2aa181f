//! Limits what libraries log: for each place in their code a number of lines in a time window, then
//! how many more there were.
//!
//! A collector can make a library log millions of warnings in seconds. Our own lines are limited
//! where they are logged; a library has no limits.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use pattoo_base::{lock::lock, text::one_line};
use pattoo_sandbox::capability;
use tracing::{Event, Subscriber, callsite::Identifier, field::Field};
use tracing_subscriber::{Layer, layer::Context};

/// How many lines of one place are logged in a window.
const LINES: u64 = 20;
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// How much of a message is shown again, in bytes.
const MAX_SHOWN: usize = 200;

/// Counts and limits what libraries log.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    by_place: HashMap<Identifier, Count>,
    /// Whether a thread waits for the end of the window.
    is_ending: bool,
}

/// The lines of one place in this window.
#[derive(Debug)]
struct Count {
    lines: u64,
    target: &'static str,
    /// The first message that was not logged.
    message: String,
}

impl Throttle {
    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        let mut counts = lock(&self.0);
        let count = counts.by_place.entry(metadata.callsite()).or_insert_with(|| Count {
            lines: 0,
            target: metadata.target(),
            message: String::new(),
        });
        count.lines = count.lines.saturating_add(1);
        let admitted = count.lines <= LINES;
        if count.lines == LINES.saturating_add(1) {
            let mut message = Message(String::new());
            event.record(&mut message);
            count.message = one_line(&message.0, MAX_SHOWN);
        }
        if !counts.is_ending {
            let throttle = self.clone();
            let end = move || {
                thread::sleep(WINDOW);
                throttle.end_window();
            };
            counts.is_ending = thread::Builder::new().name("log-throttle".to_owned()).spawn(end).is_ok();
        }
        admitted
    }

    /// Logs how many lines were not logged, and begins a new window.
    pub(super) fn end_window(&self) {
        let counts = std::mem::take(&mut *lock(&self.0));
        // Without the lock, since this is logged as well.
        for count in counts.by_place.into_values().filter(|count| count.lines > LINES) {
            let more = count.lines.saturating_sub(LINES);
            tracing::warn!("{}: {more} more lines like this one within {WINDOW:?}: {}", count.target, count.message);
        }
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let target = event.metadata().target();
        target.starts_with("pattoo_") || target == capability::GUEST_LOG || self.admits(event)
    }
}

/// The message of an event.
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::{LINES, Throttle};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn million_lines_of_a_library_become_a_few_lines_and_a_count() {
        let (throttle, written) = (Throttle::default(), Written::default());
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(throttle.clone()).with(layer), || {
            for number in 0..1_000_000 {
                tracing::warn!(target: "wasmtime_wasi::p2", "dropped byte {number}");
                if number % 100_000 == 0 {
                    tracing::warn!(target: "hyper::proto", "another place");
                    tracing::info!("ours");
                }
            }
            (0..50).for_each(|_| tracing::warn!("ours, often"));
            throttle.end_window();
            tracing::warn!(target: "wasmtime_wasi::p2", "in the next window");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines = |words: &str| text.lines().filter(|line| line.contains(words)).count() as u64;
        assert_eq!(lines("WARN wasmtime_wasi::p2: dropped byte"), LINES);
        assert_eq!((lines("another place"), lines("ours, often"), lines("in the next window")), (10, 50, 1));
        // On a busy machine a window may have ended in the meantime.
        let counted = text
            .lines()
            .filter(|line| line.contains(" more lines like"))
            .filter_map(|line| line.split(" more lines").next()?.rsplit(' ').next()?.parse::<u64>().ok());
        let counted: u64 = counted.sum();
        assert!(counted <= 1_000_000 - LINES && lines("more lines like this one") >= 1, "{counted}");
        assert!(text.lines().count() < 1000, "{}", text.lines().count());
    }
}
