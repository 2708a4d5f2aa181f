//! Every host function, called with the largest arguments that a guest can make: how much memory
//! the host holds for it, and how many instructions it takes.
//!
//! What the calls are is in [`pattoo_tests::worst_calls`].

use std::{
    cell::RefCell,
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pattoo_sandbox::{Outcome, capability::CollectionLimits, state_store::StateStore};
use pattoo_tests::{
    Collecting, agent, assignment_without_grants,
    worst_calls::{Case, LARGEST, cases, idle as idle_guest},
};

use super::{
    allocator::{counted, held},
    instructions::instructions_of,
};

/// How often each call is made.
const TIMES: usize = 40;

/// How many handles of `wasi:http` may be open.
const HANDLES: usize = 128;

/// Guests that make requests and fields, and hold them: with the longest texts that are taken, and
/// with longer ones.
fn handles() -> Vec<(&'static str, usize, String)> {
    let calls = [
        ("path", "(call $path (local.get $r) (i32.const 1) (i32.const 65536) (i32.const SIZE))"),
        ("authority", "(call $authority (local.get $r) (i32.const 1) (i32.const 65537) (i32.const SIZE))"),
        ("method", "(call $method (local.get $r) (i32.const 9) (i32.const 65537) (i32.const SIZE))"),
        ("scheme", "(call $scheme (local.get $r) (i32.const 1) (i32.const 2) (i32.const 65537) (i32.const SIZE))"),
        ("body", "(call $body (local.get $r) (i32.const 1024)) (i32.const 0)"),
        (
            "append",
            "(call $append (call $fields) (i32.const 65537) (i32.const 3) (i32.const 65540) (i32.const SIZE) (i32.const 1024)) (i32.const 0)",
        ),
        (
            "from-list",
            "(i32.store (i32.const 128) (i32.const 65537)) (i32.store (i32.const 132) (i32.const 1)) (i32.store (i32.const 136) (i32.const 65540))
             (i32.store (i32.const 140) (i32.const SIZE)) (call $from-list (i32.const 128) (i32.const 1) (i32.const 1024)) (i32.const 0)",
        ),
        (
            "clone",
            "(local.set $f (call $fields)) (call $append (local.get $f) (i32.const 65537) (i32.const 3) (i32.const 65540) (i32.const SIZE)
             (i32.const 1024)) (drop (call $clone (local.get $f))) (i32.const 0)",
        ),
        (
            "request",
            "(local.set $f (call $fields)) (call $append (local.get $f) (i32.const 65537) (i32.const 3) (i32.const 65540) (i32.const SIZE)
             (i32.const 1024)) (drop (call $request (local.get $f))) (i32.const 0)",
        ),
    ];
    let template = include_str!("handles.wat");
    calls
        .iter()
        .flat_map(|(name, call)| {
            [8_000, 60, LARGEST].map(|size| {
                let guest = template.replace("CALL", call).replace("SIZE", &size.to_string());
                (*name, size, guest.replace("COUNT", &(HANDLES / 3 - 10).to_string()))
            })
        })
        .collect()
}

thread_local! {
    /// How much the thread held at each log line of the guest.
    static SEEN: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

/// Records how much is held when a guest logs.
struct Watch;

impl tracing::Subscriber for Watch {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "guest"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if *event.metadata().level() == tracing::Level::INFO {
            SEEN.with_borrow_mut(|seen| seen.push(held()));
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What a collection of this guest came to, how much was held after its last call, and at the peak
/// of any.
fn run(collecting: &Collecting, guest: &str, state: &StateStore) -> (Outcome, i64, i64) {
    // What handles that are not there count would hide what is there.
    let limits =
        CollectionLimits { timeout: Duration::from_mins(5), resources: HANDLES, ..CollectionLimits::default() };
    let assignment =
        Arc::new(assignment_without_grants(agent("WORST_CALLS")).limits(limits).state(state.clone()).build().unwrap());
    let collector = collecting.load(guest);
    SEEN.with_borrow_mut(|seen| {
        seen.clear();
        seen.reserve(10_000);
    });
    let before = held();
    let (outcome, _, peak) =
        tracing::subscriber::with_default(Watch, || counted(|| collecting.outcome(&collector, &assignment)));
    let after = SEEN.with_borrow(|seen| seen.last().copied().unwrap_or(before) - before);
    (outcome, after, peak)
}

/// The memory that the engine and the host need for a collection that does nothing.
fn idle(collecting: &Collecting, state: &StateStore) -> i64 {
    run(collecting, &idle_guest(), state).1
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap()
}

#[test]
fn host_memory_held_for_a_collector_is_accounted() {
    const SLACK: i64 = 64 << 10;
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::at(&folder.path().join("state.sqlite3"));
    let collecting = Collecting::new();
    let idle = idle(&collecting, &state);
    let mut faults = Vec::new();
    let guests = cases().into_iter().flat_map(|case| {
        let sizes = [case.largest, case.largest / 3, 1];
        sizes.map(|size| (case.name, size, case.guest(size.max(case.item), TIMES)))
    });
    for (name, size, guest) in guests.chain(handles()) {
        let (outcome, after, peak) = run(&collecting, &guest, &state);
        let account = outcome.host_memory;
        let handed_over = signed(CollectionLimits::default().call_bytes);
        if after > idle + signed(account.held) + SLACK {
            faults.push(format!("{name} of {size}: {after} held after the call, {account:?}, idle {idle}"));
        }
        if peak > idle + signed(account.peak) + handed_over + SLACK {
            faults.push(format!("{name} of {size}: {peak} held within a call, {account:?}, idle {idle}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Instructions beyond those of a guest that does nothing: what they are for less is constant, such
/// as setting up a function.
const CONSTANT: u64 = 5_000_000;

/// What is wrong with a case, if anything.
fn fault(case: &Case, idle: u64) -> Option<String> {
    let largest = case.largest.min(100_000);
    let of = |size: usize| instructions_of("worst_calls::one_case", &format!("{},{size}", case.name));
    let (half, whole) = (of(largest / 2)?.saturating_sub(idle), of(largest)?.saturating_sub(idle));
    let each = whole.saturating_sub(half) / (largest / 2) as u64;
    if whole > (half.saturating_mul(22) / 10).saturating_add(CONSTANT) {
        return Some(format!("{}: {half} instructions for {}, {whole} for twice that", case.name, largest / 2));
    }
    (each > case.bound)
        .then(|| format!("{}: {each} instructions for each byte, {} are the bound", case.name, case.bound))
}

#[test]
fn host_functions_take_instructions_in_proportion_to_their_arguments() {
    let Some(idle) = instructions_of("worst_calls::one_case", "idle,1") else { return };
    // The four ways to read one table are one function.
    let cases: Vec<Case> =
        cases().into_iter().filter(|case| !case.name.starts_with("read-") || case.name == "read-many").collect();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    faults.lock().unwrap().extend(fault(case, idle));
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The work that is counted: one call of a case.
#[test]
#[ignore = "is started where it is counted"]
fn one_case() {
    let counted = env::var("PATTOO_COUNTED").unwrap();
    let (name, size) = counted.split_once(',').unwrap();
    let case = cases().into_iter().find(|case| case.name == name);
    let guest = case.map_or_else(idle_guest, |case| case.guest(size.parse().unwrap(), 1));
    run(&Collecting::compiling_here(), &guest, &StateStore::forgetful());
}
