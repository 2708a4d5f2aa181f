//! Collections without the command, one at a time and on one thread: for what is counted, and what is measured.

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use pattoo_measurement::{Body, Candidate, Value};
use pattoo_sandbox::{
    Collector, CompileLimits, Compiler, Ending, Module, Outcome, Sandbox,
    capability::{Assignment, Limits},
};
use tokio::runtime::Runtime;

use crate::{agent, binary};

/// When every body is made, in Unix milliseconds.
pub const NOW: u64 = 1_700_000_000_000;

/// Where collections run, one at a time and on this thread.
pub struct Collecting {
    /// The runtime, for what else is asked.
    pub tokio: Runtime,
    sandbox: Sandbox,
}

impl Collecting {
    /// A sandbox of its own, without a cache.
    #[expect(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        Self::with(Compiler::new(binary(), CompileLimits::default()))
    }

    /// The same, which compiles in this process: for a processor that is emulated, and has less than the real one.
    pub fn compiling_here() -> Self {
        Self::with(Compiler::unbounded())
    }

    fn with(compiler: Compiler) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { tokio, sandbox: Sandbox::new(1, compiler, None).expect("the engine starts") }
    }

    /// Compiles a module in the text format, of whatever length.
    pub fn load(&self, text: &str) -> Collector {
        let module = wat::parse_str(text).expect("a module in the text format");
        let module = Module::from_bytes(Path::new("module.wasm"), module).expect("WebAssembly");
        self.sandbox.load(&module).expect("a collector")
    }

    /// One collection, however it ends, to be waited for.
    pub async fn collection(&self, collector: &Collector, assignment: Arc<Assignment>) -> Outcome {
        self.sandbox.collect(collector, assignment).await
    }

    /// One collection, however it ends.
    pub fn outcome(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Outcome {
        self.tokio.block_on(self.sandbox.collect(collector, Arc::clone(assignment)))
    }

    /// One collection, which ends well; its body, if it emitted anything.
    pub fn collect(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Option<Body> {
        let outcome = self.outcome(collector, assignment);
        assert!(matches!(outcome.ending, Ending::Completed), "{:?}", outcome.ending);
        outcome.emission.batch.into_body(NOW)
    }
}

/// The limits of a collection that may take its time.
pub fn unhurried() -> Limits {
    Limits { timeout: Duration::from_mins(1), ..Limits::default() }
}

/// What a collector is that is granted nothing, and may take its time.
pub fn granted_nothing() -> Arc<Assignment> {
    let assignment = Assignment::builder(agent("modbus_registers")).limits(unhurried()).build();
    Arc::new(assignment.expect("nothing to refuse"))
}

/// Registers of these numbers.
pub fn candidates(numbers: Range<i64>) -> Vec<Candidate> {
    let candidate = |number: i64| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number.wrapping_mul(7919) & 0xffff),
        timestamp: None,
        metadata: Vec::new(),
    };
    numbers.map(candidate).collect()
}
