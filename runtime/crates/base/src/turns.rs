//! Permits for a limited resource, given out by weight.
//!
//! Each waiting task has a weight. The lightest gets the next permit; among equals the one that
//! waits longest. The caller chooses the meaning of the weights: the time that a task has used so
//! far, or the amount of work that it has.
//!
//! ```
//! use pattoo_base::turns::Turns;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let turns = Turns::new(1);
//! let turn = turns.wait(0).await;
//! let (mut heavy, mut light) = (turns.wait(9), turns.wait(1));
//! tokio::select! {
//!     biased;
//!     _ = &mut heavy => unreachable!(),
//!     _ = &mut light => unreachable!(),
//!     () = async {} => {}
//! }
//! drop(turn);
//! tokio::select! {
//!     biased;
//!     _ = &mut heavy => unreachable!(),
//!     _turn = &mut light => {}
//! }
//! # }
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use crate::lock::lock;

/// A number of permits, shared by all clones.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    tickets: u64,
    /// By weight and ticket.
    waiting: BTreeMap<(u64, u64), Waker>,
    /// Tickets that have a permit, before their task has noticed.
    called: BTreeSet<u64>,
}

impl State {
    /// Gives a returned permit to the next task.
    fn pass_on(&mut self) -> Option<Waker> {
        if let Some(((_, ticket), waker)) = self.waiting.pop_first() {
            self.called.insert(ticket);
            Some(waker)
        } else {
            self.free = self.free.saturating_add(1);
            None
        }
    }
}

impl Turns {
    /// At most `count` permits at once.
    pub fn new(count: usize) -> Self {
        let (waiting, called) = (BTreeMap::new(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State { free: count, tickets: 0, waiting, called })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Waits for a permit.
    pub fn wait(&self, weight: u64) -> Waiting {
        Waiting { turns: self.clone(), weight, ticket: None }
    }

    /// Whether a task with less weight is waiting.
    pub fn is_lighter_waiting(&self, weight: u64) -> bool {
        self.state().waiting.first_key_value().is_some_and(|((first, _), _)| *first < weight)
    }

    fn end(&self) {
        let next = self.state().pass_on();
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// A future for a permit. Dropping it stops waiting.
#[derive(Debug)]
pub struct Waiting {
    turns: Turns,
    weight: u64,
    ticket: Option<u64>,
}

impl Future for Waiting {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let turns = self.turns.clone();
        let mut state = turns.state();
        if let Some(ticket) = self.ticket {
            if state.called.remove(&ticket) {
                self.ticket = None;
                drop(state);
                return Poll::Ready(Turn(turns));
            }
            if let Some(waker) = state.waiting.get_mut(&(self.weight, ticket)) {
                waker.clone_from(context.waker());
            }
            return Poll::Pending;
        }
        if let Some(free) = state.free.checked_sub(1) {
            state.free = free;
            drop(state);
            return Poll::Ready(Turn(turns));
        }
        let ticket = state.tickets;
        state.tickets = ticket.wrapping_add(1);
        state.waiting.insert((self.weight, ticket), context.waker().clone());
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.turns.state();
        let was_called = state.called.remove(&ticket);
        state.waiting.remove(&(self.weight, ticket));
        drop(state);
        if was_called {
            self.turns.end();
        }
    }
}

/// A permit, which is returned when this is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped is returned"]
pub struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::{Turn, Turns, Waiting};

    fn taken(waiting: &mut Waiting) -> Option<Turn> {
        pin!(waiting).now_or_never()
    }

    #[test]
    fn lightest_is_first_and_among_equals_the_one_that_waits_longest() {
        let turns = Turns::new(1);
        let turn = taken(&mut turns.wait(9)).unwrap();
        let waiting = [(5, 'a'), (3, 'b'), (5, 'c'), (1, 'd')].map(|(weight, name)| (turns.wait(weight), name));
        let mut waiting = Vec::from(waiting);
        assert!(waiting.iter_mut().all(|(waiting, _)| taken(waiting).is_none()));
        assert!(turns.is_lighter_waiting(2) && !turns.is_lighter_waiting(1));
        drop(turn);
        let mut order = String::new();
        for _ in 0..4 {
            let next = waiting.iter_mut().position(|(waiting, _)| taken(waiting).is_some());
            order.push(waiting.remove(next.unwrap()).1);
        }
        assert_eq!(order, "dbac");
        assert!(taken(&mut turns.wait(0)).is_some(), "all have ended");
    }

    #[test]
    fn dropped_waiter_does_not_delay_others() {
        let turns = Turns::new(1);
        let turn = taken(&mut turns.wait(0)).unwrap();
        let (mut gone, mut called, mut last) = (turns.wait(0), turns.wait(1), turns.wait(2));
        assert!([&mut gone, &mut called, &mut last].into_iter().all(|waiting| taken(waiting).is_none()));
        drop(gone);
        drop(turn);
        // It has a permit, and is dropped before it takes it.
        drop(called);
        assert!(taken(&mut last).is_some());
    }

    #[test]
    fn no_more_permits_are_given_than_exist() {
        let turns = Turns::new(2);
        let (first, second) = (taken(&mut turns.wait(0)), taken(&mut turns.wait(0)));
        assert!(first.is_some() && second.is_some());
        let mut third = turns.wait(0);
        assert!(taken(&mut third).is_none());
        drop(first);
        assert!(taken(&mut third).is_some());
    }
}
