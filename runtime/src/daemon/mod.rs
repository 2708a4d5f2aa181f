//! Many collectors, each on its interval, for months.
//!
//! A configuration becomes a plan: the [`DesiredCollector`]s. The loader loads their modules, the
//! supervisor starts each collection at its scheduled time, and a collection ends when its
//! datapoints are durable in the spool. From there [`pattoo_output`] delivers them. What happened
//! is in the [`DaemonStatus`], which the status address shows.
//!
//! | file | contents |
//! |---|---|
//! | `plan` | from a configuration to the collectors to run, and the resources that they share |
//! | `schedule` | when each collector runs: arithmetic on two clocks |
//! | `collector_backoff` | how a failing collector runs less often |
//! | `clock` | the clocks themselves |
//! | `module_loader` | from a module file to a collector that can replace another one |
//! | `supervisor` | the one task that starts collections and handles their results |
//! | `collection` | one collection, until its datapoints are durable |
//! | `collector_log` | which of a collector's lines are logged |
//! | `collector_stats`, `collector_state`, `daemon_status` | statistics of one collector, its state, and those of all |
//! | `metrics`, `status_server`, `health` | how they are shown: to Prometheus, to people, and as datapoints |
//! | `time_mark` | whether the clock was set back since payloads were stored |
//! | `daemon_lock`, `systemd_notify` | one daemon for a directory; notifications to the service manager |
//!
//! The daemon never runs a collector twice at the same time, never makes up for missed runs, never
//! replaces a module by another one that was not instantiated, and never lets a failing collector
//! affect others.

mod clock;
mod collection;
mod collector_backoff;
mod collector_log;
mod collector_state;
mod collector_stats;
mod daemon_lock;
mod daemon_status;
mod health;
mod metrics;
mod module_loader;
mod plan;
mod schedule;
mod status_server;
mod supervisor;
mod systemd_notify;
mod time_mark;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use pattoo_base::text::counted;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

pub(crate) use self::collection::termination_of;
pub use self::{
    collection::StorePayloads,
    collector_log::CollectorLog,
    collector_state::CollectorState,
    collector_stats::{
        CollectionRecord, CollectorStats, LastCollection, SkipReason, StatsSnapshot, TerminationReason, Totals,
    },
    daemon_lock::{DirectoryLock, DirectoryLockError},
    daemon_status::{DaemonStatus, LATENESS_BOUNDS, LatenessHistogram, RunningCollection},
    metrics::{FAMILIES, page as metrics_page},
    module_loader::{CollectorLoadError, DesiredCollector, FileStamp, Loader, PreparedCollector},
    plan::{DaemonResources, PlanError, plan},
    status_server::StatusServer,
    supervisor::Supervisor,
    systemd_notify::{Notifier, ServiceState},
    time_mark::TimeMark,
};

/// The time for running collections to finish when the daemon stops.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long the notification that the daemon is ready waits for collectors that are being loaded.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A command to a running daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration again.
    Reload,
    /// Stop.
    Stop,
}

/// Makes a new plan, for a reload. An error is text for people; the previous plan stays in effect.
pub type MakePlan = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<DesiredCollector>, String>> + Send + Sync>;

/// The daemon: a supervisor, its commands, and the notifications to the service manager.
pub struct Daemon {
    supervisor: Supervisor,
    status: Arc<DaemonStatus>,
    notifier: Notifier,
    /// The plan whose collectors are still being loaded.
    starting: Option<Starting>,
}

impl Daemon {
    /// A daemon around a supervisor that has no collectors yet.
    pub fn new(supervisor: Supervisor, status: Arc<DaemonStatus>, notifier: Notifier) -> Self {
        Self { supervisor, status, notifier, starting: None }
    }

