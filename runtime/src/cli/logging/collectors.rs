//! Lines that libraries log during a collection.

use pattoo_base::invariant::Invariant as _;
use pattoo_sandbox::capability;
use tracing::Subscriber;
use tracing_subscriber::{Layer, layer::Context};

/// Writes what a library logs during a collection to the log of that collection, where it is
/// counted.
pub(super) struct CollectorLogs;

impl<S: Subscriber> Layer<S> for CollectorLogs {
    fn event_enabled(&self, event: &tracing::Event<'_>, _: Context<'_, S>) -> bool {
        /// The longest part of a message: the default limit of a collector's own line.
        const LONGEST: usize = 4_096;
        let target = event.metadata().target();
        if target == capability::GUEST_LOG || target.starts_with("pattoo_") {
            return true;
        }
        let mut message = Message { text: format!("{target}:"), room: LONGEST };
        event.record(&mut message);
        !capability::log_for_guest(&message.text)
    }
}

/// The fields of an event on one line.
pub(super) struct Message {
    text: String,
    room: usize,
}

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write as _;
        let _ = match field.name() {
            "message" => write!(self, " {value:?}"),
            name => write!(self, " {name}={value:?}"),
        };
    }
}

impl std::fmt::Write for Message {
    /// Takes text up to the limit, and ends the formatting then.
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let kept = text.get(..text.floor_char_boundary(self.room)).or_broken("a boundary is within its text", "");
        self.text.push_str(kept);
        self.room = self.room.saturating_sub(kept.len());
        if kept.len() < text.len() { Err(std::fmt::Error) } else { Ok(()) }
    }
}
