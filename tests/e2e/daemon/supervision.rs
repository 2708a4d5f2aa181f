//! The supervisor: failing collectors, the collectors beside them, reloads and pinned modules.
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
use pattoo_output::{Encodings, NamedOutput, Output, pattoo};
use pattoo_sandbox::{CompileLimits, Compiler, Module, Sandbox, capability::CollectionLimits};
use pattoo_tests::{assignment_without_grants, binary, component, emits_and, guest};
use pattoo_wasm::daemon::{
    DaemonStatus, DesiredCollector, SkipReason, StatsSnapshot, StorePayloads, Supervisor, TerminationReason,
};

const GOOD: &str = r#"(func (export "collect") (result i32) i32.const 0)"#;
const TRAPS: &str = r#"(func (export "collect") (result i32) unreachable)"#;
const SPINS: &str = r#"(func (export "collect") (result i32) (loop br 0) i32.const 0)"#;
const TRAPS_AT_START: &str =
    r#"(func $start unreachable) (start $start) (func (export "collect") (result i32) i32.const 0)"#;

/// A supervisor with a folder for modules and ids.
struct Fixture {
    folder: tempfile::TempDir,
    status: Arc<DaemonStatus>,
    supervisor: Supervisor,
}

/// Encodes datapoints for a pattoo server.
fn encodings() -> Arc<Encodings> {
    let server = pattoo::Settings::new("http://127.0.0.1:20201".parse().unwrap());
    let output = NamedOutput { name: "pattoo".parse().unwrap(), output: Output::Pattoo(server) };
    Arc::new(Encodings::new(&[output]))
}

impl Fixture {
    fn new() -> Self {
        Self::storing(Arc::new(|_| Box::pin(async { Ok(()) })))
    }

    /// A supervisor that stores payloads with `store`.
    fn storing(store: StorePayloads) -> Self {
        Self::of(store, 4)
    }

