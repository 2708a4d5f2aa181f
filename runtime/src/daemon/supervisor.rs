//! Starts the scheduled collections and handles their results.
//!
//! There is one task for all collectors, and one more for each running collection. So a collection
//! that is slow, traps or panics affects no other. A collector whose collection is still running
//! skips its next scheduled run.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pattoo_base::{
    backoff::doubled,
    log_folding::{FaultLog, rounded},
};
use pattoo_measurement::{Agent, PollingInterval, Program};
use pattoo_sandbox::{Collector, Sandbox, capability::Assignment};
use tokio::{
    sync::watch,
    task::{self, JoinError, JoinSet},
    time::Instant,
};
use tracing::Level;

use super::{
    clock::Clock,
    collection::{CollectionResult, CollectionTask, ConcurrencyPermits, StorePayloads, TaskOutput},
    collector_backoff::{self, Backoff},
    collector_log::CollectorLog,
    collector_stats::{CollectionRecord, CollectorStats, SkipReason, TerminationReason, Totals},
    daemon_status::DaemonStatus,
    module_loader::{CollectorLoadError, DesiredCollector, FileStamp, Loader, PreparedCollector},
    schedule::{CollectorId, Interval, Schedule, ScheduledRun},
};

/// The interval of the checks of the wall clock, and of awaited modules.
const TICK: Duration = Duration::from_secs(1);
/// A collection that takes this long makes its collector a slow one, for this many more
/// collections.
const LONG: Duration = Duration::from_secs(1);
const LONG_FOR: u32 = 8;
/// The number of failures in a row from which a collector backs off.
const BACKOFF_LOGGED: u32 = 2;
/// The longest time between two checks of an awaited module.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The time for making the payloads of stopped collections durable.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// A collector under supervision.
struct SupervisedCollector {
    program: Program,
    /// What runs; none if no module was loaded yet.
    loaded: Option<LoadedModule>,
    /// A module that could not be loaded, and is loaded again when its file changes.
    awaited: Option<AwaitedModule>,
    /// Since when its configured module cannot be loaded, and what is logged of it.
    not_loaded: Option<(std::time::Instant, FaultLog)>,
    interval: Interval,
    backoff: Backoff,
    is_running: bool,
    /// For how many more collections it counts as slow.
    long: u32,
    stats: Arc<CollectorStats>,
}

/// A module whose file has to change before it can be loaded.
struct AwaitedModule {
    desired: DesiredCollector,
    /// The file when it could not be loaded.
    stamp: Option<FileStamp>,
    /// How often that happened, and when the file is checked next: a file that changes all the time
    /// is not read all the time.
    refused: u32,
    not_before: Instant,
}

struct LoadedModule {
    code: Arc<Collector>,
    assignment: Arc<Assignment>,
    log: Arc<CollectorLog>,
}

/// Runs collectors on their intervals.
pub struct Supervisor {
    sandbox: Arc<Sandbox>,
    permits: ConcurrencyPermits,
    loader: Arc<Loader>,
    status: Arc<DaemonStatus>,
    store: StorePayloads,
    clock: Clock,
    schedule: Schedule,
    by_id: HashMap<CollectorId, SupervisedCollector>,
    by_program: BTreeMap<Program, CollectorId>,
    last_id: CollectorId,
    collections: JoinSet<TaskOutput>,
    running: HashMap<task::Id, CollectorId>,
    /// The programs of the last plan.
    planned: HashSet<Program>,
    loads: JoinSet<PreparedCollector>,
    load_tasks: HashMap<task::Id, Program>,
    /// What is being loaded for each program, and whether a new plan is the cause. Otherwise its
    /// file has changed.
    loading: HashMap<Program, (Arc<Assignment>, bool)>,
    stop: watch::Sender<bool>,
    next_tick: Instant,
}

impl Supervisor {
    /// A supervisor without collectors. As many collections run at once as `sandbox` has room for.
    /// `store` makes their payloads durable.
    pub fn new(sandbox: Arc<Sandbox>, status: Arc<DaemonStatus>, store: StorePayloads) -> Self {
        let clock = Clock::start();
        Self {
            loader: Arc::new(Loader::new(Arc::clone(&sandbox))),
            permits: ConcurrencyPermits::new(sandbox.concurrent()),
            sandbox,
            status,
            store,
            schedule: Schedule::new(clock.read()),
            clock,
            by_id: HashMap::new(),
            by_program: BTreeMap::new(),
            last_id: 0,
            collections: JoinSet::new(),
            running: HashMap::new(),
            planned: HashSet::new(),
            loads: JoinSet::new(),
            load_tasks: HashMap::new(),
            loading: HashMap::new(),
            stop: watch::Sender::new(false),
            next_tick: Instant::now(),
        }
    }

