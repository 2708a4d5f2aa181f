//! Log lines for people: to stderr, coloured only on a terminal and unless `NO_COLOR` is set.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::capability;

/// Starts logging to stderr.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::WARN,
        (false, 0) => LevelFilter::INFO,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // Ours and the guests' at the level asked for; of the libraries below only what is wrong.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("pattoo_wasm", level)
        .with_target(capability::GUEST_LOG, level);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time();
    // An error means that a program around us logs already, its way.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
