//! Many collectors, each on its interval, for months.
//!
//! A configuration comes in as [`Wanted`] collectors. The loader makes runnable ones of them, the supervisor sends each on its way
//! when the schedule says so, and a collection ends when what it emitted is durable in the spool; from there
//! [`delivery`](pattoo_output) has it. What happened is in the ledgers, which the status address shows.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | from a configuration to what is to run, and where it goes |
//! | `schedule` | when each collector departs: arithmetic on two clocks |
//! | `backoff` | how one that fails is let rest |
//! | `clock` | the clocks themselves |
//! | `loader` | from a module file to a collector that can take another's place |
//! | `supervisor` | the one task that takes departures and learns of arrivals |
//! | `collection` | one collection, until what it emitted is durable |
//! | `ledger`, `board` | what is known of one collector, and of all |
//! | `metrics`, `status` | how that is shown |
//! | `lock`, `notify` | one daemon a directory; what the service manager is told |
//!
//! It never runs a collector twice at the same time, never makes up for departures that were missed, never takes a module in place
//! of another before it was instantiated, and never lets one collector's trouble reach another.

mod backoff;
mod board;
mod clock;
mod collection;
mod ledger;
mod loader;
mod lock;
mod metrics;
mod notify;
mod plan;
mod schedule;
mod status;
mod supervisor;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use pattoo_base::text::counted;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

pub(crate) use self::collection::words_of;
pub use self::{
    board::{Board, LATENESS_BOUNDS, Lateness, UnderWay},
    collection::Store,
    ledger::{Entry, Figures, Last, Ledger, Reason, Skip, Tally},
    loader::{Loader, Prepared, Stamp, Trouble, Wanted},
    lock::{Lock, LockError},
    metrics::{FAMILIES, State, page as metrics_page},
    notify::{Notifier, State as ServiceState},
    plan::{Outlet, PlanError, plan},
    status::StatusServer,
    supervisor::Supervisor,
};

/// How long collections under way have to end when the daemon is stopped.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long the service manager waits at most for collectors that are being loaded.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// What to run, and where what it emits goes.
pub struct Plan {
    /// The collectors, each with a program of its own.
    pub collectors: Vec<Wanted>,
    /// Makes bodies durable.
    pub store: Store,
}

/// What a running daemon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again.
    Reload,
    /// End.
    Stop,
}

/// Makes a new plan, for a reload. An error is text for people; the plan before goes on.
pub type MakePlan = Arc<dyn Fn() -> BoxFuture<'static, Result<Plan, String>> + Send + Sync>;

/// The daemon: a supervisor, and those whom it answers to.
pub struct Daemon {
    supervisor: Supervisor,
    board: Arc<Board>,
    notifier: Notifier,
    /// The plan that is being begun with.
    starting: Option<Starting>,
}

impl Daemon {
    /// A daemon around a supervisor that has no collectors yet.
    pub fn new(supervisor: Supervisor, board: Arc<Board>, notifier: Notifier) -> Self {
        Self { supervisor, board, notifier, starting: None }
    }

    /// Runs `plan`, and what `make_plan` gives at each reload, until it is told to stop. [`finish`](Self::finish) it then.
    pub async fn run(&mut self, plan: Plan, commands: &mut mpsc::Receiver<Command>, make_plan: MakePlan) {
        let mut alive = tokio::time::interval(self.notifier.alive_every().unwrap_or(Duration::from_hours(1)));
        let mut planning = JoinSet::new();
        let mut again = false;
        self.follow(plan);
        loop {
            let patience = self.starting.and_then(Starting::patience);
            tokio::select! {
                () = self.supervisor.step() => {}
                () = tokio::time::sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => self.wait_no_longer(),
                _ = alive.tick() => self.notifier.say(ServiceState::Alive, ""),
                command = commands.recv() => match command {
                    Some(Command::Reload) if planning.is_empty() => self.reload(&mut planning, &make_plan),
                    // One at a time: what is being read now may be old already.
                    Some(Command::Reload) => again = true,
                    Some(Command::Stop) | None => break,
                },
                Some(planned) = planning.join_next() => {
                    let planned = planned.unwrap_or_else(|error| Err(format!("the reload ended: {error}")));
                    self.adopt(planned);
                    if std::mem::take(&mut again) {
                        self.reload(&mut planning, &make_plan);
                    }
                }
            }
            if self.starting.is_some() && self.supervisor.pending() == 0 {
                self.starting = None;
                self.ready("");
            }
        }
    }

    /// Lets the collections under way end, for at most [`STOP_WITHIN`], and stops the others; what they emitted is kept. To drop the
    /// future is to abandon them at once.
    pub async fn finish(self) {
        self.notifier.say(ServiceState::Stopping, "finishing the collections under way");
        let under_way = counted(self.board.under_way(), "collection", "collections");
        tracing::info!("stopping: {under_way} under way, with {STOP_WITHIN:?} to end");
        let stopped = self.supervisor.finish(STOP_WITHIN).await;
        if stopped > 0 {
            let stopped = counted(stopped as u64, "collection", "collections");
            tracing::warn!("stopped before the end, after {STOP_WITHIN:?}: {stopped}");
        }
    }

    fn reload(&self, planning: &mut JoinSet<Result<Plan, String>>, make_plan: &MakePlan) {
        tracing::info!("reading the configuration again");
        self.notifier.say(ServiceState::Reloading, "reading the configuration again");
        planning.spawn(make_plan());
    }

    /// Begins with a plan. The service manager hears that the daemon is ready when all collectors are loaded or refused, or
    /// after a while: one that takes long holds up nobody.
    fn follow(&mut self, Plan { collectors, store }: Plan) {
        self.supervisor.store_to(store);
        self.supervisor.follow(collectors);
        self.starting = Some(Starting { ready_at: Instant::now().checked_add(READY_WITHIN), is_ready: false });
    }

    /// Says that the daemon is ready, with collectors that are still being loaded.
    fn wait_no_longer(&mut self) {
        let Some(starting) = &mut self.starting else { return };
        starting.is_ready = true;
        let (all, running) = self.supervisor.count();
        let status = format!("ready: {running} of {all} collectors, and {} being loaded", self.supervisor.pending());
        tracing::info!("{status}");
        self.board.alive();
        self.notifier.say(ServiceState::Ready, &status);
    }

    fn adopt(&mut self, planned: Result<Plan, String>) {
        match planned {
            Ok(plan) => {
                self.follow(plan);
                self.board.reloads.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!("the configuration is not taken, the one before goes on: {error}");
                self.board.refused_reloads.fetch_add(1, Ordering::Relaxed);
                self.ready(", as configured before: the new configuration was refused");
            }
        }
    }

    fn ready(&self, by: &str) {
        let (all, running) = self.supervisor.count();
        let status = format!("{running} of {all} collectors run{by}");
        tracing::info!("{status}");
        self.board.alive();
        self.notifier.say(ServiceState::Ready, &status);
    }
}

/// A plan of which collectors are still being loaded.
#[derive(Debug, Clone, Copy)]
struct Starting {
    ready_at: Option<Instant>,
    /// Whether the service manager has heard so.
    is_ready: bool,
}

impl Starting {
    /// Until when the service manager hears nothing.
    fn patience(self) -> Option<Instant> {
        self.ready_at.filter(|_| !self.is_ready)
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::unchecked_time_subtraction,
    reason = "small numbers in tests; a panic fails the test, as it should"
)]
mod tests;