    /// The loader of modules.
    pub fn loader(&self) -> Arc<Loader> {
        Arc::clone(&self.loader)
    }

    /// Runs these collectors and no others, each as soon as [`step`](Self::step) finds it loaded.
    /// Running collections finish. A collector that is not loaded yet, or could not be loaded,
    /// keeps running its previous module.
    pub fn follow(&mut self, desired: Vec<DesiredCollector>) {
        let programs: HashSet<Program> = desired.iter().map(|one| one.assignment.agent.program.clone()).collect();
        let removed: Vec<_> = self.by_program.keys().filter(|program| !programs.contains(*program)).cloned().collect();
        for program in removed {
            if let Some(id) = self.by_program.remove(&program) {
                self.schedule.remove(id);
                self.by_id.remove(&id);
                tracing::info!("{program}: no longer runs, since it is no longer configured");
            }
        }
        for program in self.planned.difference(&programs) {
            self.status.remove(program);
        }
        self.planned = programs;
        // Modules that are being loaded for the previous plan are not adopted.
        self.loading.clear();
        for desired in desired {
            self.load(desired, true);
        }
    }

    /// Starts to load one collector. It is adopted when that is done.
    fn load(&mut self, desired: DesiredCollector, is_new: bool) {
        let program = desired.assignment.agent.program.clone();
        self.status.collector(&program).update(|stats| {
            stats.loading = true;
            // What runs may have other grants and another interval, until it is replaced.
            if !self.by_program.contains_key(&program) {
                stats.interval = desired.assignment.agent.polling_interval;
                stats.totals.usage.keep_granted(&desired.assignment.granted);
            }
        });
        self.loading.insert(program.clone(), (Arc::clone(&desired.assignment), is_new));
        let loader = Arc::clone(&self.loader);
        let task = self.loads.spawn(async move { loader.prepare(desired).await });
        self.load_tasks.insert(task.id(), program);
    }

    /// How many collectors of the last plan are still being loaded.
    pub fn pending(&self) -> usize {
        self.loading.values().filter(|(_, is_new)| *is_new).count()
    }

    /// Handles the end of a loading.
    fn load_ended(&mut self, ended: Result<(task::Id, PreparedCollector), JoinError>) {
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(program) = self.load_tasks.remove(&task) else { return };
        let Ok((_, prepared)) = ended else {
            // A panic of ours, which has been printed. The collector stays as it was.
            self.loading.remove(&program);
            tracing::error!("{program}: internal error while loading it; this is a bug in pattoo-wasm");
            return;
        };
        let is_current = |assignment: &Arc<Assignment>| Arc::ptr_eq(assignment, &prepared.desired.assignment);
        // Otherwise it was removed, or its configuration changed, in the meantime.
        if self.loading.get(&program).is_some_and(|(assignment, _)| is_current(assignment)) {
            self.loading.remove(&program);
            self.status.collector(&program).update(|stats| stats.loading = false);
            self.adopt(prepared);
        }
    }

    /// Runs one collector from now on, or logs why it does not run.
    fn adopt(&mut self, prepared: PreparedCollector) {
        let PreparedCollector { desired, stamp, code } = prepared;
        let agent = Arc::clone(&desired.assignment.agent);
        let program = &agent.program;
        let interval = Interval::new(program, agent.polling_interval);
        let stats = self.status.collector(program);
        let known = self.by_program.get(program).copied();
        let id = known.unwrap_or_else(|| {
            self.last_id = self.last_id.saturating_add(1);
            self.by_program.insert(program.clone(), self.last_id);
            self.last_id
        });
        let supervised = self.by_id.entry(id).or_insert_with(|| SupervisedCollector {
            program: program.clone(),
            loaded: None,
            awaited: None,
            not_loaded: None,
            interval,
            backoff: Backoff::default(),
            is_running: false,
            long: 0,
            stats: Arc::clone(&stats),
        });
        match code {
            Ok(code) => {
                supervised.run_module(desired, code);
                // An unchanged interval is not aligned again: a run that is due right now still
                // takes place.
                if known.is_none() || supervised.interval != interval {
                    supervised.interval = interval;
                    self.schedule.set(id, interval, self.clock.read());
                }
            }
            Err(error) => {
                supervised.await_module(desired, stamp, &error);
                stats.update(|stats| {
                    stats.load_error = Some(error.to_string());
                    stats.interval = supervised.polling_interval(&agent);
                });
                if known.is_none() {
                    self.schedule.set(id, interval, self.clock.read());
                }
            }
        }
    }

