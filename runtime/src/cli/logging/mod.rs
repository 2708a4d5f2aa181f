//! Log lines: to stderr for people, coloured only on a terminal and unless `NO_COLOR` is set, or as
//! JSON for machines; and for a daemon to a file as well, once its configuration is read.

mod collectors;
mod file;
mod queue;
mod throttle;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use pattoo_base::log_folding::rounded;
use pattoo_sandbox::capability;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan, reload,
    util::SubscriberInitExt as _,
};

use self::{
    collectors::CollectorLogs,
    file::{LogChange, LogFile},
    queue::{LineQueue, LineTarget},
    throttle::Throttle,
};
use crate::config::LogBounds;

/// The format of log lines on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// One line for each message, for people
    #[default]
    Human,
    /// One JSON object for each message, with its time
    Json,
}

/// The name of the log file in pattoo's `log_directory`.
const FILE: &str = "pattoo_wasm.log";

/// Changes the level of logging.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();
/// Limits what libraries log.
static THROTTLE: OnceLock<Throttle> = OnceLock::new();
/// The lines of a daemon to stderr.
static STDERR: LineQueue<Stderr> = LineQueue::new("stderr");
/// The lines to the log file, if there is one.
static LOG_FILE: LineQueue<Option<LogFile>> = LineQueue::new("the log file");

/// Starts logging to stderr. `background` is for programs that run for long and do not wait for
/// their log; they can have a log file.
pub(super) fn start(verbose: u8, quiet: bool, format: Format, background: bool) {
    let (filter, handle) = reload::Layer::new(filter(requested_level(verbose, quiet).unwrap_or(LevelFilter::INFO)));
    let throttle = Throttle::default();
    // If its thread cannot be started there is no log file, or stderr is written directly.
    let has_file = background && LOG_FILE.start(None).is_ok();
    let stderr =
        if background && STDERR.start(Stderr).is_ok() { stderr(format, &STDERR) } else { stderr(format, io::stderr) };
    let file = has_file.then(|| {
        let layer = tracing_subscriber::fmt::layer().log_internal_errors(false);
        layer.with_ansi(false).with_target(false).with_writer(&LOG_FILE)
    });
    let layers =
        tracing_subscriber::registry().with(filter).with(throttle.clone()).with(CollectorLogs).with(stderr).with(file);
    // An error means that a subscriber is installed already.
    if layers.try_init().is_ok() {
        let _ = FILTER.set(handle);
        let _ = THROTTLE.set(throttle);
    }
}

/// Writes the remaining lines, for at most a few seconds.
pub(super) fn finish() {
    if let Some(throttle) = THROTTLE.get() {
        throttle.end_window();
    }
    LOG_FILE.flush();
    STDERR.flush();
}

/// The level that the command line requests, if any.
pub(super) fn requested_level(verbose: u8, quiet: bool) -> Option<LevelFilter> {
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
        // It fails only if the subscriber is gone.
        let _ = handle.reload(filter(level));
    }
}

/// Logs to `pattoo_wasm.log` in `directory` as well, or to no file. An open file is opened again,
/// so that a file that a log rotation renamed is closed.
pub(super) fn to_file(directory: Option<&Path>, bounds: LogBounds) -> io::Result<()> {
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    let opened = directory.map(|directory| LogFile::open(&directory.join(FILE), bounds)).transpose();
    let was_missing = IS_MISSING.swap(opened.is_err(), Ordering::Relaxed);
    let opened = opened?;
    if let Some(file) = opened.as_ref().filter(|_| was_missing) {
        report(file.path(), Some(LogChange::Reopened));
    }
    LOG_FILE.change(move |file| *file = opened);
    Ok(())
}

/// Opens the log file again, if there is one: another program has rotated it.
pub(super) fn reopen() {
    LOG_FILE.reopen();
}

/// Our own lines and those of collectors at this level; of libraries only warnings and errors.
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
    // An error of stderr cannot be reported on stderr.
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false).with_target(false).with_writer(writer);
    if format == Format::Json {
        return Box::new(layer.json().flatten_event(true));
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Box::new(layer.with_ansi(colours).without_time())
}

/// The standard error stream.
struct Stderr;

impl LineTarget for Stderr {
    fn write(&mut self, line: &[u8]) {
        // It cannot be reported anywhere.
        let _ = io::stderr().write_all(line);
    }
}

impl LineTarget for Option<LogFile> {
    fn write(&mut self, line: &[u8]) {
        if let Some(file) = self {
            let change = file.write(line);
            report(file.path(), change);
        }
    }

    fn tick(&mut self) {
        if let Some(file) = self {
            let change = file.check_again();
            report(file.path(), change);
        }
    }

    fn reopen(&mut self) {
        if let Some(file) = self {
            let change = file.reopen();
            report(file.path(), change);
        }
    }
}

/// Logs what changed about the log file.
fn report(path: &Path, change: Option<LogChange>) {
    let path = path.display();
    match change {
        Some(LogChange::Dropping(why)) => tracing::warn!("{path}: log lines are dropped: {why}"),
        Some(LogChange::Resumed(dropped, time)) => {
            let time = rounded(time);
            // A loss is a warning, even when it is over.
            tracing::warn!("{path}: log lines are written again; {dropped} were dropped in {time}");
        }
        Some(LogChange::Stranded(why)) => {
            tracing::warn!("{path}: it was renamed, and log lines still go to the renamed file: {why}");
        }
        Some(LogChange::Reopened) => tracing::info!("{path}: log lines go to this file again"),
        None => {}
    }
}