    /// A supervisor with this many concurrent collections.
    fn of(store: StorePayloads, concurrent: u32) -> Self {
        let status = Arc::new(DaemonStatus::default());
        let compiler = Compiler::new(binary(), CompileLimits::default());
        let sandbox = Arc::new(Sandbox::with_trials(concurrent, compiler, None).unwrap());
        let supervisor = Supervisor::new(sandbox, Arc::clone(&status), store);
        Self { folder: tempfile::tempdir().unwrap(), status, supervisor }
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
    fn wanted(&self, program: &str, module: &Path, timeout: Duration) -> DesiredCollector {
        let program = program.parse().unwrap();
        let agent = Agent {
            id: AgentId::load_or_create(self.folder.path(), &program).unwrap(),
            program,
            hostname: "gateway-7".parse().unwrap(),
            polling_interval: PollingInterval::from_seconds(1).unwrap(),
        };
        let limits = CollectionLimits { timeout, ..CollectionLimits::default() };
        let assignment = assignment_without_grants(Arc::new(agent)).sinks(encodings()).limits(limits).build().unwrap();
        DesiredCollector {
            module: module.to_owned(),
            pin: None,
            compile: CompileLimits::default(),
            assignment: Arc::new(assignment),
            log: Arc::default(),
        }
    }

    fn simple(&self, program: &str, code: &str) -> DesiredCollector {
        let module = self.module(&format!("{program}.wat"), code);
        self.wanted(program, &module, Duration::from_secs(10))
    }

    async fn adopt(&mut self, wanted: Vec<DesiredCollector>) {
        self.supervisor.follow(wanted);
        self.until(|fixture| fixture.supervisor.pending() == 0).await;
    }

    fn stats(&self, program: &str) -> StatsSnapshot {
        self.status.collector(&program.parse().unwrap()).snapshot()
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
async fn failing_collector_does_not_affect_others() {
    let mut fixture = Fixture::new();
    let spinning = fixture.module("spins.wat", SPINS);
    let wanted = vec![
        fixture.simple("good", GOOD),
        fixture.simple("traps", TRAPS),
        fixture.wanted("spins", &spinning, Duration::from_millis(300)),
        fixture.wanted("gone", &fixture.path("gone.wasm"), Duration::from_secs(1)),
    ];
    fixture.adopt(wanted).await;
    fixture
        .until(|fixture| {
            fixture.stats("good").ended() >= 3
                && fixture.stats("traps").collections(TerminationReason::Trap) >= 2
                && fixture.stats("spins").collections(TerminationReason::Deadline) >= 2
        })
        .await;
    let good = fixture.stats("good");
    assert_eq!(good.collections(TerminationReason::Completed), good.ended());
    assert_eq!((good.skipped(SkipReason::Overrun), good.skipped(SkipReason::Backoff)), (0, 0));
    let words = |program| fixture.stats(program).last.unwrap().message;
    assert_eq!(words("good"), "completed, 0 datapoints accepted");
    assert!(words("traps").starts_with("the collector trapped: wasm `unreachable`"), "{}", words("traps"));
    assert!(words("spins").contains("deadline of 300ms"), "{}", words("spins"));
    let gone = fixture.stats("gone");
    assert!(gone.load_error.unwrap().contains("gone.wasm"), "the file is named");
    assert_eq!(gone.sha256, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_keeps_failing_backs_off() {
    let mut fixture = Fixture::new();
    let traps = fixture.simple("traps", TRAPS);
    fixture.adopt(vec![traps]).await;
    fixture.until(|fixture| fixture.stats("traps").skipped(SkipReason::Backoff) >= 1).await;
    assert!(fixture.stats("traps").ended() >= 2, "the first failure costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn overrun_skips_runs_and_never_runs_a_collector_twice_at_once() {
    let mut fixture = Fixture::new();
    let spins = fixture.module("spins.wat", SPINS);
    let spins = fixture.wanted("spins", &spins, Duration::from_millis(2_500));
    fixture.adopt(vec![spins]).await;
    fixture
        .until(|fixture| {
            assert!(fixture.status.running() <= 1);
            fixture.stats("spins").ended() >= 1
        })
        .await;
    assert!(fixture.stats("spins").skipped(SkipReason::Overrun) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn module_that_fails_to_start_does_not_replace_a_running_one() {
    let mut fixture = Fixture::new();
    let first = fixture.simple("a", GOOD);
    fixture.adopt(vec![first]).await;
    let running = fixture.stats("a").sha256;
    for code in [TRAPS_AT_START, "(func (export \"wrong\"))", "not even text"] {
        let next = fixture.simple("a", code);
        fixture.adopt(vec![next]).await;
        let stats = fixture.stats("a");
        assert_eq!(stats.sha256, running);
        assert!(stats.load_error.unwrap().contains("a.wat"), "{code}");
    }
    let next = fixture.simple("a", TRAPS);
    fixture.adopt(vec![next]).await;
    assert_ne!(fixture.stats("a").sha256, running);
    assert_eq!(fixture.stats("a").load_error, None);
    assert_eq!(fixture.stats("a").ended(), 0, "it was tried without being run");
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_module_is_loaded_when_it_appears_and_only_with_its_digest() {
    let mut fixture = Fixture::new();
    let good = fixture.module("good.wat", GOOD);
    let mut wanted = fixture.wanted("a", &fixture.path("a.wat"), Duration::from_secs(1));
    wanted.pin = Some(Module::read(&good).unwrap().sha256());
    fixture.adopt(vec![wanted]).await;
    assert_eq!(fixture.stats("a").sha256, None);
    fixture.module("a.wat", TRAPS);
    fixture.until(|fixture| fixture.stats("a").load_error.is_some_and(|trouble| trouble.contains("`sha256` is"))).await;
    assert_eq!(fixture.stats("a").sha256, None);
    fixture.module("a.wat", GOOD);
    fixture.until(|fixture| fixture.stats("a").collections(TerminationReason::Completed) >= 1).await;
    assert_eq!(fixture.stats("a").load_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn unpinned_module_changes_only_with_a_reload() {
    let mut fixture = Fixture::new();
    let wanted = fixture.simple("a", GOOD);
    fixture.adopt(vec![wanted.clone()]).await;
    let before = fixture.stats("a").sha256;
    fixture.module("a.wat", TRAPS);
    fixture.until(|fixture| fixture.stats("a").ended() >= 3).await;
    assert_eq!(fixture.stats("a").collections(TerminationReason::Completed), fixture.stats("a").ended());
    assert_eq!(fixture.stats("a").sha256, before);
    fixture.adopt(vec![wanted]).await;
    assert_ne!(fixture.stats("a").sha256, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_unpinned_module_is_loaded_only_by_the_next_reload() {
    let mut fixture = Fixture::new();
    let wanted = fixture.simple("a", GOOD);
    fixture.adopt(vec![wanted.clone()]).await;
    let before = fixture.stats("a").sha256;
    fixture.module("a.wat", "not even text");
    fixture.adopt(vec![wanted.clone()]).await;
    assert!(fixture.stats("a").load_error.is_some());
    fixture.module("a.wat", TRAPS);
    // Long enough for the supervisor to check the file.
    fixture.until(|fixture| fixture.stats("a").ended() >= 4).await;
    assert_eq!((fixture.stats("a").sha256, fixture.stats("a").load_error.is_some()), (before, true));
    fixture.adopt(vec![wanted]).await;
    assert!(fixture.stats("a").sha256 != before && fixture.stats("a").load_error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_collector_is_not_scheduled_and_others_keep_their_counts() {
    let mut fixture = Fixture::new();
    let (a, b) = (fixture.simple("a", GOOD), fixture.simple("b", GOOD));
    fixture.adopt(vec![a.clone(), b]).await;
    fixture.until(|fixture| fixture.stats("a").ended() >= 1 && fixture.stats("b").ended() >= 1).await;
    let c = fixture.simple("c", GOOD);
    fixture.adopt(vec![a, c]).await;
    assert_eq!(
        fixture.status.all_collectors().iter().map(|(program, _)| program.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
    assert!(fixture.stats("a").ended() >= 1);
    fixture.until(|fixture| fixture.stats("c").ended() >= 2).await;
    assert_eq!(fixture.supervisor.count(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_with_the_same_content_are_compiled_once() {
    let fixture = Fixture::new();
    let loader = fixture.supervisor.loader();
    let prepare = |program: &str, code: &str| loader.prepare(fixture.simple(program, code));
    let (a, b, c) = tokio::join!(prepare("a", GOOD), prepare("b", GOOD), prepare("c", TRAPS));
    let code = [a, b, c].map(|prepared| prepared.code.unwrap());
    assert!(Arc::ptr_eq(&code[0], &code[1]));
    assert!(!Arc::ptr_eq(&code[0], &code[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_collection_is_interrupted_at_shutdown() {
    let mut fixture = Fixture::new();
    let spins = fixture.module("spins.wat", SPINS);
    let spins = fixture.wanted("spins", &spins, Duration::from_mins(10));
    fixture.adopt(vec![spins]).await;
    fixture.until(|fixture| fixture.status.running() == 1).await;
    let began = std::time::Instant::now();
    let status = Arc::clone(&fixture.status);
    assert_eq!(fixture.supervisor.finish(Duration::from_millis(200)).await, 1);
    // Its own deadline is ten minutes.
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(status.running(), 0);
    let stats = status.collector(&"spins".parse().unwrap()).snapshot();
    assert_eq!(stats.collections(TerminationReason::Interrupted), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn storing_a_payload_is_retried_before_it_is_lost() {
    let (attempts, full) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, disk) = (Arc::clone(&attempts), Arc::clone(&full));
    let store: StorePayloads = Arc::new(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let stored = if first || disk.load(Ordering::SeqCst) { Err("no space left".to_owned()) } else { Ok(()) };
        Box::pin(async { stored })
    });
    let mut fixture = Fixture::storing(store);
    let wanted = fixture.wanted("counter", &guest("counter"), Duration::from_secs(10));
    fixture.adopt(vec![wanted]).await;
    fixture.until(|fixture| fixture.stats("counter").ended() >= 1).await;
    assert_eq!(fixture.stats("counter").collections(TerminationReason::Completed), 1, "it was stored the second time");
    assert!(attempts.load(Ordering::SeqCst) >= 2);

    full.store(true, Ordering::SeqCst);
    fixture.until(|fixture| fixture.stats("counter").collections(TerminationReason::NotStored) >= 1).await;
    let words = fixture.stats("counter").last.unwrap().message;
    assert_eq!(words, "completed, 1 datapoints accepted, but they are lost: no space left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_endless_collectors_do_not_delay_other_collections() {
    let mut fixture = Fixture::of(Arc::new(|_| Box::pin(async { Ok(()) })), 64);
    let (spins, good) = (fixture.module("spins.wat", SPINS), fixture.module("good.wat", GOOD));
    let spinning = |number| fixture.wanted(&format!("spins-{number}"), &spins, Duration::from_mins(10));
    let mut wanted: Vec<DesiredCollector> = (0..20).map(spinning).collect();
    fixture.supervisor.follow(wanted.clone());
    fixture.until(|fixture| fixture.status.running() == 20).await;
    let programs: Vec<String> = (0..10).map(|number| format!("good-{number}")).collect();
    wanted.extend(programs.iter().map(|program| fixture.wanted(program, &good, Duration::from_secs(10))));
    fixture.supervisor.follow(wanted);
    fixture.until(|fixture| programs.iter().all(|program| fixture.stats(program).ended() >= 5)).await;
    // From the scheduled time to the end of a collection; without fair shares of the processors it
    // was 60 ms, and 85 ms at most.
    let mut delays: Vec<Duration> = programs
        .iter()
        .map(|program| {
            let StatsSnapshot { totals, .. } = fixture.stats(program);
            (totals.lateness + totals.duration) / u32::try_from(fixture.stats(program).ended()).unwrap()
        })
        .collect();
    delays.sort_unstable();
    assert!(delays[5] < Duration::from_millis(20), "{delays:?}");
    assert!(programs.iter().all(|program| fixture.stats(program).skipped(SkipReason::Overrun) == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_that_use_their_whole_timeout_leave_half_of_the_permits_to_others() {
    let mut fixture = Fixture::of(Arc::new(|_| Box::pin(async { Ok(()) })), 4);
    let good = fixture.module("good.wat", GOOD);
    // They emit datapoints, so none of them backs off.
    let spins = fixture.path("spins.wat");
    std::fs::write(&spins, emits_and("(loop br 0) unreachable")).unwrap();
    let mut wanted: Vec<DesiredCollector> = (0..12)
        .map(|number| fixture.wanted(&format!("spins-{number}"), &spins, Duration::from_millis(1_500)))
        .collect();
    fixture.supervisor.follow(wanted.clone());
    let ended =
        |fixture: &Fixture, count| (0..12).all(|number| fixture.stats(&format!("spins-{number}")).ended() >= count);
    fixture.until(|fixture| ended(fixture, 1)).await;
    // Now the scheduler knows that they are slow, and most of them wait for their next collection.
    wanted.push(fixture.wanted("good", &good, Duration::from_secs(10)));
    fixture.supervisor.follow(wanted);
    fixture.until(|fixture| fixture.stats("good").ended() >= 3).await;
    let lateness = fixture.stats("good").totals.lateness / 3;
    assert!(lateness < Duration::from_millis(500), "{lateness:?}");
}
