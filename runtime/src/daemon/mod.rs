//! Many collectors, each on its interval, for months.
//!
//! A configuration comes in as [`Wanted`] collectors. The loader makes runnable ones of them, the supervisor sends each on its way
//! when the schedule says so, and a collection ends when what it emitted is durable in the spool; from there
//! [`delivery`](crate::delivery) has it. What happened is in the ledgers, which the status address shows.
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
use tokio::{sync::mpsc, task::JoinSet};

use crate::text::counted;

pub(crate) use self::collection::words_of;
pub use self::{
    board::{Board, LATENESS_BOUNDS, Lateness, UnderWay},
    collection::Store,
    ledger::{Entry, Figures, Last, Ledger, Reason, Skip, Tally},
    loader::{Loader, Prepared, Stamp, Trouble, Wanted},
    lock::{Lock, LockError},
    metrics::{FAMILIES, Family, State, page as metrics_page},
    notify::{Notifier, State as ServiceState},
    plan::{Outlet, PlanError, plan},
    status::StatusServer,
    supervisor::Supervisor,
};

/// How long collections under way have to end when the daemon is stopped.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

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

/// A plan whose collectors were tried.
struct Tried {
    prepared: Vec<Prepared>,
    store: Store,
}

/// The daemon: a supervisor, and those whom it answers to.
pub struct Daemon {
    supervisor: Supervisor,
    board: Arc<Board>,
    notifier: Notifier,
}

impl Daemon {
    /// A daemon around a supervisor that has no collectors yet.
    pub fn new(supervisor: Supervisor, board: Arc<Board>, notifier: Notifier) -> Self {
        Self { supervisor, board, notifier }
    }

    /// Runs `plan`, and what `make_plan` gives at each reload, until it is told to stop. [`finish`](Self::finish) it then.
    pub async fn run(&mut self, plan: Plan, commands: &mut mpsc::Receiver<Command>, make_plan: MakePlan) {
        let mut alive = tokio::time::interval(self.notifier.alive_every().unwrap_or(Duration::from_hours(1)));
        let loader = self.supervisor.loader();
        let mut trying = JoinSet::new();
        trying.spawn(async move {
            let Plan { collectors, store } = plan;
            Ok(Tried { prepared: loader.prepare_all(collectors).await, store })
        });
        let mut first = true;
        let mut again = false;
        loop {
            tokio::select! {
                () = self.supervisor.step() => {}
                _ = alive.tick() => self.notifier.say(ServiceState::Alive, ""),
                command = commands.recv() => match command {
                    Some(Command::Reload) if trying.is_empty() => self.reload(&mut trying, &make_plan),
                    // One at a time: what is being read now may be old already.
                    Some(Command::Reload) => again = true,
                    Some(Command::Stop) | None => break,
                },
                Some(tried) = trying.join_next() => {
                    let tried = tried.unwrap_or_else(|error| Err(format!("the reload ended: {error}")));
                    self.adopt(tried, std::mem::take(&mut first));
                    if std::mem::take(&mut again) {
                        self.reload(&mut trying, &make_plan);
                    }
                }
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

    fn reload(&self, trying: &mut JoinSet<Result<Tried, String>>, make_plan: &MakePlan) {
        tracing::info!("reading the configuration again");
        self.notifier.say(ServiceState::Reloading, "reading the configuration again");
        let loader = self.supervisor.loader();
        let make_plan = Arc::clone(make_plan);
        trying.spawn(async move {
            let Plan { collectors, store } = make_plan().await?;
            Ok(Tried { prepared: loader.prepare_all(collectors).await, store })
        });
    }

    fn adopt(&mut self, tried: Result<Tried, String>, first: bool) {
        let by = match tried {
            Ok(Tried { prepared, store }) => {
                self.supervisor.store_to(store);
                self.supervisor.adopt(prepared);
                if !first {
                    self.board.reloads.fetch_add(1, Ordering::Relaxed);
                }
                ""
            }
            Err(error) => {
                tracing::error!("the configuration is not taken, the one before goes on: {error}");
                self.board.refused_reloads.fetch_add(1, Ordering::Relaxed);
                ", as configured before: the new configuration was refused"
            }
        };
        let (all, running) = self.supervisor.count();
        let status = format!("{running} of {all} collectors run{by}");
        tracing::info!("{status}");
        self.board.alive();
        self.notifier.say(ServiceState::Ready, &status);
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::unchecked_time_subtraction,
    reason = "small numbers in tests; a panic fails the test, as it should"
)]
mod tests;
