//! One collection of one collector, from its scheduled time until its datapoints are durable.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use pattoo_base::{
    clock::unix_millis,
    invariant::{Invariant as _, broken},
};
use pattoo_output::Encoders;
use pattoo_sandbox::{
    Collector, Outcome, Sandbox, StopReason, Termination,
    capability::{Assignment, Denial, Usage},
};
use pattoo_spool::NewPayload;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tracing::Level;

use super::{
    collector_log::CollectorLog,
    collector_stats::{CollectionRecord, CollectorStats, TerminationReason, Totals},
    daemon_status::DaemonStatus,
};

/// Makes the payloads of a collection durable. An error is text for people: they can be stored
/// again.
pub type StorePayloads = Arc<dyn Fn(Vec<NewPayload>) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The delay between two attempts to make payloads durable.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Everything that one collection needs.
pub(super) struct CollectionTask {
    pub(super) sandbox: Arc<Sandbox>,
    /// Limits how many collections run at once.
    pub(super) permits: ConcurrencyPermits,
    /// Whether one of the collector's last collections took long.
    pub(super) is_long: bool,
    pub(super) code: Arc<Collector>,
    pub(super) assignment: Arc<Assignment>,
    pub(super) store: StorePayloads,
    pub(super) log: Arc<CollectorLog>,
    pub(super) stats: Arc<CollectorStats>,
    pub(super) status: Arc<DaemonStatus>,
    /// True once the collection is to be stopped.
    pub(super) stop: watch::Receiver<bool>,
    /// Its scheduled time.
    pub(super) due: Instant,
}

/// Limits how many collections run at once. Collectors whose collections take long have at most
/// half of the permits, so that many of them do not delay the others.
#[derive(Debug, Clone)]
pub(super) struct ConcurrencyPermits {
    all: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl ConcurrencyPermits {
    /// This many permits.
    pub(super) fn new(count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let half = count.checked_div(2).or_broken("two is not zero", 1).max(1);
        Self { all: Arc::new(Semaphore::new(count)), long: Arc::new(Semaphore::new(half)) }
    }

    /// Waits for a permit, which is returned when the result is dropped; none when the daemon has
    /// ended.
    async fn acquire(&self, is_long: bool) -> Option<(Option<SemaphorePermit<'_>>, SemaphorePermit<'_>)> {
        // In this order, so that a task that waits for one of its kind holds no permit that others
        // could use.
        let long = if is_long { Some(self.long.acquire().await.ok()?) } else { None };
        Some((long, self.all.acquire().await.ok()?))
    }
}

/// What the supervisor needs to know about a collection that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskOutput {
    pub(super) result: CollectionResult,
    /// How long it held its permit.
    pub(super) took: Duration,
}

/// What a collection means for the back-off of its collector, and for what is over in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectionResult {
    /// The collection completed.
    Complete,
    /// It completed partially, or emitted datapoints before it failed.
    Incomplete,
    /// The collection failed and emitted nothing.
    Failure,
}

impl CollectionTask {
    /// Collects. Returns when the datapoints are durable or lost.
    pub(super) async fn run(self) -> TaskOutput {
        // Only closed when the daemon ends, which drops this future as well.
        let Some(_permit) = self.permits.acquire(self.is_long).await else {
            return TaskOutput { result: CollectionResult::Incomplete, took: Duration::ZERO };
        };
        let began = Instant::now();
        let lateness = self.due.elapsed();
        let _running = self.status.collection_began(lateness);
        tracing::trace!("{}: collection begins", self.assignment.agent.program);
        let outcome = self
            .sandbox
            .collect_until(&self.code, Arc::clone(&self.assignment), stop_requested(self.stop.clone()))
            .await;
        let result = self.finish(outcome, lateness).await;
        TaskOutput { result, took: began.elapsed() }
    }

