//! The hidden `pattoo-wasm compile`: the child process in which modules are compiled. See [`pattoo_sandbox::serve`].

use std::time::Duration;

use pattoo_sandbox::{CompileLimits, serve};

use super::{Exit, Failure};

/// Arguments of `compile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Seconds of processor time
    time: u64,
    /// Bytes of address space
    memory: u64,
    /// Bytes of memory that it may write to
    data: u64,
    /// Functions that the module may define
    functions: u32,
}

pub(super) fn compile(args: &Args) -> Result<Exit, Failure> {
    let limits = CompileLimits {
        time: Duration::from_secs(args.time),
        memory: args.memory,
        functions: args.functions,
        ..CompileLimits::default()
    };
    serve(limits, args.data).map_err(|error| Failure::fault(format!("the compiler ended: {error}")))?;
    Ok(Exit::Good)
}
