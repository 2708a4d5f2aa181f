//! Who runs when: takes departures from the agenda, sends collections on their way, and learns how they ended.
//!
//! One task for all collectors. A collection is a task of its own, so that one which is slow, traps or panics touches no other;
//! a collector whose collection is still under way at its next departure lets that one pass.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use pattoo_measurement::Program;
use pattoo_sandbox::{Collector, Sandbox, capability::Assignment};
use tokio::{
    sync::watch,
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use super::{
    backoff::Backoff,
    board::Board,
    clock::Clock,
    collection::{Arrival, Journey, Seats, Store, Verdict},
    ledger::{Entry, Ledger, Reason, Skip, Tally},
    loader::{Loader, Prepared, Stamp, Trouble, Wanted},
    schedule::{Agenda, Departure, Id, Timetable},
};

/// How often the wall clock is looked at, and modules that are waited for.
const TICK: Duration = Duration::from_secs(1);
/// A collection that takes this long counts its collector among those that take long, for so many more collections.
const LONG: Duration = Duration::from_secs(1);
const LONG_FOR: u32 = 8;
/// The longest time for which a module that is waited for is not looked at.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the bodies of collections that were stopped have to become durable.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// A collector under supervision.
struct Supervised {
    program: Program,
    /// What runs; nothing when it could not be loaded yet.
    running: Option<Running>,
    /// What could not be taken, and waits for its file to change.
    waiting: Option<Waiting>,
    timetable: Timetable,
    backoff: Backoff,
    under_way: bool,
    /// For how many collections it still counts as one that takes long.
    long: u32,
    ledger: Arc<Ledger>,
}

/// A module that is waited for.
struct Waiting {
    wanted: Wanted,
    /// The file as it was when it could not be taken.
    stamp: Option<Stamp>,
    /// How often that has been, and when it is looked at again: a file that changes all the time is not read all the time.
    refused: u32,
    not_before: Instant,
}

struct Running {
    code: Arc<Collector>,
    assignment: Arc<Assignment>,
}

/// Runs collectors on their timetables.
pub struct Supervisor {
    sandbox: Arc<Sandbox>,
    seats: Seats,
    loader: Arc<Loader>,
    board: Arc<Board>,
    store: Store,
    clock: Clock,
    agenda: Agenda,
    by_id: HashMap<Id, Supervised>,
    by_program: BTreeMap<Program, Id>,
    ids: Id,
    journeys: JoinSet<Arrival>,
    travellers: HashMap<task::Id, Id>,
    /// The programs of the last plan.
    planned: HashSet<Program>,
    loads: JoinSet<Prepared>,
    loaders: HashMap<task::Id, Program>,
    /// What is being loaded for each program, and whether a new plan wants it or its file has changed.
    loading: HashMap<Program, (Arc<Assignment>, bool)>,
    stop: watch::Sender<bool>,
    next_tick: Instant,
}

impl Supervisor {
    /// A supervisor without collectors. At most `concurrent` collections are under way at once; `sandbox` must be made for as
    /// many.
    pub fn new(sandbox: Arc<Sandbox>, concurrent: u32, board: Arc<Board>, store: Store) -> Self {
        let clock = Clock::start();
        Self {
            loader: Arc::new(Loader::new(Arc::clone(&sandbox))),
            sandbox,
            seats: Seats::new(concurrent),
            board,
            store,
            agenda: Agenda::new(clock.read()),
            clock,
            by_id: HashMap::new(),
            by_program: BTreeMap::new(),
            ids: 0,
            journeys: JoinSet::new(),
            travellers: HashMap::new(),
            planned: HashSet::new(),
            loads: JoinSet::new(),
            loaders: HashMap::new(),
            loading: HashMap::new(),
            stop: watch::Sender::new(false),
            next_tick: Instant::now(),
        }
    }

    /// What loads modules.
    pub fn loader(&self) -> Arc<Loader> {
        Arc::clone(&self.loader)
    }

    /// From now on bodies go there.
    pub fn store_to(&mut self, store: Store) {
        self.store = store;
    }

    /// Runs these collectors and no others, each as soon as it is loaded: [`step`](Self::step) takes them. Collections under way are left
    /// to end; a collector that is not loaded yet, or could not be, goes on as it was.
    pub fn follow(&mut self, wanted: Vec<Wanted>) {
        let programs: HashSet<Program> = wanted.iter().map(|wanted| wanted.assignment.agent.program.clone()).collect();
        let gone: Vec<_> = self.by_program.keys().filter(|program| !programs.contains(*program)).cloned().collect();
        for program in gone {
            if let Some(id) = self.by_program.remove(&program) {
                self.agenda.remove(id);
                self.by_id.remove(&id);
                tracing::info!("{program}: no longer run");
            }
        }
        for program in self.planned.difference(&programs) {
            self.board.remove(program);
        }
        self.planned = programs;
        // What is being loaded for the plan before ends by itself, and is not taken.
        self.loading.clear();
        for wanted in wanted {
            self.load(wanted, true);
        }
    }

    /// Loads one collector, which is taken when that is done.
    fn load(&mut self, wanted: Wanted, is_new: bool) {
        let program = wanted.assignment.agent.program.clone();
        self.board.ledger(&program).note(|figures| figures.loading = true);
        self.loading.insert(program.clone(), (Arc::clone(&wanted.assignment), is_new));
        let loader = Arc::clone(&self.loader);
        let task = self.loads.spawn(async move { loader.prepare(wanted).await });
        self.loaders.insert(task.id(), program);
    }

    /// How many collectors are still being loaded since the last plan came.
    pub fn pending(&self) -> usize {
        self.loading.values().filter(|(_, is_new)| *is_new).count()
    }

    /// A loading ended.
    fn loaded(&mut self, ended: Result<(task::Id, Prepared), JoinError>) {
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(program) = self.loaders.remove(&task) else { return };
        let Ok((_, prepared)) = ended else {
            // A panic of ours, which has been printed. The collector stays as it was.
            self.loading.remove(&program);
            tracing::error!("{program}: the runtime failed at loading it; this is a mistake in pattoo-wasm");
            return;
        };
        let is_wanted = |wanted: &Arc<Assignment>| Arc::ptr_eq(wanted, &prepared.wanted.assignment);
        // Else it was taken out, or configured otherwise, in the meantime.
        if self.loading.get(&program).is_some_and(|(wanted, _)| is_wanted(wanted)) {
            self.loading.remove(&program);
            self.board.ledger(&program).note(|figures| figures.loading = false);
            self.take(prepared);
        }
    }

    /// Runs one collector as prepared, or says why not.
    fn take(&mut self, prepared: Prepared) {
        let Prepared { wanted, stamp, code } = prepared;
        let agent = Arc::clone(&wanted.assignment.agent);
        let program = &agent.program;
        let timetable = Timetable::new(program, agent.polling_interval);
        let ledger = self.board.ledger(program);
        let known = self.by_program.get(program).copied();
        let id = known.unwrap_or_else(|| {
            self.ids = self.ids.saturating_add(1);
            self.by_program.insert(program.clone(), self.ids);
            self.ids
        });
        let supervised = self.by_id.entry(id).or_insert_with(|| Supervised {
            program: program.clone(),
            running: None,
            waiting: None,
            timetable,
            backoff: Backoff::default(),
            under_way: false,
            long: 0,
            ledger: Arc::clone(&ledger),
        });
        match code {
            Ok(code) => {
                let sha256 = code.sha256().to_owned();
                let before = supervised.running.replace(Running { code, assignment: wanted.assignment });
                if before.is_none_or(|before| before.code.sha256() != sha256) {
                    tracing::info!("{program}: runs {} ({sha256})", wanted.module.display());
                }
                supervised.waiting = None;
                supervised.backoff = Backoff::default();
                ledger.note(|figures| {
                    figures.trouble = None;
                    figures.sha256 = Some(sha256);
                    figures.interval = agent.polling_interval;
                    (figures.failures, figures.resting) = (0, 0);
                });
                // Where nothing changes, nothing is aligned anew: a departure that is due right now is still taken.
                if known.is_none() || supervised.timetable != timetable {
                    supervised.timetable = timetable;
                    self.agenda.enter(id, timetable, self.clock.read());
                }
            }
            Err(trouble) => {
                let stays = if supervised.running.is_some() { "; the one before goes on" } else { "" };
                tracing::error!("{program}: not run as configured: {trouble}{stays}");
                if let Trouble::Load(error) = &trouble {
                    tracing::info!("{program}: {}", error.help());
                }
                let refused = supervised
                    .waiting
                    .take()
                    .filter(|waiting| Arc::ptr_eq(&waiting.wanted.assignment, &wanted.assignment))
                    .map_or(0, |waiting| waiting.refused);
                let rest = TICK.saturating_mul(2_u32.saturating_pow(refused)).min(LONGEST_WAIT);
                let not_before = Instant::now().checked_add(rest).unwrap_or_else(Instant::now);
                let refused = refused.saturating_add(1);
                supervised.waiting =
                    trouble.mends_itself(&wanted).then_some(Waiting { wanted, stamp, refused, not_before });
                ledger.note(|figures| {
                    figures.trouble = Some(trouble.to_string());
                    figures.interval = supervised.timetable_interval(&agent);
                });
                if known.is_none() {
                    self.agenda.enter(id, timetable, self.clock.read());
                }
            }
        }
    }

    /// Waits for the next thing to do and does it. To drop the future is fine at any moment.
    pub async fn step(&mut self) {
        let now = self.clock.read();
        while let Some(departure) = self.agenda.depart(now) {
            self.depart(departure);
        }
        let next = self.agenda.next().map_or(self.next_tick, |due| self.clock.moment(due).into());
        tokio::select! {
            () = tokio::time::sleep_until(next.min(self.next_tick)) => {
                if Instant::now() >= self.next_tick {
                    self.tick();
                }
            }
            Some(ended) = self.journeys.join_next_with_id() => {
                self.arrived(ended);
                // At thousands of collections a second they come in crowds.
                while let Some(ended) = self.journeys.try_join_next_with_id() {
                    self.arrived(ended);
                }
            }
            Some(loaded) = self.loads.join_next_with_id() => self.loaded(loaded),
        }
    }

    fn depart(&mut self, departure: Departure) {
        let Some(supervised) = self.by_id.get_mut(&departure.id) else { return };
        supervised.ledger.skip(Skip::Missed, departure.missed);
        let Some(running) = &supervised.running else {
            supervised.ledger.skip(Skip::NotLoaded, 1);
            return;
        };
        if supervised.under_way {
            supervised.ledger.skip(Skip::Overrun, 1);
            tracing::debug!("{}: still under way, so this departure is left out", supervised.program);
            return;
        }
        if !supervised.backoff.take() {
            supervised.ledger.skip(Skip::Backoff, 1);
            let resting = supervised.backoff.resting();
            supervised.ledger.note(|figures| figures.resting = resting);
            return;
        }
        supervised.under_way = true;
        let journey = Journey {
            sandbox: Arc::clone(&self.sandbox),
            seats: self.seats.clone(),
            is_long: supervised.long > 0,
            code: Arc::clone(&running.code),
            assignment: Arc::clone(&running.assignment),
            store: Arc::clone(&self.store),
            ledger: Arc::clone(&supervised.ledger),
            board: Arc::clone(&self.board),
            stop: self.stop.subscribe(),
            due: self.clock.moment(departure.due),
        };
        let task = self.journeys.spawn(journey.go());
        self.travellers.insert(task.id(), departure.id);
    }

    fn arrived(&mut self, ended: Result<(task::Id, Arrival), JoinError>) {
        let (task, arrival) = match ended {
            Ok((task, arrival)) => (task, Some(arrival)),
            Err(error) => (error.id(), None),
        };
        let id = self.travellers.remove(&task);
        let Some(supervised) = id.and_then(|id| self.by_id.get_mut(&id)) else { return };
        supervised.under_way = false;
        if let Some(Arrival { took, .. }) = arrival {
            supervised.long = if took >= LONG { LONG_FOR } else { supervised.long.saturating_sub(1) };
        }
        match arrival.map(|arrival| arrival.verdict) {
            Some(Verdict::Useful) => {
                if supervised.backoff.failures() > 1 {
                    tracing::info!("{}: collects again", supervised.program);
                }
                supervised.backoff.succeeded();
            }
            Some(Verdict::Useless) => supervised.backoff.failed(supervised.timetable.interval()),
            None => {
                // A panic of ours. It has been printed; the collector is treated as one that failed.
                supervised.backoff.failed(supervised.timetable.interval());
                let words = "the runtime failed at it; this is a mistake in pattoo-wasm".to_owned();
                supervised.ledger.enter(Entry { reason: Reason::Fault, words, tally: Tally::default() });
            }
        }
        let (failures, resting) = (supervised.backoff.failures(), supervised.backoff.resting());
        supervised.ledger.note(|figures| (figures.failures, figures.resting) = (failures, resting));
    }

    /// What is done once a second.
    fn tick(&mut self) {
        self.next_tick = Instant::now().checked_add(TICK).unwrap_or_else(Instant::now);
        let before = self.agenda.realignments();
        self.agenda.follow_the_clock(self.clock.read());
        if self.agenda.realignments() != before {
            tracing::warn!("the wall clock jumped: all departures are aligned to it anew");
        }
        self.board.realignments.store(self.agenda.realignments(), std::sync::atomic::Ordering::Relaxed);
        self.board.alive();
        self.retry();
    }

    /// Looks whether modules that are waited for have come.
    fn retry(&mut self) {
        let now = Instant::now();
        let changed: Vec<Wanted> = self
            .by_id
            .values()
            .filter_map(|supervised| supervised.waiting.as_ref())
            .filter(|waiting| waiting.not_before <= now)
            .filter(|waiting| !self.loading.contains_key(&waiting.wanted.assignment.agent.program))
            .filter(|waiting| Stamp::of(&waiting.wanted.module) != waiting.stamp)
            .map(|waiting| waiting.wanted.clone())
            .collect();
        for wanted in changed {
            self.load(wanted, false);
        }
    }

    /// Lets collections under way end for as long as `bound`, and stops the others: how many those were. What they emitted until then
    /// is made durable as well.
    pub async fn finish(mut self, bound: Duration) -> usize {
        self.loads.abort_all();
        if self.all_end(bound).await {
            return 0;
        }
        let stopped = self.journeys.len();
        self.stop.send_replace(true);
        if !self.all_end(STORE_WITHIN).await {
            tracing::error!("what {} collections emitted could not be made durable in time", self.journeys.len());
            self.journeys.shutdown().await;
        }
        stopped
    }

    async fn all_end(&mut self, bound: Duration) -> bool {
        let all = async { while self.journeys.join_next().await.is_some() {} };
        tokio::time::timeout(bound, all).await.is_ok()
    }

    /// How many collectors there are, and how many of them run.
    pub fn count(&self) -> (usize, usize) {
        (self.planned.len(), self.by_id.values().filter(|supervised| supervised.running.is_some()).count())
    }
}

impl Supervised {
    /// How often it collects, or would.
    fn timetable_interval(&self, wanted: &pattoo_measurement::Agent) -> pattoo_measurement::PollingInterval {
        self.running.as_ref().map_or(wanted.polling_interval, |running| running.assignment.agent.polling_interval)
    }
}