    async fn finish(&self, outcome: Outcome, lateness: Duration) -> CollectionResult {
        let program = &self.assignment.agent.program;
        for Denial { what, line, .. } in &outcome.denials {
            let fix = |line: &String| format!("; to grant it, write under `grants:`: {line}");
            let fix = line.as_ref().map_or_else(String::new, fix);
            self.log.problem(program, Level::WARN, &format!("{what}{fix}"));
        }
        let (mut reason, mut message) = termination_of(&outcome.ending);
        if reason == TerminationReason::Completed
            && let Some(failed) = failed_requests(&outcome.usage)
        {
            reason = TerminationReason::Partial;
            message = format!("completed partially: requests failed: {failed}");
        }
        let accepted = outcome.emission.sink.datapoints() as u64;
        let rejected = outcome.emission.rejected as u64;
        message = format!("{message}, {accepted} datapoints accepted");
        if rejected > 0 {
            message = format!("{message}, {rejected} rejected");
        }
        let stored = if let Some(encoders) = Encoders::of(outcome.emission.sink) {
            self.store(encoders, accepted).await
        } else {
            broken("a collection of the daemon emits to the encoders of its outputs");
            Err("internal error".to_owned())
        };
        if let Err(error) = stored {
            reason = TerminationReason::NotStored;
            message = format!("{message}, but they are lost: {error}");
        }
        // In this order a crash in between makes the next collection repeat this one. In the other
        // order it would be lost.
        if reason != TerminationReason::NotStored
            && let Some(changes) = outcome.state
            && let Err(error) = changes.keep().await
        {
            self.log.problem(program, Level::ERROR, &format!("cannot store its state: {error}"));
            message = format!("{message}, but its state is not stored: {error}");
        }
        let totals = Totals {
            duration: outcome.duration,
            lateness,
            accepted,
            rejected,
            usage: outcome.usage,
            peak_memory: outcome.peak_memory as u64,
        };
        let result = match reason {
            TerminationReason::Completed => CollectionResult::Complete,
            TerminationReason::Partial => CollectionResult::Incomplete,
            _ if accepted > 0 => CollectionResult::Incomplete,
            _ => CollectionResult::Failure,
        };
        if result == CollectionResult::Complete {
            tracing::debug!("{program}: {message}");
        } else {
            self.log.failure(program, &message);
        }
        self.stats.record(CollectionRecord { reason, message, totals });
        result
    }

    /// Makes the payloads durable. If that fails it is tried again for one interval: a disk that is
    /// full for a moment costs nothing, one that stays full must not fill memory as well.
    async fn store(&self, encoders: Encoders, datapoints: u64) -> Result<(), String> {
        let agent = &self.assignment.agent;
        let payloads = encoders.into_payloads(unix_millis()).map_err(|error| error.to_string())?;
        if payloads.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let mut logged = false;
        loop {
            let Err(error) = (self.store)(payloads.clone()).await else { return Ok(()) };
            if began.elapsed() >= agent.polling_interval.duration() {
                let text = format!("{datapoints} datapoints are lost: {error}");
                self.log.problem(&agent.program, Level::ERROR, &text);
                return Err(error);
            }
            if !logged {
                let text = format!("cannot store datapoints yet, trying again: {error}");
                self.log.problem(&agent.program, Level::ERROR, &text);
                logged = true;
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }
}

/// The devices and origins to which requests failed, each with how many did; none if no request
/// failed.
fn failed_requests(usage: &Usage) -> Option<String> {
    /// How many are named.
    const NAMED: usize = 8;
    let peers = usage.calls().flat_map(|(_, calls)| &calls.by_peer);
    let failed = peers.filter(|(_, calls)| calls.failures > 0);
    let mut failed: Vec<_> =
        failed.map(|(peer, calls)| format!("{peer} ({} of {})", calls.failures, calls.requests)).collect();
    if failed.is_empty() {
        return None;
    }
    let more = failed.split_off(failed.len().min(NAMED)).len();
    if more > 0 {
        failed.push(format!("{more} more"));
    }
    Some(failed.join(", "))
}

/// Waits until the collection is to be stopped.
async fn stop_requested(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // The supervisor is gone, so no request will come.
        std::future::pending::<()>().await;
    }
}

/// Why a collection ended, as a counter and as text.
pub(crate) fn termination_of(ending: &Termination) -> (TerminationReason, String) {
    match ending {
        Termination::Completed => (TerminationReason::Completed, "completed".to_owned()),
        Termination::Failed(message) => (TerminationReason::Failed, format!("the collector failed: {message}")),
        Termination::Stopped(stop) => {
            let reason = match stop {
                StopReason::Trap { .. } => TerminationReason::Trap,
                StopReason::Deadline(_) => TerminationReason::Deadline,
                StopReason::Limit(_) => TerminationReason::Limit,
                StopReason::State(_) => TerminationReason::Fault,
                StopReason::Interrupted => TerminationReason::Interrupted,
            };
            (reason, stop.to_string())
        }
    }
}
