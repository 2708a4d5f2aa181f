//! Collections without the command, one at a time and on one thread, for counts and measurements.

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use pattoo_measurement::{Candidate, Value};
use pattoo_output::pattoo::{Batch, Body};
use pattoo_sandbox::{
    Collector, CompileLimits, Compiler, Module, Outcome, Sandbox, Termination,
    capability::{Assignment, CollectionLimits},
};
use tokio::runtime::Runtime;

use crate::{agent, assignment_without_grants, binary};

/// The time at which every payload is encoded, in Unix milliseconds.
pub const NOW: u64 = 1_700_000_000_000;

/// Runs collections, one at a time and on this thread.
pub struct Collecting {
    /// The runtime, for other asynchronous work of a test.
    pub tokio: Runtime,
    sandbox: Sandbox,
}

impl Collecting {
    /// A new sandbox without a cache.
    #[expect(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        Self::with(Compiler::new(binary(), CompileLimits::default()))
    }

    /// A new sandbox that compiles in this process, for emulated processors with fewer features
    /// than the real one.
    pub fn compiling_here() -> Self {
        Self::with(Compiler::unbounded())
    }

    fn with(compiler: Compiler) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { tokio, sandbox: Sandbox::new(1, compiler, None).expect("the engine starts") }
    }

    /// Compiles a module in the text format, of any length.
    pub fn load(&self, text: &str) -> Collector {
        let module = wat::parse_str(text).expect("a module in the text format");
        let module = Module::from_bytes(Path::new("module.wasm"), module).expect("WebAssembly");
        self.sandbox.load(&module).expect("a collector")
    }

    /// Runs one collection, asynchronously.
    pub async fn collection(&self, collector: &Collector, assignment: Arc<Assignment>) -> Outcome {
        self.sandbox.collect(collector, assignment).await
    }

    /// Runs one collection to its end.
    pub fn outcome(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Outcome {
        self.tokio.block_on(self.sandbox.collect(collector, Arc::clone(assignment)))
    }

    /// Runs one collection, which must complete, and returns its payload if it emitted anything.
    pub fn collect(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Option<Body> {
        let outcome = self.outcome(collector, assignment);
        assert!(matches!(outcome.ending, Termination::Completed), "{:?}", outcome.ending);
        Batch::of(outcome.emission.sink)?.into_body(NOW)
    }
}

/// The default limits with a long timeout.
pub fn long_timeout() -> CollectionLimits {
    CollectionLimits { timeout: Duration::from_mins(1), ..CollectionLimits::default() }
}

/// An assignment without grants and with a long timeout.
pub fn long_assignment_without_grants() -> Arc<Assignment> {
    let assignment = assignment_without_grants(agent("modbus_registers")).limits(long_timeout()).build();
    Arc::new(assignment.expect("nothing to refuse"))
}

/// Datapoints of registers with these numbers.
pub fn candidates(numbers: Range<i64>) -> Vec<Candidate> {
    let candidate = |number: i64| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number.wrapping_mul(7919) & 0xffff),
        timestamp: None,
        metadata: Vec::new(),
    };
    numbers.map(candidate).collect()
}
