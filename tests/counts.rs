//! What does not depend on the machine: how often memory is asked for, and how much of it is held. A bound that a change breaks is a
//! change for the worse, or a reason to write a new bound and why.
//!
//! All bounds are in [`BOUNDS`].

#![expect(unsafe_code, reason = "an allocator that counts can be written in no other way")]
#![expect(clippy::arithmetic_side_effects, reason = "a test that panics has failed, as it should")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::Path,
    sync::Arc,
    time::Duration,
};

use pattoo_tests::{agent, binary, emitter::emitter, ungranted};
use pattoo_wasm::{
    capability::{Assignment, Limits},
    pattoo::{Batch, Candidate, DEFAULT_FUTURE_BOUND, Memory, Value},
    sandbox::{CompileLimits, Compiler, Ending, Module, Sandbox},
};

const NOW: u64 = 1_700_000_000_000;

/// The most that each may be, a little above what it is.
struct Bounds {
    /// Allocations for a body of 1 000 datapoints that were never seen: the tables grow, and nothing is made for each datapoint.
    never_seen: u64,
    /// The same when they were seen in the last collection.
    seen: u64,
    /// Bytes held at most while a body of 50 000 datapoints is made, for each byte of it: lists grow by a quarter, what is remembered
    /// and the tables are half of it, and the datapoints of the call under way are a tenth.
    held: f64,
    /// Allocations for a whole collection of ten datapoints, the sandbox and WASI included.
    collection: u64,
    /// Allocations for each datapoint in one call: its key is copied out of the guest's memory.
    datapoint: u64,
}

const BOUNDS: Bounds = Bounds { never_seen: 90, seen: 40, held: 2.1, collection: 100, datapoint: 1 };

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, and what each thread asked of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn count(asked: usize, given_back: usize) {
        let change = i64::try_from(asked).unwrap_or(0).saturating_sub(i64::try_from(given_back).unwrap_or(0));
        // Gone while a thread ends; nobody asks then.
        let _ = HELD.try_with(|held| {
            held.set(held.get().saturating_add(change));
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
        });
        if asked > 0 {
            let _ = COUNT.try_with(|count| count.set(count.get().saturating_add(1)));
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size(), 0);
        // SAFETY: as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size(), 0);
        // SAFETY: as it came.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::count(0, layout.size());
        // SAFETY: as it came.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size, layout.size());
        // SAFETY: as it came.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread asks for memory meanwhile, and how much more it holds at most.
fn counted<T>(work: impl FnOnce() -> T) -> (T, u64, i64) {
    let (count, held) = (COUNT.get(), HELD.get());
    PEAK.set(held);
    let result = work();
    (result, COUNT.get() - count, PEAK.get() - held)
}

fn candidates(numbers: std::ops::Range<i64>) -> Vec<Candidate> {
    let candidate = |number: i64| Candidate {
        key: format!("holding_register_{number}"),
        value: Value::Integer(number * 7919 % 65536),
        timestamp: None,
        metadata: Vec::new(),
    };
    numbers.map(candidate).collect()
}

#[test]
fn a_datapoint_costs_no_allocation_of_its_own() {
    let memory = Memory::default();
    let collect = || {
        let (agent, candidates) = (agent("modbus_registers"), candidates(0..1000));
        let body = || {
            let mut batch = Batch::remembering(agent, DEFAULT_FUTURE_BOUND, memory.clone());
            batch.emit("plc1", candidates, NOW).unwrap();
            batch.into_body(NOW).unwrap()
        };
        counted(body).1
    };
    let (never_seen, seen) = (collect(), collect());
    assert!(never_seen <= BOUNDS.never_seen && seen <= BOUNDS.seen, "{never_seen} allocations, then {seen}");
}

#[test]
fn a_large_body_is_made_in_twice_its_size() {
    let memory = Memory::default();
    for what in ["never seen", "seen in the last collection"] {
        let mut batch = Batch::remembering(agent("modbus_registers"), DEFAULT_FUTURE_BOUND, memory.clone());
        let before = HELD.get();
        let mut peak = 0;
        for first in (0..50_000).step_by(10_000) {
            // What a guest hands over counts as well, a call at a time.
            let candidates = candidates(first..first + 10_000);
            let held = HELD.get() - before;
            let ((), _, more) = counted(|| assert!(batch.emit("plc1", candidates, NOW).unwrap().is_empty()));
            peak = peak.max(held + more);
        }
        let ours = HELD.get() - before;
        let (body, _, more) = counted(|| batch.into_body(NOW).unwrap());
        peak = peak.max(ours + more);
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = peak as f64 / body.json().len() as f64;
        assert!(ratio <= BOUNDS.held, "{what}: {ratio:.2} bytes for each of the body's {}", body.json().len());
    }
}

#[test]
fn a_collection_asks_for_memory_only_so_often() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sandbox = Sandbox::new(1, Compiler::new(binary(), CompileLimits::default()), None).unwrap();
    let limits = Limits { timeout: Duration::from_mins(1), ..Limits::default() };
    let assignment = Arc::new(Assignment { limits, ..ungranted(agent("modbus_registers")) });
    let allocations = |points: usize| {
        let text = emitter(points, 1, 0).into_bytes();
        let collector = sandbox.load(&Module::from_bytes(Path::new("emitter.wat"), text).unwrap()).unwrap();
        let collect = || {
            let outcome = tokio.block_on(sandbox.collect(&collector, Arc::clone(&assignment)));
            assert!(matches!(outcome.ending, Ending::Completed), "{:?}", outcome.ending);
            outcome.emission.batch.into_body(NOW).unwrap()
        };
        collect();
        counted(collect).1
    };
    let (ten, thousand) = (allocations(10), allocations(1010));
    assert!(ten <= BOUNDS.collection, "{ten} allocations for a collection of ten datapoints");
    let each = (thousand - ten) / 1000;
    assert!(each <= BOUNDS.datapoint, "{each} allocations for each datapoint of a call");
}