    /// Waits for the next event and handles it. The future can be dropped at any time.
    pub async fn step(&mut self) {
        let now = self.clock.read();
        while let Some(run) = self.schedule.take_due(now) {
            self.start_collection(run);
        }
        let next = self.schedule.next_due().map_or(self.next_tick, |due| self.clock.moment(due).into());
        tokio::select! {
            () = tokio::time::sleep_until(next.min(self.next_tick)) => {
                if Instant::now() >= self.next_tick {
                    self.tick();
                }
            }
            Some(ended) = self.collections.join_next_with_id() => {
                self.collection_ended(ended);
                // At thousands of collections a second many end at the same time.
                while let Some(ended) = self.collections.try_join_next_with_id() {
                    self.collection_ended(ended);
                }
            }
            Some(loaded) = self.loads.join_next_with_id() => self.load_ended(loaded),
        }
    }

    /// Starts a scheduled collection, or counts why it is skipped.
    fn start_collection(&mut self, run: ScheduledRun) {
        let Some(supervised) = self.by_id.get_mut(&run.id) else { return };
        supervised.stats.skip(SkipReason::Missed, run.missed);
        let Some(loaded) = &supervised.loaded else {
            supervised.stats.skip(SkipReason::NotLoaded, 1);
            return;
        };
        if supervised.is_running {
            supervised.stats.skip(SkipReason::Overrun, 1);
            tracing::debug!("{}: the previous collection is still running, so this run is skipped", supervised.program);
            return;
        }
        if !supervised.backoff.permits_run() {
            supervised.stats.skip(SkipReason::Backoff, 1);
            let runs_to_skip = supervised.backoff.runs_to_skip();
            supervised.stats.update(|stats| stats.runs_to_skip = runs_to_skip);
            return;
        }
        supervised.is_running = true;
        let collection = CollectionTask {
            sandbox: Arc::clone(&self.sandbox),
            permits: self.permits.clone(),
            is_long: supervised.long > 0,
            code: Arc::clone(&loaded.code),
            assignment: Arc::clone(&loaded.assignment),
            store: Arc::clone(&self.store),
            log: Arc::clone(&loaded.log),
            stats: Arc::clone(&supervised.stats),
            status: Arc::clone(&self.status),
            stop: self.stop.subscribe(),
            due: self.clock.moment(run.due),
        };
        let task = self.collections.spawn(collection.run());
        self.running.insert(task.id(), run.id);
    }

    fn collection_ended(&mut self, ended: Result<(task::Id, TaskOutput), JoinError>) {
        let (task, output) = match ended {
            Ok((task, output)) => (task, Some(output)),
            Err(error) => (error.id(), None),
        };
        let id = self.running.remove(&task);
        let Some(supervised) = id.and_then(|id| self.by_id.get_mut(&id)) else { return };
        supervised.is_running = false;
        if let Some(TaskOutput { took, .. }) = output {
            supervised.long = if took >= LONG { LONG_FOR } else { supervised.long.saturating_sub(1) };
        }
        let log = supervised.loaded.as_ref().map(|loaded| Arc::clone(&loaded.log)).unwrap_or_default();
        let result = output.map(|output| output.result);
        match result {
            Some(CollectionResult::Complete | CollectionResult::Incomplete) => supervised.backoff.succeeded(),
            Some(CollectionResult::Failure) => supervised.backoff.failed(supervised.interval.period()),
            None => {
                // A panic of ours. It has been printed; the collector is treated as one that
                // failed.
                supervised.backoff.failed(supervised.interval.period());
                let message = "internal error; this is a bug in pattoo-wasm".to_owned();
                let reason = TerminationReason::Fault;
                log.failure(&supervised.program, &message);
                supervised.stats.record(CollectionRecord { reason, message, totals: Totals::default() });
            }
        }
        let (failures, runs_to_skip) = (supervised.backoff.failures(), supervised.backoff.runs_to_skip());
        if failures >= BACKOFF_LOGGED && runs_to_skip > 0 {
            let longest = collector_backoff::LONGEST;
            let text =
                format!("backs off: it runs less often, but at least every {longest:?}, until a collection succeeds");
            log.problem(&supervised.program, Level::WARN, &text);
        }
        log.collection_ended(&supervised.program, result == Some(CollectionResult::Complete));
        supervised.stats.update(|stats| (stats.failures, stats.runs_to_skip) = (failures, runs_to_skip));
    }

    /// What is done once a second.
    fn tick(&mut self) {
        self.next_tick = Instant::now().checked_add(TICK).unwrap_or_else(Instant::now);
        let before = self.schedule.realignments();
        self.schedule.realign_if_clock_jumped(self.clock.read());
        if self.schedule.realignments() != before {
            tracing::warn!("the wall clock jumped: all scheduled runs are aligned to it again");
        }
        self.status.realignments.store(self.schedule.realignments(), Ordering::Relaxed);
        self.status.alive();
        self.load_changed_modules();
    }

