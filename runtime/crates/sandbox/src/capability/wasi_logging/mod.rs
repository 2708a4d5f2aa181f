//! `wasi:logging/logging`: lines of the log, as over `pattoo:agent/log` and counted with those.
//!
//! A context is written before the message. There is no level above `error`, so that `critical` is
//! one.

mod bindings;
#[cfg(test)]
mod tests;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

use self::bindings::wasi::logging::logging;
use super::{
    CapabilityDefinition, Context, Host, HostView, Interface, Ungranted, bindings::pattoo::agent::log::Level, log,
};

/// The capability. The draft has one version.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition::new(
    "wasi_logging",
    &[Interface::draft("wasi:logging/logging", "0.1.0-draft", Some(&log::POWER), "writes lines to the log")],
);

/// What one collection sees of it: all of it is in its log.
#[derive(Debug)]
pub struct Logging;

impl Ungranted for Logging {
    fn begin(_: &Context) -> Self {
        Self
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        logging::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

/// The beginning of a text, one byte longer than a line of the log if there is more, so that the
/// cut shows.
fn beginning(text: &str, line: usize) -> &str {
    text.get(..text.floor_char_boundary(line.saturating_add(1))).unwrap_or(text)
}

impl logging::Host for Host {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => Level::Trace,
            logging::Level::Debug => Level::Debug,
            logging::Level::Info => Level::Info,
            logging::Level::Warn => Level::Warn,
            logging::Level::Error | logging::Level::Critical => Level::Error,
        };
        let log = &self.context.log;
        if context.is_empty() {
            log.write(level, &message);
        } else {
            let line = log.max_line_bytes();
            log.write(level, &format!("{}: {}", beginning(&context, line), beginning(&message, line)));
        }
        Ok(())
    }
}
