//! Supervision, as claims about collectors that are in trouble and those beside them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use pattoo_measurement::{Agent, AgentId, PollingInterval};
use pattoo_sandbox::{
    CompileLimits, Compiler, Module, Sandbox,
    capability::{Assignment, Limits},
};
use pattoo_tests::{binary, component, emits_and, guest};
use pattoo_wasm::daemon::{Board, Figures, Reason, Skip, Store, Supervisor, Wanted};

const GOOD: &str = r#"(func (export "collect") (result i32) i32.const 0)"#;
const TRAPS: &str = r#"(func (export "collect") (result i32) unreachable)"#;
const SPINS: &str = r#"(func (export "collect") (result i32) (loop br 0) i32.const 0)"#;
const TRAPS_AT_START: &str =
    r#"(func $start unreachable) (start $start) (func (export "collect") (result i32) i32.const 0)"#;

/// A supervisor with a folder for modules and ids.
struct House {
    folder: tempfile::TempDir,
    board: Arc<Board>,
    supervisor: Supervisor,
}

impl House {
    fn new() -> Self {
        Self::storing(Arc::new(|_, _| Box::pin(async { Ok(()) })))
    }

    /// One whose bodies are made durable so.
    fn storing(store: Store) -> Self {
        Self::of(store, 4)
    }

    /// One that has so many collections under way at once.
    fn of(store: Store, concurrent: u32) -> Self {
        let board = Arc::new(Board::default());
        let compiler = Compiler::new(binary(), CompileLimits::default());
        let sandbox = Arc::new(Sandbox::with_trials(concurrent, compiler, None).unwrap());
        let supervisor = Supervisor::new(sandbox, concurrent, Arc::clone(&board), store);
        Self { folder: tempfile::tempdir().unwrap(), board, supervisor }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn module(&self, name: &str, code: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, component(code)).unwrap();
        path
    }

    /// A program that collects every second, for at most `timeout`.
    fn wanted(&self, program: &str, module: &Path, timeout: Duration) -> Wanted {
        let program = program.parse().unwrap();
        let agent = Agent {
            id: AgentId::load_or_create(self.folder.path(), &program).unwrap(),
            program,
            hostname: "gateway-7".parse().unwrap(),
            polling_interval: PollingInterval::from_seconds(1).unwrap(),
        };
        let limits = Limits { timeout, ..Limits::default() };
        let assignment = Assignment::builder(Arc::new(agent)).limits(limits).build().unwrap();
        Wanted {
            module: module.to_owned(),
            pin: None,
            compile: CompileLimits::default(),
            assignment: Arc::new(assignment),
        }
    }

    fn simple(&self, program: &str, code: &str) -> Wanted {
        let module = self.module(&format!("{program}.wat"), code);
        self.wanted(program, &module, Duration::from_secs(10))
    }

    async fn adopt(&mut self, wanted: Vec<Wanted>) {
        self.supervisor.follow(wanted);
        self.until(|house| house.supervisor.pending() == 0).await;
    }

    fn figures(&self, program: &str) -> Figures {
        self.board.ledger(&program.parse().unwrap()).figures()
    }