    /// Loads awaited modules whose files have changed.
    fn load_changed_modules(&mut self) {
        let now = Instant::now();
        let changed: Vec<DesiredCollector> = self
            .by_id
            .values()
            .filter_map(|supervised| supervised.awaited.as_ref())
            .filter(|awaited| awaited.not_before <= now)
            .filter(|awaited| !self.loading.contains_key(&awaited.desired.assignment.agent.program))
            .filter(|awaited| FileStamp::of(&awaited.desired.module) != awaited.stamp)
            .map(|awaited| awaited.desired.clone())
            .collect();
        for desired in changed {
            self.load(desired, false);
        }
    }

    /// Waits at most `bound` for running collections, then stops the others and returns how many
    /// those were. Their datapoints are made durable as well.
    pub async fn finish(mut self, bound: Duration) -> usize {
        self.loads.abort_all();
        if self.all_end(bound).await {
            return 0;
        }
        let stopped = self.collections.len();
        self.stop.send_replace(true);
        if !self.all_end(STORE_WITHIN).await {
            tracing::error!("datapoints of {} collections could not be made durable in time", self.collections.len());
            self.collections.shutdown().await;
        }
        stopped
    }

    async fn all_end(&mut self, bound: Duration) -> bool {
        let all = async { while self.collections.join_next().await.is_some() {} };
        tokio::time::timeout(bound, all).await.is_ok()
    }

    /// How many collectors there are, and how many of them run.
    pub fn count(&self) -> (usize, usize) {
        (self.planned.len(), self.by_id.values().filter(|supervised| supervised.loaded.is_some()).count())
    }
}

impl SupervisedCollector {
    /// Runs a module from now on.
    fn run_module(&mut self, desired: DesiredCollector, code: Arc<Collector>) {
        let sha256 = code.sha256();
        let interval = desired.assignment.agent.polling_interval;
        let granted = Arc::clone(&desired.assignment);
        let module = LoadedModule { code, assignment: desired.assignment, log: desired.log };
        let previous = self.loaded.replace(module);
        let not_loaded = self.not_loaded.take().map(|(since, _)| rounded(since.elapsed()));
        if not_loaded.is_some() || previous.is_none_or(|previous| previous.code.sha256() != sha256) {
            let after = not_loaded.map(|time| format!("; it could not be loaded for {time}")).unwrap_or_default();
            tracing::info!("{}: runs {} ({sha256}){after}", self.program, desired.module.display());
        }
        self.awaited = None;
        self.backoff = Backoff::default();
        self.stats.update(|stats| {
            stats.load_error = None;
            stats.sha256 = Some(sha256);
            stats.interval = interval;
            stats.totals.usage.keep_granted(&granted.granted);
            (stats.failures, stats.runs_to_skip) = (0, 0);
        });
    }

    /// Logs why a module cannot be loaded, and awaits a change of its file if that may help.
    fn await_module(&mut self, desired: DesiredCollector, stamp: Option<FileStamp>, error: &CollectorLoadError) {
        let what = if self.loaded.is_some() {
            "cannot load the new module, and keeps running the previous module"
        } else {
            "the collector does not run"
        };
        let again = self.awaited.take().filter(|awaited| Arc::ptr_eq(&awaited.desired.assignment, &desired.assignment));
        let refused = again.map_or(0, |awaited| awaited.refused).saturating_add(1);
        let now = std::time::Instant::now();
        let (_, faults) = self.not_loaded.get_or_insert_with(|| (now, FaultLog::default()));
        // A reload is answered in any case; a file that changes again and again is not.
        if refused == 1 {
            faults.repeat();
        }
        let text = format!("{}: {what}: {error}", self.program);
        if let Some(line) = faults.failed(now, &text) {
            tracing::error!("{line}");
            if let CollectorLoadError::Load(error) = error {
                tracing::info!("{}: help: {}", self.program, error.help());
            }
        } else {
            tracing::debug!("{text}");
        }
        let wait = doubled(TICK, refused, LONGEST_WAIT);
        let not_before = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
        self.awaited = error.is_resolved_by_another_file(&desired).then_some(AwaitedModule {
            desired,
            stamp,
            refused,
            not_before,
        });
    }

    /// How often it collects, or would.
    fn polling_interval(&self, desired: &Agent) -> PollingInterval {
        self.loaded.as_ref().map_or(desired.polling_interval, |loaded| loaded.assignment.agent.polling_interval)
    }
}
