//! What the runtime costs, in figures, for `cargo xtask bench`: each as a line of JSON on standard output.
//!
//! A file for each name that can be asked for. How figures are sampled and said is in `pattoo_tests`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark may fail as a test may, and its counts and times are small numbers"
)]

mod asked;
mod boundary;
mod cycle;
mod encode;
mod guests;
mod scale;
mod spool;
mod startup;

use std::{path::Path, sync::Arc, time::Duration};

use pattoo_tests::{agent, binary, ungranted};
use pattoo_wasm::{
    capability::{Assignment, Limits},
    pattoo::Body,
    sandbox::{Collector, CompileLimits, Compiler, Ending, Module, Sandbox},
};
use tokio::runtime::Runtime;

fn main() {
    for name in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match name.as_str() {
            "encode" => encode::figures(),
            "cycle" => cycle::figures(),
            "boundary" => boundary::figures(),
            "spool" => spool::figures(),
            "startup" => startup::figures(),
            "guests" => guests::figures(),
            "scale" => scale::figures(&[10_000]),
            "curve" => scale::figures(&[10, 100, 1000, 10_000, 30_000]),
            other => match other.strip_prefix("guests/") {
                Some(language) => guests::figures_of(language),
                None => panic!("there are no figures of the name {other}"),
            },
        }
    }
}

/// Where collections run, one at a time and on this thread.
struct Bench {
    tokio: Runtime,
    sandbox: Sandbox,
}

impl Bench {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sandbox = Sandbox::new(1, Compiler::new(binary(), CompileLimits::default()), None).unwrap();
        Self { tokio, sandbox }
    }

    /// Compiles a module in the text format, of whatever length.
    fn load(&self, text: &str) -> Collector {
        let binary = wat::parse_str(text).unwrap();
        self.sandbox.load(&Module::from_bytes(Path::new("module.wasm"), binary).unwrap()).unwrap()
    }

    /// One collection, which ends well; its body, if it emitted anything.
    fn collect(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Option<Body> {
        let outcome = self.tokio.block_on(self.sandbox.collect(collector, Arc::clone(assignment)));
        assert!(matches!(outcome.ending, Ending::Completed), "{:?}", outcome.ending);
        outcome.emission.batch.into_body(1_700_000_000_000)
    }
}

/// What a collector is that is granted nothing, and may take its time.
fn assignment() -> Arc<Assignment> {
    let limits = Limits { timeout: Duration::from_mins(1), ..Limits::default() };
    Arc::new(Assignment { limits, ..ungranted(agent("modbus_registers")) })
}
