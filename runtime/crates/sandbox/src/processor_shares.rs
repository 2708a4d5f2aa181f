//! Processor time, shared fairly between collections.
//!
//! A collection yields every 10 ms. Without more, a short collection would wait for each of its steps behind all collections that
//! never end. So each collection gets a little processor time at once ([`FREE`]), more than most ever need. After that it computes
//! only while it holds a turn. There is one turn for each processor, and the collection that has used the least time gets the next
//! one. Collections that have computed for long share one turn less, so one processor stays free for the others and for the
//! daemon. A collection that waits for the host holds no turn.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use pattoo_base::turns::{Turn, Turns, Waiting};

/// How long a collection computes before it needs turns.
const FREE: Duration = Duration::from_millis(10);
/// How long it computes before it leaves a processor to others. A language's runtime starts in less.
const LONG: Duration = Duration::from_millis(500);

/// The turns of all collections.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    /// Of all that need turns.
    all: Turns,
    /// Of those beyond [`LONG`], which need one of these as well.
    long: Turns,
}

impl Shares {
    /// Those of this machine.
    pub(super) fn new() -> Self {
        Self::of(available_parallelism().map_or(1, std::num::NonZeroUsize::get))
    }

    /// Those of so many processors.
    fn of(processors: usize) -> Self {
        Self { all: Turns::new(processors), long: Turns::new(processors.saturating_sub(1).max(1)) }
    }

    /// The outcome of `collection`, which sets `yielded` when it yields although it could continue.
    pub(super) fn share<F: Future + Unpin>(&self, collection: F, yielded: Arc<AtomicBool>) -> Shared<F> {
        let shares = self.clone();
        Shared { shares, collection, yielded, used: Duration::ZERO, place: TurnPlace::default() }
    }
}

/// Where a collection stands in the order of turns.
#[derive(Debug, Default)]
struct TurnPlace {
    long: Order,
    all: Order,
}

/// The same in one of the two.
#[derive(Debug, Default)]
enum Order {
    #[default]
    Outside,
    Waiting(Waiting),
    Has(#[expect(dead_code, reason = "it ends when it is dropped")] Turn),
}

impl Order {
    /// Whether it has a turn; waits for one if not.
    fn has(&mut self, turns: &Turns, weight: u64, context: &mut Context<'_>) -> bool {
        if let Self::Outside = self {
            *self = Self::Waiting(turns.wait(weight));
        }
        if let Self::Waiting(waiting) = self
            && let Poll::Ready(turn) = Pin::new(waiting).poll(context)
        {
            *self = Self::Has(turn);
        }
        matches!(self, Self::Has(_))
    }
}

/// A collection that computes only when it may.
pub(super) struct Shared<F> {
    shares: Shares,
    collection: F,
    yielded: Arc<AtomicBool>,
    /// How long it has computed.
    used: Duration,
    place: TurnPlace,
}

impl<F> Shared<F> {
    /// Whether it may compute now.
    fn may_compute(&mut self, context: &mut Context<'_>) -> bool {
        if self.used < FREE {
            return true;
        }
        let Self { shares: Shares { all, long }, place, used, .. } = self;
        let weight = u64::try_from(used.as_micros()).unwrap_or(u64::MAX);
        let lighter = |order: &Order, turns: &Turns| matches!(order, Order::Has(_)) && turns.is_lighter_waiting(weight);
        // It yielded, timers and sockets were served, and a collection that has used less time is waiting.
        if lighter(&place.all, all) || lighter(&place.long, long) {
            *place = TurnPlace::default();
        }
        (*used < LONG || place.long.has(long, weight, context)) && place.all.has(all, weight, context)
    }
}

impl<F: Future + Unpin> Future for Shared<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.may_compute(context) {
            return Poll::Pending;
        }
        let began = Instant::now();
        let polled = Pin::new(&mut self.collection).poll(context);
        self.used = self.used.saturating_add(began.elapsed());
        // A collection that yielded keeps its turn until timers and sockets were served. One that waits for the host computes nothing.
        if !self.yielded.swap(false, Ordering::Relaxed) {
            self.place = TurnPlace::default();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering},
        },
        thread::sleep,
        time::Duration,
    };

    use futures_util::FutureExt as _;

    use super::{FREE, LONG, Shares};

    /// Computes in so many steps, each for so long, and gives way in between; notes each step under its name.
    async fn computes(name: char, steps: usize, step: Duration, yielded: Arc<AtomicBool>, said: Arc<Mutex<String>>) {
        for _ in 0..steps {
            sleep(step);
            said.lock().unwrap().push(name);
            yielded.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    async fn run(shares: &Shares, collections: Vec<(char, usize, Duration)>) -> String {
        let said = Arc::new(Mutex::new(String::new()));
        let all = collections.into_iter().map(|(name, steps, step)| {
            let yielded = Arc::new(AtomicBool::new(false));
            shares.share(Box::pin(computes(name, steps, step, Arc::clone(&yielded), Arc::clone(&said))), yielded)
        });
        futures_util::future::join_all(all).await;
        Arc::into_inner(said).unwrap().into_inner().unwrap()
    }

    #[tokio::test]
    async fn who_has_computed_the_least_goes_first() {
        // One turn for all. Were it in turn, the others had had six steps when the short one has had its three.
        let said = run(&Shares::of(1), vec![('l', 8, FREE * 4), ('m', 8, FREE * 4), ('s', 3, FREE)]).await;
        let steps = said.chars().rev().skip_while(|name| *name != 's');
        let before = steps.filter(|name| *name != 's').count();
        assert!(before <= 4, "{said}");
    }

    #[tokio::test]
    async fn those_that_compute_for_long_leave_a_turn_to_others() {
        let shares = Shares::of(2);
        // Both turns of all would be taken by two of these, were they not held to one of their own.
        let long = LONG + FREE;
        let (first, second) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let said = Arc::new(Mutex::new(String::new()));
        let mut first =
            Box::pin(shares.share(Box::pin(computes('a', 9, long, Arc::clone(&first), Arc::clone(&said))), first));
        let mut second =
            Box::pin(shares.share(Box::pin(computes('b', 9, long, Arc::clone(&second), Arc::clone(&said))), second));
        for _ in 0..2 {
            assert!((&mut first).now_or_never().is_none());
            assert!((&mut second).now_or_never().is_none());
        }
        // The second one waits, and the turn that is left is there.
        assert_eq!(*said.lock().unwrap(), "aba");
        assert!(shares.all.wait(0).now_or_never().is_some());
    }
}
