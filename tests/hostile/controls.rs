//! The controls that stop hostile guests: how each shows, and how each is removed for a test.

use std::time::Duration;

use pattoo_sandbox::{Outcome, StopReason, Termination};
use pattoo_wasm::config::{CollectorLimits, limit_named};

use crate::{
    bare,
    corpus::Guest,
    machine::{Run, SLACK, Worker},
};

/// The controls that the guests in `guests/` name. Most are limits, by their names; a test removes
/// them by the largest value. The rest cannot be set:
///
/// - `stack`, `boundary` (rules of the canonical ABI on pointers, lengths, text, discriminants) and
///   `exit`: removed by the bare engine, which has a larger stack and host functions that check
///   nothing.
/// - `trap` (rules of WebAssembly on memory, tables, arithmetic) is part of the compiled code in
///   every engine, `pool` (room for memories, tables, instances) is part of the engine's layout,
///   and `world` means that nothing else is linked. Here the hostile part of the guest is replaced
///   by a harmless one: that guest succeeds, so nothing else of it was stopped.
/// - `features`: what the engine does not offer. It is shown that the module is valid where it is
///   offered.
pub(crate) fn controls() -> impl Iterator<Item = &'static str> {
    ERRORS.into_iter().chain(OTHERS)
}

/// Limits that the guest sees as an error or as waiting; a guest that tries one fails if it got
/// less than it requested.
const ERRORS: [&str; 22] = [
    "datapoints",
    "datapoint_bytes",
    "targets",
    "timestamp_ahead",
    "fetches",
    "concurrent_fetches",
    "fetched_bytes",
    "spans",
    "concurrent_spans",
    "state_bytes",
    "fetch_timeout",
    "fetch_connect_timeout",
    "fetch_idle_timeout",
    "redirects",
    "url_bytes",
    "request_bytes",
    "request_headers",
    "request_header_bytes",
    "response_bytes",
    "compressed_bytes",
    "response_headers",
    "response_header_bytes",
];

/// All other controls: they end the guest, or truncate its output.
const OTHERS: [&str; 19] = [
    "timeout",
    "memory",
    "host_memory",
    "table_elements",
    "instances",
    "call_bytes",
    "resources",
    "random_bytes",
    "error_bytes",
    "log_lines",
    "log_line_bytes",
    "log_bytes",
    "stack",
    "boundary",
    "exit",
    "trap",
    "pool",
    "world",
    "features",
];

/// The deadline of those guests that run until it.
const DEADLINE: Duration = Duration::from_millis(150);

/// The default limits, except those that the guest's file sets.
fn limits(guest: &Guest) -> CollectorLimits {
    let mut limits = CollectorLimits::default();
    if guest.control == "timeout" {
        limits.collection.timeout = DEADLINE;
    }
    for (name, value) in &guest.with {
        let limit = limit_named(name).unwrap_or_else(|| panic!("{}: there is no limit {name}", guest.name));
        limit.set(&mut limits, value).unwrap_or_else(|error| panic!("{}: {error}", guest.name));
    }
    limits
}

/// Runs the guest and says how the result differs from what its control should do.
pub(crate) fn stops(guest: &Guest, worker: &Worker<'_>) -> Result<(), String> {
    let limits = limits(guest);
    let run = worker.run(&guest.text, &limits, Duration::from_mins(1));
    let says = guest.says.as_deref().unwrap_or_default();
    let as_expected = |text: &str| {
        if text.contains(says) { Ok(()) } else { Err(format!("`{says}` is not in `{text}`")) }
    };
    let (outcome, lines) = match (run, guest.control.as_str()) {
        (Run::Refused(error), "world" | "features" | "pool") => return as_expected(&error.to_string()),
        (Run::Refused(error), _) => return Err(format!("refused: {error}")),
        (Run::Ended(outcome, lines), _) => (outcome, lines),
    };
    let Outcome { ending, duration, .. } = &*outcome;
    if limit_named(&guest.control).is_some() {
        names(guest, &limits, ending, &lines)?;
    }
    match (guest.control.as_str(), ending) {
        ("timeout", Termination::Stopped(StopReason::Deadline(DEADLINE))) => {
            if *duration < DEADLINE + SLACK {
                Ok(())
            } else {
                Err(format!("stopped only after {duration:?}"))
            }
        }
        ("stack", Termination::Stopped(StopReason::Trap { what, .. })) => {
            if what.contains("call stack exhausted") {
                Ok(())
            } else {
                Err(what.clone())
            }
        }
        ("boundary" | "trap", Termination::Stopped(StopReason::Trap { what, .. })) => as_expected(what),
        ("exit", Termination::Completed) if says == "good" => Ok(()),
        ("exit", Termination::Failed(text)) => as_expected(text),
        ("log_lines" | "log_bytes", Termination::Completed) => {
            let kept = lines.iter().filter(|line| line.starts_with("guest|")).count();
            // Ten lines, or those that have a KiB together when each has a hundred bytes.
            if kept <= 10 { Ok(()) } else { Err(format!("{kept} lines: {lines:?}")) }
        }
        ("log_line_bytes", Termination::Completed) => {
            if lines.iter().all(|line| line.len() < 200) {
                Ok(())
            } else {
                Err(format!("{lines:.300?}"))
            }
        }
        ("error_bytes", Termination::Failed(text)) => {
            if text.len() < 200 {
                Ok(())
            } else {
                Err(format!("{} bytes", text.len()))
            }
        }
        (control, Termination::Stopped(StopReason::Limit(reached))) if reached.setting == control => Ok(()),
        (control, Termination::Failed(_)) if ERRORS.contains(&control) => Ok(()),
        (_, ending) => Err(format!("{ending:?} after {duration:?}")),
    }
}

