//! What the daemon shows of itself: the ledgers of all collectors, and what is not any one collector's.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pattoo_base::clock::unix_millis;
use pattoo_measurement::Program;

use super::ledger::Ledger;

/// Upper bounds of the buckets of lateness, in milliseconds.
pub const LATENESS_BOUNDS: [u64; 7] = [1, 5, 20, 100, 500, 2_000, 10_000];

/// How long the schedule may be silent before it counts as dead. It shows itself every second.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// The state of the whole daemon, written by the schedule and its collections, read by the status address.
#[derive(Debug)]
pub struct Board {
    ledgers: RwLock<BTreeMap<Program, Arc<Ledger>>>,
    /// When the daemon started, in Unix milliseconds.
    pub started: u64,
    origin: Instant,
    /// Milliseconds since `origin` at which the schedule last showed itself.
    seen: AtomicU64,
    under_way: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS.len() + 1],
    lateness_micros: AtomicU64,
    /// Times that the wall clock jumped.
    pub realignments: AtomicU64,
    /// Reloads that were carried out.
    pub reloads: AtomicU64,
    /// Reloads that were refused, since the configuration could not be used.
    pub refused_reloads: AtomicU64,
}

/// How late collections began: how many in each bucket, not added up, and the sum.
#[derive(Debug, Clone, Copy)]
pub struct Lateness {
    /// One for each of [`LATENESS_BOUNDS`], then one for all above.
    pub buckets: [u64; LATENESS_BOUNDS.len() + 1],
    /// Of all together.
    pub sum: Duration,
}

/// A collection that is under way, however it ends.
#[derive(Debug)]
pub struct UnderWay(Arc<Board>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Board {
    fn default() -> Self {
        Self {
            ledgers: RwLock::default(),
            started: unix_millis(),
            origin: Instant::now(),
            seen: AtomicU64::default(),
            under_way: AtomicU64::default(),
            lateness: <[AtomicU64; LATENESS_BOUNDS.len() + 1]>::default(),
            lateness_micros: AtomicU64::default(),
            realignments: AtomicU64::default(),
            reloads: AtomicU64::default(),
            refused_reloads: AtomicU64::default(),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Board {
    /// The ledger of a program, made if it is not there yet.
    pub fn ledger(&self, program: &Program) -> Arc<Ledger> {
        let mut ledgers = self.ledgers.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(ledgers.entry(program.clone()).or_default())
    }

    /// Forgets a program that is no longer run.
    pub fn remove(&self, program: &Program) {
        self.ledgers.write().unwrap_or_else(PoisonError::into_inner).remove(program);
    }

    /// All ledgers, by program.
    pub fn ledgers(&self) -> Vec<(Program, Arc<Ledger>)> {
        let ledgers = self.ledgers.read().unwrap_or_else(PoisonError::into_inner);
        ledgers.iter().map(|(program, ledger)| (program.clone(), Arc::clone(ledger))).collect()
    }

    /// A collection began, so long after its time. It is under way until the answer is dropped.
    pub fn began(self: &Arc<Self>, lateness: Duration) -> UnderWay {
        let bucket = LATENESS_BOUNDS.iter().position(|bound| lateness <= Duration::from_millis(*bound));
        if let Some(bucket) = self.lateness.get(bucket.unwrap_or(LATENESS_BOUNDS.len())) {
            count(bucket);
        }
        let micros = u64::try_from(lateness.as_micros()).unwrap_or(u64::MAX);
        self.lateness_micros.fetch_add(micros, Ordering::Relaxed);
        count(&self.under_way);
        UnderWay(Arc::clone(self))
    }

    /// Collections under way.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How late collections began.
    pub fn lateness(&self) -> Lateness {
        let buckets = self.lateness.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        Lateness { buckets, sum: Duration::from_micros(self.lateness_micros.load(Ordering::Relaxed)) }
    }

    /// The schedule shows itself.
    pub fn alive(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen.store(now, Ordering::Relaxed);
    }

    /// Whether the schedule has shown itself lately.
    pub fn is_alive(&self) -> bool {
        self.is_alive_at(self.origin.elapsed())
    }

    fn is_alive_at(&self, now: Duration) -> bool {
        let seen = Duration::from_millis(self.seen.load(Ordering::Relaxed));
        now.saturating_sub(seen) < DEAD_AFTER
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Board, DEAD_AFTER};

    #[test]
    fn a_schedule_that_does_not_show_itself_is_dead() {
        let board = Board::default();
        board.alive();
        assert!(board.is_alive());
        assert!(board.is_alive_at(DEAD_AFTER.saturating_sub(Duration::from_secs(1))));
        assert!(!board.is_alive_at(DEAD_AFTER.saturating_add(Duration::from_mins(1))));
    }
}
