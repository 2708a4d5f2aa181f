//! WASI 0.2, linked and empty.
//!
//! Many language toolchains import WASI without using it, so it has to be there. Nothing is granted
//! through it: no files, no environment, no arguments, no sockets, no name look-up. Standard output
//! and error become log lines, standard input is at its end. Random bytes are the system's, and
//! counted.

mod streams;

use pattoo_settings::{MIB, Quantity, convert::same, quantity};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::{
    WasiCtx, WasiView,
    p2::bindings::random::{insecure, random},
};

use self::streams::LogLines;
use super::{
    AssignmentBuilder, Capability, CapabilityDefinition, Context, GrantError, GuestLog, Host, HostView, Interface,
    LimitReached, bindings::pattoo::agent::log::Level, log,
};

/// The capability.
pub static DEFINITION: CapabilityDefinition =
    CapabilityDefinition { limits: LIMITS, ..CapabilityDefinition::new("wasi", INTERFACES) };

static INTERFACES: &[Interface] = &[
    Interface::wasi("wasi:cli/environment", None, "reads the environment and the arguments: there are none"),
    Interface::wasi("wasi:cli/exit", None, "ends the collection"),
    Interface::wasi("wasi:cli/stdin", None, "reads standard input: it is empty"),
    Interface::wasi("wasi:cli/stdout", Some(&log::POWER), "writes to standard output: lines of the log"),
    Interface::wasi("wasi:cli/stderr", Some(&log::POWER), "writes to standard error: lines of the log"),
    Interface::wasi("wasi:cli/terminal-input", None, "asks for a terminal: there is none"),
    Interface::wasi("wasi:cli/terminal-output", None, "asks for a terminal: there is none"),
    Interface::wasi("wasi:cli/terminal-stdin", None, "asks for a terminal: there is none"),
    Interface::wasi("wasi:cli/terminal-stdout", None, "asks for a terminal: there is none"),
    Interface::wasi("wasi:cli/terminal-stderr", None, "asks for a terminal: there is none"),
    Interface::wasi("wasi:clocks/monotonic-clock", None, "measures time, and waits"),
    Interface::wasi("wasi:clocks/wall-clock", None, "reads the time"),
    Interface::wasi("wasi:filesystem/preopens", None, "lists open folders: there are none"),
    Interface::wasi("wasi:filesystem/types", None, "uses open files: there are none"),
    Interface::wasi("wasi:io/error", None, "defines errors of the other interfaces"),
    Interface::wasi("wasi:io/poll", None, "waits"),
    Interface::wasi("wasi:io/streams", None, "reads and writes the streams of other interfaces"),
    Interface::wasi("wasi:random/random", None, "generates random bytes"),
    Interface::wasi("wasi:random/insecure", None, "generates random bytes"),
    Interface::wasi("wasi:random/insecure-seed", None, "generates a random number"),
    Interface::wasi("wasi:sockets/instance-network", None, "uses the network: refused"),
    Interface::wasi("wasi:sockets/ip-name-lookup", None, "looks up names: refused"),
    Interface::wasi("wasi:sockets/network", None, "defines errors of the other socket interfaces"),
    Interface::wasi("wasi:sockets/tcp", None, "uses TCP sockets: refused"),
    Interface::wasi("wasi:sockets/tcp-create-socket", None, "creates TCP sockets: refused"),
    Interface::wasi("wasi:sockets/udp", None, "uses UDP sockets: refused"),
    Interface::wasi("wasi:sockets/udp-create-socket", None, "creates UDP sockets: refused"),
];

/// How much one collection may use of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasiLimits {
    /// Random bytes, all calls together.
    pub random_bytes: u64,
}

impl Default for WasiLimits {
    fn default() -> Self {
        Self { random_bytes: 1 << 20 }
    }
}

static LIMITS: &[Quantity<super::CollectionLimits>] =
    &[quantity!("random_bytes", "random bytes, all calls together", Size, 0, 64 * MIB, wasi.random_bytes, same, same)];

/// What one collection sees of it.
pub struct Wasi {
    pub(super) ctx: WasiCtx,
    random_bytes: u64,
}

impl Capability for Wasi {
    type Grant = ();
    type Limits = WasiLimits;
    type Resource = ();
    type Shared = ();
    type Requested = ();

    fn resource(_: &AssignmentBuilder, (): &()) -> Result<(), GrantError> {
        Ok(())
    }

    fn begin(context: &Context) -> Self {
        Self { ctx: empty(&context.log), random_bytes: 0 }
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        // They take the place of the library's, which are bounded in one call and not in all
        // together.
        linker.allow_shadowing(true);
        random::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        insecure::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        linker.allow_shadowing(false);
        Ok(())
    }
}

/// A WASI context with nothing in it but a way to `log`.
fn empty(log: &GuestLog) -> WasiCtx {
    WasiCtx::builder()
        .stdout(LogLines::new(log.clone(), Level::Info))
        .stderr(LogLines::new(log.clone(), Level::Warn))
        .allow_tcp(false)
        .allow_udp(false)
        .build()
}

impl Host {
    fn random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        let limit = self.context.assignment.limits.wasi.random_bytes;
        let drawn = self.capabilities.wasi.random_bytes.saturating_add(count);
        if drawn > limit {
            return Err(LimitReached::of_bytes("random bytes", limit, "random_bytes").into());
        }
        self.capabilities.wasi.random_bytes = drawn;
        self.hand_over(usize::try_from(count)?)?;
        let mut bytes = vec![0; usize::try_from(count)?];
        getrandom::fill(&mut bytes).map_err(|error| wasmtime::format_err!("no random bytes: {error}"))?;
        Ok(bytes)
    }

    fn random_number(&mut self) -> wasmtime::Result<u64> {
        let mut number = [0; 8];
        number.copy_from_slice(&self.random_bytes(8)?);
        Ok(u64::from_ne_bytes(number))
    }
}

impl random::Host for Host {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure::Host for Host {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(count)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}
