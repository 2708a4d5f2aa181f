//! Log lines for people: to stderr, coloured only on a terminal and unless `NO_COLOR` is set.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// Starts logging to stderr.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // Ours and the guests' at the level asked for; of the libraries below only what is wrong.
    let filter = EnvFilter::new(format!("warn,pattoo_wasm={level},guest={level}"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .without_time()
        .try_init();
}