    /// Lets the supervisor work until `done` says so.
    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        while !done(self) {
            tokio::time::timeout_at(deadline, self.supervisor.step()).await.expect("it happens within a minute");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_in_trouble_touches_no_other() {
    let mut house = House::new();
    let spinning = house.module("spins.wat", SPINS);
    let wanted = vec![
        house.simple("good", GOOD),
        house.simple("traps", TRAPS),
        house.wanted("spins", &spinning, Duration::from_millis(300)),
        house.wanted("gone", &house.path("gone.wasm"), Duration::from_secs(1)),
    ];
    house.adopt(wanted).await;
    house
        .until(|house| {
            house.figures("good").ended() >= 3
                && house.figures("traps").collections(Reason::Trap) >= 2
                && house.figures("spins").collections(Reason::Deadline) >= 2
        })
        .await;
    let good = house.figures("good");
    assert_eq!(good.collections(Reason::Completed), good.ended());
    assert_eq!((good.skipped(Skip::Overrun), good.skipped(Skip::Backoff)), (0, 0));
    let words = |program| house.figures(program).last.unwrap().words;
    assert_eq!(words("good"), "completed, 0 datapoints taken");
    assert!(words("traps").starts_with("the guest trapped: wasm `unreachable`"), "{}", words("traps"));
    assert!(words("spins").contains("deadline of 300ms"), "{}", words("spins"));
    let gone = house.figures("gone");
    assert!(gone.trouble.unwrap().contains("gone.wasm"), "the file is named");
    assert_eq!(gone.sha256, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_keeps_failing_is_let_rest() {
    let mut house = House::new();
    let traps = house.simple("traps", TRAPS);
    house.adopt(vec![traps]).await;
    house.until(|house| house.figures("traps").skipped(Skip::Backoff) >= 1).await;
    assert!(house.figures("traps").ended() >= 2, "the first failure costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overrun_skips_and_is_counted_and_never_runs_twice_at_once() {
    let mut house = House::new();
    let spins = house.module("spins.wat", SPINS);
    let spins = house.wanted("spins", &spins, Duration::from_millis(2_500));
    house.adopt(vec![spins]).await;
    house
        .until(|house| {
            assert!(house.board.under_way() <= 1);
            house.figures("spins").ended() >= 1
        })
        .await;
    assert!(house.figures("spins").skipped(Skip::Overrun) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_does_not_even_start_does_not_replace_one_that_runs() {
    let mut house = House::new();
    let first = house.simple("a", GOOD);
    house.adopt(vec![first]).await;
    let running = house.figures("a").sha256;
    for code in [TRAPS_AT_START, "(func (export \"wrong\"))", "not even text"] {
        let next = house.simple("a", code);
        house.adopt(vec![next]).await;
        let figures = house.figures("a");
        assert_eq!(figures.sha256, running);
        assert!(figures.trouble.unwrap().contains("a.wat"), "{code}");
    }
    let next = house.simple("a", TRAPS);
    house.adopt(vec![next]).await;
    assert_ne!(house.figures("a").sha256, running);
    assert_eq!(house.figures("a").trouble, None);
    assert_eq!(house.figures("a").ended(), 0, "it was tried without being run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_module_is_taken_when_it_comes_and_another_content_never() {
    let mut house = House::new();
    let good = house.module("good.wat", GOOD);
    let mut wanted = house.wanted("a", &house.path("a.wat"), Duration::from_secs(1));
    wanted.pin = Some(Module::read(&good).unwrap().sha256().parse().unwrap());
    house.adopt(vec![wanted]).await;
    assert_eq!(house.figures("a").sha256, None);
    house.module("a.wat", TRAPS);
    house.until(|house| house.figures("a").trouble.is_some_and(|trouble| trouble.contains("`sha256` is"))).await;
    assert_eq!(house.figures("a").sha256, None);
    house.module("a.wat", GOOD);
    house.until(|house| house.figures("a").collections(Reason::Completed) >= 1).await;
    assert_eq!(house.figures("a").trouble, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_not_pinned_changes_only_with_a_reload() {
    let mut house = House::new();
    let wanted = house.simple("a", GOOD);
    house.adopt(vec![wanted.clone()]).await;
    let before = house.figures("a").sha256;
    house.module("a.wat", TRAPS);
    house.until(|house| house.figures("a").ended() >= 3).await;
    assert_eq!(house.figures("a").collections(Reason::Completed), house.figures("a").ended());
    assert_eq!(house.figures("a").sha256, before);
    house.adopt(vec![wanted]).await;
    assert_ne!(house.figures("a").sha256, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_not_pinned_and_was_refused_is_not_taken_by_itself_when_it_changes() {
    let mut house = House::new();
    let wanted = house.simple("a", GOOD);
    house.adopt(vec![wanted.clone()]).await;
    let before = house.figures("a").sha256;
    house.module("a.wat", "not even text");
    house.adopt(vec![wanted.clone()]).await;
    assert!(house.figures("a").trouble.is_some());
    house.module("a.wat", TRAPS);
    // Long enough for it to be looked at.
    house.until(|house| house.figures("a").ended() >= 4).await;
    assert_eq!((house.figures("a").sha256, house.figures("a").trouble.is_some()), (before.clone(), true));
    house.adopt(vec![wanted]).await;
    assert!(house.figures("a").sha256 != before && house.figures("a").trouble.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_wanted_is_no_longer_run_and_what_stays_keeps_its_counts() {
    let mut house = House::new();
    let (a, b) = (house.simple("a", GOOD), house.simple("b", GOOD));
    house.adopt(vec![a.clone(), b]).await;
    house.until(|house| house.figures("a").ended() >= 1 && house.figures("b").ended() >= 1).await;
    let c = house.simple("c", GOOD);
    house.adopt(vec![a, c]).await;
    assert_eq!(house.board.ledgers().iter().map(|(program, _)| program.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(house.figures("a").ended() >= 1);
    house.until(|house| house.figures("c").ended() >= 2).await;
    assert_eq!(house.supervisor.count(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_of_one_content_are_compiled_once() {
    let house = House::new();
    let loader = house.supervisor.loader();
    let prepare = |program: &str, code: &str| loader.prepare(house.simple(program, code));
    let (a, b, c) = tokio::join!(prepare("a", GOOD), prepare("b", GOOD), prepare("c", TRAPS));
    let code = [a, b, c].map(|prepared| prepared.code.unwrap());
    assert!(Arc::ptr_eq(&code[0], &code[1]));
    assert!(!Arc::ptr_eq(&code[0], &code[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_does_not_end_is_stopped_in_time() {
    let mut house = House::new();
    let spins = house.module("spins.wat", SPINS);
    let spins = house.wanted("spins", &spins, Duration::from_mins(10));
    house.adopt(vec![spins]).await;
    house.until(|house| house.board.under_way() == 1).await;
    let began = std::time::Instant::now();
    let board = Arc::clone(&house.board);
    assert_eq!(house.supervisor.finish(Duration::from_millis(200)).await, 1);
    // By itself it ends after ten minutes.
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(board.under_way(), 0);
    let figures = board.ledger(&"spins".parse().unwrap()).figures();
    assert_eq!(figures.collections(Reason::Interrupted), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_stored_is_tried_again_before_it_is_lost() {
    let (attempts, full) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, disk) = (Arc::clone(&attempts), Arc::clone(&full));
    let store: Store = Arc::new(move |_, _| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let stored = if first || disk.load(Ordering::SeqCst) { Err("no space left".to_owned()) } else { Ok(()) };
        Box::pin(async { stored })
    });
    let mut house = House::storing(store);
    let wanted = house.wanted("counter", &guest("counter"), Duration::from_secs(10));
    house.adopt(vec![wanted]).await;
    house.until(|house| house.figures("counter").ended() >= 1).await;
    assert_eq!(house.figures("counter").collections(Reason::Completed), 1, "it was stored the second time");
    assert!(attempts.load(Ordering::SeqCst) >= 2);

    full.store(true, Ordering::SeqCst);
    house.until(|house| house.figures("counter").collections(Reason::NotStored) >= 1).await;
    let words = house.figures("counter").last.unwrap().words;
    assert_eq!(words, "completed, 1 datapoints taken, and lost: no space left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_guests_that_never_end_make_no_good_collection_late() {
    let mut house = House::of(Arc::new(|_, _| Box::pin(async { Ok(()) })), 64);
    let (spins, good) = (house.module("spins.wat", SPINS), house.module("good.wat", GOOD));
    let spinning = |number| house.wanted(&format!("spins-{number}"), &spins, Duration::from_mins(10));
    let mut wanted: Vec<Wanted> = (0..20).map(spinning).collect();
    house.supervisor.follow(wanted.clone());
    house.until(|house| house.board.under_way() == 20).await;
    let programs: Vec<String> = (0..10).map(|number| format!("good-{number}")).collect();
    wanted.extend(programs.iter().map(|program| house.wanted(program, &good, Duration::from_secs(10))));
    house.supervisor.follow(wanted);
    house.until(|house| programs.iter().all(|program| house.figures(program).ended() >= 5)).await;
    // From its time to its end; without shares of the processors it was 60 ms, and 85 ms for the latest.
    let mut delays: Vec<Duration> = programs
        .iter()
        .map(|program| {
            let Figures { tally, .. } = house.figures(program);
            (tally.lateness + tally.duration) / u32::try_from(house.figures(program).ended()).unwrap()
        })
        .collect();
    delays.sort_unstable();
    assert!(delays[5] < Duration::from_millis(20), "{delays:?}");
    assert!(programs.iter().all(|program| house.figures(program).skipped(Skip::Overrun) == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_that_always_take_their_whole_time_leave_half_of_the_collections_to_others() {
    let mut house = House::of(Arc::new(|_, _| Box::pin(async { Ok(()) })), 4);
    let good = house.module("good.wat", GOOD);
    // They bring something, so that none of them is let rest.
    let spins = house.path("spins.wat");
    std::fs::write(&spins, emits_and("(loop br 0) unreachable")).unwrap();
    let mut wanted: Vec<Wanted> =
        (0..12).map(|number| house.wanted(&format!("spins-{number}"), &spins, Duration::from_millis(1_500))).collect();
    house.supervisor.follow(wanted.clone());
    let ended = |house: &House, count| (0..12).all(|number| house.figures(&format!("spins-{number}")).ended() >= count);
    house.until(|house| ended(house, 1)).await;
    // By now it is known that they take long, and most of them wait for their next collection.
    wanted.push(house.wanted("good", &good, Duration::from_secs(10)));
    house.supervisor.follow(wanted);
    house.until(|house| house.figures("good").ended() >= 3).await;
    let lateness = house.figures("good").tally.lateness / 3;
    assert!(lateness < Duration::from_millis(500), "{lateness:?}");
}
