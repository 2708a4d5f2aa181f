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
use crate::{address_space, capability};

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

/// The address space that stays free for everything but collections, in bytes.
const SPARE: usize = 1 << 30;
/// The address space that a collection takes where none is reserved for it, in bytes: twice the usual limit of its memory.
const UNRESERVED: u64 = 128 << 20;
/// Where none is reserved: by how much more than it asks for a memory grows at a time, and how much behind it is not accessible, in
/// bytes.
const GROWTH: u64 = 1 << 20;
const GUARD: u64 = 64 << 10;

/// How many collectors may be tried at the same time beside those that collect: as many that are quick and as many that are not.
pub const TRIALS: usize = 4;

/// How the memories of collections lie in the address space. Code that was compiled for one layout is not used with the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLayout {
    /// Each has 4 GiB reserved, so that no access has to be checked: what lies outside it is not accessible.
    Reserved,
    /// Each has what it needs, and every access is checked.
    Checked,
}

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
    configured: u32,
    concurrent: u32,
    _ticker: Ticker,
}

/// The machine cannot run the engine as it is set up.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine does not start: {0}")]
pub struct EngineError(String);

impl Sandbox {
    /// Starts an engine that can run `concurrent` collections at the same time, or [fewer](Self::concurrent). Modules are compiled by
    /// `compiler`, and their compiled form is kept in `cache`, if there is one.
    ///
    /// # Errors
    ///
    /// When the machine does not offer what the engine needs.
    pub fn new(concurrent: u32, compiler: Compiler, cache: Option<Cache>) -> Result<Self, EngineError> {
        Self::beside(0, concurrent, compiler, cache)
    }

    /// The same, with slots for so many trials.
    fn beside(trials: u32, configured: u32, compiler: Compiler, cache: Option<Cache>) -> Result<Self, EngineError> {
        let explain = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let (engine, concurrent, layout) = start(configured, trials).map_err(explain)?;
        let compiler = compiler.with_layout(layout);
        let mut linker = Linker::new(&engine);
        capability::add_to_linker::<Cell>(&mut linker).map_err(explain)?;
        let memory = Memory::new();
        let ticker = Ticker::start(engine.clone(), memory.clone()).map_err(|error| EngineError(error.to_string()))?;
        let shares = Shares::new();
        Ok(Self { engine, compiler, cache, linker, memory, shares, configured, concurrent, _ticker: ticker })
    }

    /// The same, with room for modules that are tried beside collections, as a daemon does.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_trials(concurrent: u32, compiler: Compiler, cache: Option<Cache>) -> Result<Self, EngineError> {
        let trials = u32::try_from(TRIALS.saturating_mul(2)).or_broken("there are few trials", 0);
        Self::beside(trials, concurrent, compiler, cache)
    }

    /// How many collections can run at the same time: fewer than configured where the address space is small.
    pub fn concurrent(&self) -> u32 {
        self.concurrent
    }

    /// What to tell an operator of a process with little address space.
    pub fn shortage(&self) -> Option<String> {
        let checked = match self.compiler.layout() {
            MemoryLayout::Reserved => "",
            MemoryLayout::Checked => ", and each access to their memory is checked, which is slower",
        };
        let (concurrent, configured) = (self.concurrent, self.configured);
        (concurrent < configured || !checked.is_empty()).then(|| {
            format!(
                "{concurrent} collections at a time of {configured} configured{checked}: the address space allows for no more"
            )
        })
    }

    /// The memory of all its collections.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }
}

/// An engine for so many collections and trials, or for as many as there is address space for; how many collections these are, and
/// how their memories lie.
fn start(configured: u32, trials: u32) -> wasmtime::Result<(Engine, u32, MemoryLayout)> {
    let mut concurrent = configured;
    while concurrent > 0 {
        match Engine::new(&config(concurrent.saturating_add(trials))) {
            Ok(engine) if address_space::has_left(SPARE) => return Ok((engine, concurrent, MemoryLayout::Reserved)),
            Ok(_) => tracing::debug!("{concurrent} collections leave too little address space"),
            Err(error) => tracing::debug!("no engine for {concurrent} collections: {error:#}"),
        }
        concurrent /= 2;
    }
    let engine = Engine::new(&compiler_config(MemoryLayout::Checked))?;
    let fit = address_space::limit().and_then(|bytes| u32::try_from(bytes / UNRESERVED).ok());
    Ok((engine, configured.min(fit.unwrap_or(configured)).max(1), MemoryLayout::Checked))
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
    let mut config = compiler_config(MemoryLayout::Reserved);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// The settings that decide what compiled code looks like: those of the engine that compiles and of the one that runs.
pub(super) fn compiler_config(layout: MemoryLayout) -> Config {
    let mut config = Config::new();
    if layout == MemoryLayout::Checked {
        config
            .memory_reservation(0)
            .memory_reservation_for_growth(GROWTH)
            .memory_guard_size(GUARD)
            .guard_before_linear_memory(false);
    }
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
    fn as_many_collections_as_the_address_space_has_room_for() {
        // 128 TiB, the most that a processor has without larger pages, are room for some 16 000.
        let sandbox = Sandbox::new(1 << 17, Compiler::unbounded(), None).unwrap();
        assert!((1_000..1 << 15).contains(&sandbox.concurrent()), "{}", sandbox.concurrent());
        let shortage = sandbox.shortage().unwrap();
        assert!(shortage.contains("collections at a time of 131072 configured: the address space"), "{shortage}");
        let enough = Sandbox::new(2, Compiler::unbounded(), None).unwrap();
        assert_eq!((enough.concurrent(), enough.shortage()), (2, None));
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
