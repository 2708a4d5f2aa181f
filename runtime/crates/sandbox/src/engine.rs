//! The engine: how wasmtime is set up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use pattoo_base::invariant::Invariant as _;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, RegallocAlgorithm, component::Linker,
};

use super::{Cache, Compiler, Memory, collection::Cell, processor_shares::Shares};
use crate::capability;

/// How often guest code is made to yield.
const EPOCH: Duration = Duration::from_millis(10);
/// The stack of a guest. What recurses deeper traps.
pub(super) const WASM_STACK: usize = 512 << 10;
/// The stack on which a guest and the host functions it calls run.
const ASYNC_STACK: usize = 2 << 20;
/// Core instances, memories and tables that one component may have, each. Components made by language toolchains are
/// composed of several core modules; Python's are of about twenty.
const CORE_PER_COMPONENT: u32 = 50;
/// How many bytes of a memory and of a table stay with the pool when an instance ends. The engine writes over them what a fresh
/// instance has; giving pages back and faulting them in again takes longer than that, as long as they are few. Where the kernel can tell
/// which pages were written (Linux 6.7) they are these, and else the first ones.
const KEPT_MEMORY: usize = 64 << 10;
const KEPT_TABLE: usize = 16 << 10;

/// How many collectors may be tried at the same time beside those that collect: as many that are quick and as many that are not.
pub const TRIALS: usize = 4;

/// Everything that collectors share: the compiler and runtime, the capabilities, and the ticking epoch.
///
/// One per process. Dropping it ends the epoch's thread.
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) compiler: Compiler,
    pub(super) cache: Option<Cache>,
    pub(super) linker: Linker<Cell>,
    pub(super) memory: Memory,
    pub(super) shares: Shares,
    _ticker: Ticker,
}

/// The machine cannot run the engine as it is set up.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine does not start: {0}")]
pub struct EngineError(String);

impl Sandbox {
    /// Starts an engine that can run `concurrent` collections at the same time, and a few trials beside them. Modules are compiled by `compiler`, and their
    /// compiled form is kept in `cache`, if there is one.
    ///
    /// # Errors
    ///
    /// When the machine does not offer what the engine needs, such as address space: 4 GiB of it, reserved and not used,
    /// for each memory of each concurrent collection.
    pub fn new(concurrent: u32, compiler: Compiler, cache: Option<Cache>) -> Result<Self, EngineError> {
        let explain = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let engine = Engine::new(&config(concurrent)).map_err(explain)?;
        let mut linker = Linker::new(&engine);
        capability::add_to_linker::<Cell>(&mut linker).map_err(explain)?;
        let memory = Memory::new();
        let ticker = Ticker::start(engine.clone(), memory.clone()).map_err(|error| EngineError(error.to_string()))?;
        Ok(Self { engine, compiler, cache, linker, memory, shares: Shares::new(), _ticker: ticker })
    }

    /// The same, with room for modules that are tried beside collections, as a daemon does.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_trials(concurrent: u32, compiler: Compiler, cache: Option<Cache>) -> Result<Self, EngineError> {
        let trials = u32::try_from(TRIALS.saturating_mul(2)).or_broken("there are few trials", 0);
        Self::new(concurrent.saturating_add(trials), compiler, cache)
    }

    /// The memory of all its collections.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

fn config(concurrent: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrent)
        .total_core_instances(concurrent.saturating_mul(CORE_PER_COMPONENT))
        .total_memories(concurrent.saturating_mul(2))
        .total_tables(concurrent.saturating_mul(CORE_PER_COMPONENT))
        .total_stacks(concurrent)
        .max_core_instances_per_component(CORE_PER_COMPONENT)
        .max_memories_per_component(2)
        .max_tables_per_component(CORE_PER_COMPONENT)
        .max_memories_per_module(1)
        .max_tables_per_module(CORE_PER_COMPONENT)
        // A component's size is bounded by the module that it came from.
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20)
        .table_elements(100_000)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .pagemap_scan(Enabled::Auto);
    let mut config = compiler_config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The settings that decide what compiled code looks like: those of the engine that compiles and of the one that runs.
pub(super) fn compiler_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(10))
        // What copies between the parts of a composed component, such as JavaScript's, sees the memories of both. How many a
        // collector has of its own the pool bounds.
        .wasm_multi_memory(true)
        // What no collector needs: tables for foreign unwinders, a twentieth of the compiled form; and these proposals.
        .native_unwind_info(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false);
    config
}

/// The thread that advances the epoch while the engine lives, and looks at the memory of all collections as often.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine, memory: Memory) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("epoch".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::park_timeout(EPOCH);
                engine.increment_epoch();
                memory.look();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread does nothing that could panic; there is nothing to learn from its end.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Compiler, Sandbox};
    use crate::capability::{interfaces, our_interfaces};

    /// The version of WASI that the library links; what was made for any other 0.2 finds it.
    const WASI: &str = "0.2.12";

    #[test]
    fn what_is_listed_is_linked_and_nothing_else_of_wasi() {
        let sandbox = Sandbox::new(1, Compiler::unbounded(), None).unwrap();
        // What is there cannot be defined once more.
        let is_linked = |name: &str| {
            let mut linker = sandbox.linker.clone();
            linker.root().func_new(name, |_, _, _, _| Ok(())).is_err()
        };
        for interface in interfaces() {
            let name = interface.linked_name(WASI);
            assert!(is_linked(&name), "{name} is listed and not linked");
        }
        // All else that WASI 0.2 has.
        for name in ["wasi:cli/run", "wasi:clocks/timezone", "wasi:http/incoming-handler", "wasi:cli/command"] {
            assert!(!is_linked(&format!("{name}@{WASI}")), "{name} is linked and not listed");
        }
    }

    #[test]
    fn what_is_listed_of_ours_is_the_contract() {
        let mut contract = BTreeSet::new();
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../wit")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names = text.lines().filter_map(|line| line.strip_prefix("interface ")?.strip_suffix(" {"));
            contract.extend(names.map(|name| format!("pattoo:agent/{name}@0.1.0")));
        }
        assert_eq!(our_interfaces().collect::<BTreeSet<_>>(), contract);
    }
}
