//! Log lines: to stderr for people, coloured only on a terminal and unless `NO_COLOR` is set, or as JSON for machines; and to a file
//! as well, once a daemon knows where.

mod file;
mod fold;
mod guests;
mod queue;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    sync::OnceLock,
};

use pattoo_sandbox::capability;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan, reload,
    util::SubscriberInitExt as _,
};

use self::{
    file::{Change, LogFile},
    fold::Fold,
    guests::OfGuests,
    queue::{Queue, Target},
};
use crate::config::LogBounds;

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
/// What libraries log.
static FOLD: OnceLock<Fold> = OnceLock::new();
/// The lines of a daemon to stderr.
static STDERR: Queue<Stderr> = Queue::new("stderr");
/// The lines to the log file, if there is one.
static LOG_FILE: Queue<Option<LogFile>> = Queue::new("the log file");

/// Starts logging to stderr. `background` is for programs that go on for long, and do not wait for their log; they can have a log file.
pub(super) fn start(verbose: u8, quiet: bool, format: Format, background: bool) {
    let (filter, handle) = reload::Layer::new(filter(asked_for(verbose, quiet).unwrap_or(LevelFilter::INFO)));
    let fold = Fold::default();
    // Without a thread for it there is no log file, or stderr is written directly.
    let has_file = background && LOG_FILE.start(None).is_ok();
    let stderr =
        if background && STDERR.start(Stderr).is_ok() { stderr(format, &STDERR) } else { stderr(format, io::stderr) };
    let file = has_file.then(|| {
        let layer = tracing_subscriber::fmt::layer().log_internal_errors(false);
        layer.with_ansi(false).with_target(false).with_writer(&LOG_FILE)
    });
    let layers = tracing_subscriber::registry().with(filter).with(fold.clone()).with(OfGuests).with(stderr).with(file);
    // An error means that a program around us logs already, its way.
    if layers.try_init().is_ok() {
        let _ = FILTER.set(handle);
        let _ = FOLD.set(fold);
    }
}

/// Writes what is still to be written, for a short while.
pub(super) fn finish() {
    if let Some(fold) = FOLD.get() {
        fold.end_window();
    }
    LOG_FILE.flush();
    STDERR.flush();
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
pub(super) fn to_file(directory: Option<&Path>, bounds: LogBounds) -> io::Result<()> {
    let opened = directory.map(|directory| LogFile::open(&directory.join(FILE), bounds)).transpose()?;
    LOG_FILE.change(move |file| *file = opened);
    Ok(())
}

/// Ours and the guests' at this level; of the libraries below only what is wrong.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("pattoo_", level)
        .with_target(capability::GUEST_LOG, level)
}

fn stderr<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What cannot be written to stderr cannot be complained of there.
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false).with_target(false).with_writer(writer);
    if format == Format::Json {
        return Box::new(layer.json().flatten_event(true));
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Box::new(layer.with_ansi(colours).without_time())
}

/// The standard error stream.
struct Stderr;

impl Target for Stderr {
    fn write(&mut self, line: &[u8]) {
        // There is nobody else to tell.
        let _ = io::stderr().write_all(line);
    }
}

impl Target for Option<LogFile> {
    fn write(&mut self, line: &[u8]) {
        if let Some(file) = self {
            let change = file.write(line);
            tell(file.path(), change);
        }
    }

    fn tick(&mut self) {
        if let Some(file) = self {
            let change = file.look_again();
            tell(file.path(), change);
        }
    }
}

/// Says that lines are dropped, or are written again.
fn tell(path: &Path, change: Option<Change>) {
    match change {
        Some(Change::Dropping(why)) => tracing::warn!("{}: log lines are dropped: {why}", path.display()),
        Some(Change::Again(dropped)) => {
            tracing::warn!("{}: log lines are written again; {dropped} were dropped", path.display());
        }
        None => {}
    }
}
