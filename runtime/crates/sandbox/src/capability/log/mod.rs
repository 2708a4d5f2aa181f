//! `pattoo:agent/log`, and where standard output and error go: a collector's words for its
//! operator.
//!
//! Lines are counted together, whichever way they come. What goes beyond the limit is left out, and
//! how much is said at the end: a flood of words is no reason to lose measurements.

mod collection_log;
mod line_sink;

use pattoo_settings::{
    GIB, MIB, Quantity,
    convert::{narrow, widen},
    quantity,
};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;

pub(crate) use self::collection_log::Attributed;
pub(super) use self::line_sink::{EachLine, ProgramLines};
pub use self::{
    collection_log::{GuestLog, log_for_guest},
    line_sink::{GUEST_LOG, LineSink, Reporter, is_logged, log_line},
};
use super::{
    AssignmentBuilder, Capability, CapabilityDefinition, Context, GrantError, Host, HostView, Interface, Power,
    bindings::pattoo::agent::log,
};

/// What is reached with it.
pub(super) static POWER: Power = Power { what: "log", does: "writes lines to the log" };

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&POWER),
    limits: LIMITS,
    ..CapabilityDefinition::new(
        "log",
        &[Interface::ours(
            "pattoo:agent/log",
            Some(&POWER),
            "writes lines to the log",
            include_str!("../../../../../../wit/log.wit"),
        )],
    )
};

/// How much one collection may log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLimits {
    /// Log lines, standard output and error included.
    pub lines: u32,
    /// Bytes of one log line.
    pub line_bytes: usize,
    /// Bytes of all log lines.
    pub bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { lines: 1_000, line_bytes: 4_096, bytes: 256 << 10 }
    }
}

static LIMITS: &[Quantity<super::CollectionLimits>] = &[
    quantity!(
        "log_lines",
        "log lines, standard output and error included",
        Count,
        0,
        1_000_000,
        log.lines,
        u64::from,
        narrow
    ),
    quantity!("log_line_bytes", "bytes of a log line", Size, 64, MIB, log.line_bytes, widen, narrow),
    quantity!("log_bytes", "bytes of all log lines", Size, 0, GIB, log.bytes, widen, narrow),
];

/// What one collection sees of it: all of it is in its [`GuestLog`], which the standard streams
/// share.
#[derive(Debug)]
pub struct Log;

impl Capability for Log {
    type Grant = ();
    type Limits = LogLimits;
    type Resource = ();
    type Shared = ();
    type Requested = ();

    fn resource(_: &AssignmentBuilder, (): &()) -> Result<(), GrantError> {
        Ok(())
    }

    fn begin(_: &Context) -> Self {
        Self
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        log::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)
    }
}

impl log::Host for Host {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.context.log.write(level, &message);
        Ok(())
    }
}
