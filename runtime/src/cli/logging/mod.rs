//! Log lines: to stderr for people, coloured only on a terminal and unless `NO_COLOR` is set, or as JSON for machines; and to a file
//! as well, once a daemon knows where.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::MakeWriter,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use crate::capability;

/// How log lines on stderr look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// One line a message, for people
    #[default]
    Human,
    /// One JSON object a message, with its time
    Json,
}

/// The name of the log file in pattoo's `log_directory`.
const FILE: &str = "pattoo_wasm.log";

/// Changes the level of what is logged.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();
/// The log file, if there is one.
static LOG_FILE: LogFile = LogFile { open: Mutex::new(None) };

/// Starts logging to stderr.
pub(super) fn start(verbose: u8, quiet: bool, format: Format) {
    let (filter, handle) = reload::Layer::new(filter(asked_for(verbose, quiet).unwrap_or(LevelFilter::INFO)));
    let file = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(&LOG_FILE);
    // An error means that a program around us logs already, its way.
    let registry = tracing_subscriber::registry().with(filter).with(OfGuests).with(stderr(format)).with(file);
    if registry.try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// The level that was asked for on the command line, if any was.
pub(super) fn asked_for(verbose: u8, quiet: bool) -> Option<LevelFilter> {
    match (quiet, verbose) {
        (true, _) => Some(LevelFilter::WARN),
        (false, 0) => None,
        (false, 1) => Some(LevelFilter::DEBUG),
        (false, _) => Some(LevelFilter::TRACE),
    }
}

/// Logs at another level from now on.
pub(super) fn set_level(level: LevelFilter) {
    if let Some(handle) = FILTER.get() {
        // It fails only when the subscriber is gone, and then nobody logs.
        let _ = handle.reload(filter(level));
    }
}

/// Logs to `pattoo_wasm.log` in `directory` as well, or to no file. An open one is opened again, so that what a log
/// rotation moved away is let go.
pub(super) fn to_file(directory: Option<&Path>) -> io::Result<()> {
    let opened = match directory {
        Some(directory) => Some(open(&directory.join(FILE))?),
        None => None,
    };
    *LOG_FILE.open.lock().unwrap_or_else(PoisonError::into_inner) = opened;
    Ok(())
}

fn open(path: &PathBuf) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).append(true).mode(0o640).open(path)
}

/// Ours and the guests' at this level; of the libraries below only what is wrong.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("pattoo_wasm", level)
        .with_target(capability::GUEST_LOG, level)
}

fn stderr<S: Subscriber + for<'a> LookupSpan<'a>>(format: Format) -> Box<dyn Layer<S> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(io::stderr);
    if format == Format::Json {
        return Box::new(layer.json().flatten_event(true));
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Box::new(layer.with_ansi(colours).without_time())
}

/// Writes what a library logs while a collection is at work into that collection's log, where it is counted.
struct OfGuests;

impl<S: Subscriber> Layer<S> for OfGuests {
    fn event_enabled(&self, event: &tracing::Event<'_>, _: Context<'_, S>) -> bool {
        /// As much of a message as a guest's own line may have unless its limit is raised.
        const LONGEST: usize = 4_096;
        let target = event.metadata().target();
        if target == capability::GUEST_LOG || target.starts_with("pattoo_wasm") {
            return true;
        }
        let mut message = Message { text: format!("{target}:"), room: LONGEST };
        event.record(&mut message);
        !capability::log_for_guest(&message.text)
    }
}

/// The fields of an event on one line.
struct Message {
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
    /// Takes no more than there is room for, and ends the formatting then.
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let kept = text.get(..text.floor_char_boundary(self.room)).unwrap_or_default();
        self.text.push_str(kept);
        self.room = self.room.saturating_sub(kept.len());
        if kept.len() < text.len() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// A file that can be exchanged while others log.
struct LogFile {
    open: Mutex<Option<File>>,
}

impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.open.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write_all(line).map(|()| line.len()),
            None => Ok(line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static LogFile {
    type Writer = &'static LogFile;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}
