//! The hidden `pattoo-wasm compile`: the child process in which modules are compiled. See
//! [`pattoo_sandbox::serve`].

use std::time::Duration;

use pattoo_sandbox::{CompileLimits, MemoryLayout, serve};

use super::{Exit, Failure};

/// Arguments of `compile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Limit processor time to this many seconds
    time: u64,
    /// Limit address space to this many bytes
    memory: u64,
    /// Limit writable memory to this many bytes
    data: u64,
    /// Limit the functions that the module defines
    functions: u32,
    /// Check each access to memory
    #[arg(long)]
    checked: bool,
}

pub(super) fn compile(args: &Args) -> Result<Exit, Failure> {
    let limits = CompileLimits {
        time: Duration::from_secs(args.time),
        memory: args.memory,
        functions: args.functions,
        ..CompileLimits::default()
    };
    let layout = if args.checked { MemoryLayout::Checked } else { MemoryLayout::Reserved };
    serve(limits, args.data, layout).map_err(|error| Failure::internal(format!("the compiler failed: {error}")))?;
    Ok(Exit::Success)
}
