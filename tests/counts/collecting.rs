//! What is counted: collections, and what they are made of.

use std::{path::Path, sync::Arc, time::Duration};

use pattoo_tests::{agent, binary, ungranted};
use pattoo_wasm::{
    capability::{Assignment, Limits},
    pattoo::{Body, Candidate, Value},
    sandbox::{Collector, CompileLimits, Compiler, Ending, Module, Sandbox},
};
use tokio::runtime::Runtime;

use super::{NOW, allocator::counted};

/// Where collections run, one at a time and on this thread.
pub(crate) struct Collecting {
    pub(crate) tokio: Runtime,
    sandbox: Sandbox,
}

impl Collecting {
    pub(crate) fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sandbox = Sandbox::new(1, Compiler::new(binary(), CompileLimits::default()), None).unwrap();
        Self { tokio, sandbox }
    }

    /// Compiles a module in the text format.
    pub(crate) fn load(&self, text: String) -> Collector {
        self.sandbox.load(&Module::from_bytes(Path::new("module.wat"), text.into_bytes()).unwrap()).unwrap()
    }

    /// One collection, which ends well; its body, if it emitted anything.
    pub(crate) fn collect(&self, collector: &Collector, assignment: &Arc<Assignment>) -> Option<Body> {
        let outcome = self.tokio.block_on(self.sandbox.collect(collector, Arc::clone(assignment)));
        assert!(matches!(outcome.ending, Ending::Completed), "{:?}", outcome.ending);
        outcome.emission.batch.into_body(NOW)
    }

    /// How often the second collection of a module asks for memory.
    pub(crate) fn allocations(&self, text: String, assignment: &Arc<Assignment>) -> u64 {
        let collector = self.load(text);
        self.collect(&collector, assignment);
        counted(|| self.collect(&collector, assignment)).1
    }
}

/// What a collector is that is granted nothing, and may take its time.
pub(crate) fn granted_nothing() -> Arc<Assignment> {
    let limits = Limits { timeout: Duration::from_mins(1), ..Limits::default() };
    Arc::new(Assignment { limits, ..ungranted(agent("modbus_registers")) })
}

/// Registers of these numbers.
pub(crate) fn candidates(numbers: std::ops::Range<i64>) -> Vec<Candidate> {
    let candidate = |number: i64| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number * 7919 % 65536),
        timestamp: None,
        metadata: Vec::new(),
    };
    numbers.map(candidate).collect()
}