/// Runs the guest as it is, and says how long after its deadline it was stopped, if that is what
/// stopped it.
pub(crate) fn lateness(guest: &Guest, worker: &Worker<'_>) -> Option<Duration> {
    match worker.run(&guest.text, &limits(guest), Duration::from_mins(1)) {
        Run::Ended(outcome, _) if matches!(outcome.ending, Termination::Stopped(StopReason::Deadline(_))) => {
            Some(outcome.duration.saturating_sub(DEADLINE))
        }
        _ => None,
    }
}

/// Whether a message names the limit that was reached, its value and how it is set.
fn names(guest: &Guest, limits: &CollectorLimits, ending: &Termination, lines: &[String]) -> Result<(), String> {
    let limit = limit_named(&guest.control).expect("a limit");
    let ours = lines.iter().filter(|line| !line.starts_with("guest|")).cloned();
    let messages: Vec<String> = match ending {
        Termination::Completed => ours.collect(),
        Termination::Failed(text) => ours.chain([text.clone()]).collect(),
        Termination::Stopped(stop) => ours.chain([stop.to_string()]).collect(),
    };
    let (setting, values) = (format!("(limit {})", limit.name), spellings(&limit.show(limits)));
    let said = |message: &String| message.contains(&setting) && values.iter().any(|value| message.contains(value));
    if messages.iter().any(said) {
        Ok(())
    } else {
        Err(format!("`{setting}` and one of {values:?} are not in any of {messages:.1000?}"))
    }
}

/// How a value may be written in a message: as it is set, `4KiB`, as `4.0 KiB`, or in bytes.
fn spellings(value: &str) -> Vec<String> {
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    let unit = value.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let number: u64 = digits.parse().expect("a number");
    let factor = ["KiB", "MiB", "GiB"].iter().zip([1 << 10, 1 << 20, 1 << 30]).find(|(name, _)| **name == unit);
    match factor {
        Some((_, factor)) => {
            vec![format!(" {digits}.0 {unit} "), format!(" {} ", number * factor)]
        }
        // A plain number of bytes has its unit in messages.
        None => vec![format!(" {value} "), format!(" {value} B ")],
    }
}

/// Runs the guest without its control, and says what stopped it then.
pub(crate) fn alone(guest: &Guest, worker: &Worker<'_>) -> Result<(), String> {
    let free = |fault: String| format!("without its control: {fault}");
    let mut limits = limits(guest);
    let mut text = guest.text.clone();
    match guest.control.as_str() {
        "features" => return bare::is_valid_elsewhere(&text).map_err(free),
        "boundary" | "exit" => return bare::run(&text).map_err(free),
        "stack" => {
            // The bare engine never calls `cabi_realloc`.
            if guest.name != "stack-realloc" {
                bare::run(&text).map_err(free)?;
            }
            text = guest.made_harmless().expect("what is harmless");
        }
        "trap" | "pool" | "world" => text = guest.made_harmless().expect("what is harmless"),
        control => {
            let limit = limit_named(control).expect("a limit");
            limit.set(&mut limits, &limit.unit.show(limit.max)).expect("the most that can be set");
        }
    }
    let endless = guest.control == "timeout";
    let time_limit = if endless { DEADLINE * 4 } else { Duration::from_mins(1) };
    match worker.run(&text, &limits, time_limit) {
        Run::Ended(outcome, lines) => match (&outcome.ending, guest.control.as_str()) {
            // An endless guest, and one that fails with the text that was too long.
            (Termination::Stopped(StopReason::Interrupted), "timeout") | (Termination::Failed(_), "call_bytes") => {
                Ok(())
            }
            (Termination::Completed, "log_lines" | "log_bytes") if lines.len() < 100 => {
                Err(free(format!("{} lines", lines.len())))
            }
            (Termination::Completed, "log_line_bytes") if !lines.iter().any(|line| line.len() > 8000) => {
                Err(free(format!("{lines:?}")))
            }
            (Termination::Completed, _) if !endless => Ok(()),
            (Termination::Failed(text), "error_bytes") if text.len() == 8192 => Ok(()),
            (Termination::Failed(_), control) if ERRORS.contains(&control) => {
                Err(free(format!("it fails as it does with it: {lines:.1000?}")))
            }
            (ending, _) => Err(free(format!("{ending:.300?}"))),
        },
        Run::Refused(error) => Err(free(error.to_string())),
    }
}
