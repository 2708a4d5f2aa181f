//! One collection of one collector, from its departure to where what it emitted is safe.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use pattoo_base::clock::unix_millis;
use pattoo_measurement::{Body, Program};
use pattoo_sandbox::{
    Collector, Ending, Outcome, Sandbox, Stop,
    capability::{Assignment, Denial},
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::{
    board::Board,
    ledger::{Entry, Ledger, Reason, Tally},
};

/// Makes a body durable. An error is a sentence: the body may be stored again.
pub type Store = Arc<dyn Fn(Arc<Body>, Program) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How long after a failed attempt to make a body durable the next one is made.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Everything that one collection needs.
pub(super) struct Journey {
    pub(super) sandbox: Arc<Sandbox>,
    /// Bounds how many are under way at once.
    pub(super) seats: Seats,
    /// Whether one of the collector's last collections took long.
    pub(super) is_long: bool,
    pub(super) code: Arc<Collector>,
    pub(super) assignment: Arc<Assignment>,
    pub(super) store: Store,
    pub(super) ledger: Arc<Ledger>,
    pub(super) board: Arc<Board>,
    /// Says when to stop it, wherever it is.
    pub(super) stop: watch::Receiver<bool>,
    /// When it was to begin.
    pub(super) due: Instant,
}

/// Bounds how many collections are under way at once. Collectors whose collections take long have at most half of the seats, so that a
/// crowd of those does not keep the others waiting.
#[derive(Debug, Clone)]
pub(super) struct Seats {
    all: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Seats {
    /// So many.
    pub(super) fn new(count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let half = count.checked_div(2).unwrap_or_default().max(1);
        Self { all: Arc::new(Semaphore::new(count)), long: Arc::new(Semaphore::new(half)) }
    }

    /// Waits for one. It is given back when the answer is dropped; there is none when the daemon has ended.
    async fn take(&self, is_long: bool) -> Option<(Option<SemaphorePermit<'_>>, SemaphorePermit<'_>)> {
        // In this order, so that one that waits for its kind holds nothing that others could use.
        let long = if is_long { Some(self.long.acquire().await.ok()?) } else { None };
        Some((long, self.all.acquire().await.ok()?))
    }
}

/// What the schedule has to know of a collection that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) verdict: Verdict,
    /// How long it had its seat.
    pub(super) took: Duration,
}

/// Whether a collection was worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It went well, or brought something.
    Useful,
    /// It failed and brought nothing.
    Useless,
}

impl Journey {
    /// Collects, and returns when what was emitted is durable, or nothing was, or it is given up.
    pub(super) async fn go(self) -> Arrival {
        // Only closed when the daemon ends, which drops this future as well.
        let Some(_seat) = self.seats.take(self.is_long).await else {
            return Arrival { verdict: Verdict::Useful, took: Duration::ZERO };
        };
        let began = Instant::now();
        let lateness = self.due.elapsed();
        let _under_way = self.board.began(lateness);
        tracing::trace!("{}: begins", self.assignment.agent.program);
        let outcome =
            self.sandbox.collect_until(&self.code, Arc::clone(&self.assignment), told(self.stop.clone())).await;
        let verdict = self.arrive(outcome, lateness).await;
        Arrival { verdict, took: began.elapsed() }
    }

    async fn arrive(&self, outcome: Outcome, lateness: Duration) -> Verdict {
        let program = &self.assignment.agent.program;
        for Denial { what, line, .. } in &outcome.denials {
            let mend = line.as_ref().map_or_else(String::new, |line| format!("; to grant it, under `grants:`: {line}"));
            tracing::warn!("{program}: not granted: {what}{mend}");
        }
        let (mut reason, mut words) = words_of(&outcome.ending);
        let taken = outcome.emission.batch.datapoints() as u64;
        let rejected = outcome.emission.rejected as u64;
        words = format!("{words}, {taken} datapoints taken");
        if rejected > 0 {
            words = format!("{words}, {rejected} rejected");
        }
        if let Some(body) = outcome.emission.batch.into_body(unix_millis())
            && let Err(error) = self.keep(Arc::new(body)).await
        {
            reason = Reason::NotStored;
            words = format!("{words}, and lost: {error}");
        }
        // In this order a crash in between makes the next collection repeat this one; in the other it would lose it.
        if reason != Reason::NotStored
            && let Some(changes) = outcome.state
            && let Err(error) = changes.keep().await
        {
            tracing::error!("{program}: what it wanted to keep is not kept: {error}");
            words = format!("{words}, what it wanted to keep is not kept: {error}");
        }
        let good = reason == Reason::Completed;
        let tally = Tally {
            duration: outcome.duration,
            lateness,
            taken,
            rejected,
            usage: outcome.usage,
            peak_memory: outcome.peak_memory as u64,
        };
        // A collector that fails the same way each time says so once.
        let news = self.ledger.enter(Entry { reason, words: words.clone(), tally });
        if news && !good {
            tracing::warn!("{program}: {words}");
        } else {
            tracing::debug!("{program}: {words}");
        }
        if good || taken > 0 { Verdict::Useful } else { Verdict::Useless }
    }

    /// Makes a body durable. Where that fails it is tried again until the collector's next turn has come: a disk that is full for
    /// a moment costs nothing, one that stays full must not fill memory as well.
    async fn keep(&self, body: Arc<Body>) -> Result<(), String> {
        let agent = &self.assignment.agent;
        let began = Instant::now();
        let mut said = false;
        loop {
            let Err(error) = (self.store)(Arc::clone(&body), agent.program.clone()).await else { return Ok(()) };
            if began.elapsed() >= agent.polling_interval.duration() {
                tracing::error!("{}: {} datapoints are lost: {error}", agent.program, body.datapoints());
                return Err(error);
            }
            if !said {
                tracing::error!("{}: not durable yet, trying again: {error}", agent.program);
                said = true;
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }
}

/// Waits until it is told to stop.
async fn told(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say it.
        std::future::pending::<()>().await;
    }
}

/// How a collection ended, to count and to read.
pub(crate) fn words_of(ending: &Ending) -> (Reason, String) {
    match ending {
        Ending::Completed => (Reason::Completed, "completed".to_owned()),
        Ending::Failed(message) => (Reason::Failed, format!("the collector failed: {message}")),
        Ending::Stopped(stop) => {
            let reason = match stop {
                Stop::Trap { .. } => Reason::Trap,
                Stop::Deadline(_) => Reason::Deadline,
                Stop::Limit(_) => Reason::Limit,
                Stop::State(_) => Reason::Fault,
                Stop::Interrupted => Reason::Interrupted,
            };
            (reason, stop.to_string())
        }
    }
}