    /// Runs `plan`, and the result of `make_plan` at each reload, until a command to stop. Call
    /// [`finish`](Self::finish) then.
    pub async fn run(
        &mut self,
        plan: Vec<DesiredCollector>,
        commands: &mut mpsc::Receiver<Command>,
        make_plan: MakePlan,
    ) {
        let mut alive = tokio::time::interval(self.notifier.alive_every().unwrap_or(Duration::from_hours(1)));
        let mut planning = JoinSet::new();
        let mut again = false;
        self.follow(plan);
        loop {
            let deadline = self.starting.and_then(Starting::deadline);
            tokio::select! {
                () = self.supervisor.step() => {}
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => self.ready_while_loading(),
                _ = alive.tick() => self.notifier.send(ServiceState::Alive, ""),
                command = commands.recv() => match command {
                    Some(Command::Reload) if planning.is_empty() => self.reload(&mut planning, &make_plan),
                    // One at a time. The files may have changed since they were read.
                    Some(Command::Reload) => again = true,
                    Some(Command::Stop) | None => break,
                },
                Some(planned) = planning.join_next() => {
                    let planned = planned.unwrap_or_else(|error| Err(format!("internal error: {error}")));
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

    /// Waits at most [`STOP_WITHIN`] for running collections, then stops the others; their
    /// datapoints are kept. If the future is dropped, all are abandoned at once.
    pub async fn finish(self) {
        self.notifier.send(ServiceState::Stopping, "finishing the running collections");
        match self.status.running() {
            0 => tracing::info!("stopping"),
            count => {
                let running = counted(count, "running collection", "running collections");
                tracing::info!("stopping: waiting up to {STOP_WITHIN:?} for {running}");
            }
        }
        let stopped = self.supervisor.finish(STOP_WITHIN).await;
        if stopped > 0 {
            let stopped = counted(stopped as u64, "collection", "collections");
            tracing::warn!("{stopped} did not finish within {STOP_WITHIN:?} and stopped");
        }
    }

    fn reload(&self, planning: &mut JoinSet<Result<Vec<DesiredCollector>, String>>, make_plan: &MakePlan) {
        tracing::info!("reading the configuration again");
        self.notifier.send(ServiceState::Reloading, "reading the configuration again");
        planning.spawn(make_plan());
    }

    /// Begins with a plan. The service manager is notified that the daemon is ready when all
    /// collectors are loaded or refused, or after [`READY_WITHIN`]: a module that takes long delays
    /// no dependent service.
    fn follow(&mut self, plan: Vec<DesiredCollector>) {
        self.supervisor.follow(plan);
        self.starting = Some(Starting { ready_at: Instant::now().checked_add(READY_WITHIN), is_ready: false });
    }

    /// Notifies that the daemon is ready, with collectors that are still being loaded.
    fn ready_while_loading(&mut self) {
        let Some(starting) = &mut self.starting else { return };
        starting.is_ready = true;
        let (all, running) = self.supervisor.count();
        let status = format!("ready: {running} of {all} collectors, and {} being loaded", self.supervisor.pending());
        tracing::info!("{status}");
        self.status.alive();
        self.notifier.send(ServiceState::Ready, &status);
    }

    fn adopt(&mut self, planned: Result<Vec<DesiredCollector>, String>) {
        match planned {
            Ok(plan) => {
                self.follow(plan);
                self.status.reloaded(true);
            }
            Err(error) => {
                tracing::error!("the new configuration is refused, and the previous one stays in effect: {error}");
                self.status.reloaded(false);
                self.ready(" with the previous configuration: the new one was refused");
            }
        }
    }

    fn ready(&self, by: &str) {
        let (all, running) = self.supervisor.count();
        let status = format!("{running} of {all} collectors run{by}");
        tracing::info!("{status}");
        self.status.alive();
        self.notifier.send(ServiceState::Ready, &status);
    }
}

/// A plan with collectors that are still being loaded.
#[derive(Debug, Clone, Copy)]
struct Starting {
    ready_at: Option<Instant>,
    /// Whether the service manager was notified.
    is_ready: bool,
}

impl Starting {
    /// When the service manager is notified at the latest.
    fn deadline(self) -> Option<Instant> {
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
