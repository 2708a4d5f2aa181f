//! A timeout for one request after the other that costs nothing while all replies arrive in time.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that stays set from one request to the next.
///
/// To set a timer that fires earlier than all others wakes the thread that waits for the network,
/// which is two system calls: as much as the whole exchange with a fast device. So a timer that
/// fires before the limit is left as it is, and is set to the limit only when it has fired: once
/// for each timeout, not once for each request.
pub(super) struct LazyTimeout(Pin<Box<Sleep>>);

impl LazyTimeout {
    /// A timeout that is not set.
    pub(super) fn new() -> Self {
        Self(Box::pin(sleep_until(Instant::now())))
    }

    /// Waits for `work`, but no longer than until `due`.
    pub(super) async fn until<T>(&mut self, due: Instant, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            if due < self.0.deadline() {
                self.0.as_mut().reset(due);
            }
            loop {
                ready!(self.0.as_mut().poll(context));
                if due <= self.0.deadline() {
                    return Poll::Ready(None);
                }
                self.0.as_mut().reset(due);
            }
        })
        .await
    }
}

/// The time `time` after `moment`; a year after it where that overflows.
pub(crate) fn after(moment: Instant, time: Duration) -> Instant {
    const LONG: Duration = Duration::from_hours(24 * 365);
    moment.checked_add(time).or_else(|| moment.checked_add(LONG)).unwrap_or(moment)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{sleep, timeout};

    use super::*;

    const FOREVER: Duration = Duration::from_mins(1);

    fn later(milliseconds: u64) -> Instant {
        Instant::now() + Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn each_limit_holds_whatever_the_previous_one_was() {
        let mut limit = LazyTimeout::new();
        for milliseconds in [50, 20, 20, 80, 0, 30] {
            let due = later(milliseconds);
            assert_eq!(timeout(FOREVER, limit.until(due, pending::<()>())).await, Ok(None));
            assert!(Instant::now() >= due, "{milliseconds} ms");
        }
    }

    #[tokio::test]
    async fn earlier_limit_does_not_end_later_work() {
        let mut limit = LazyTimeout::new();
        assert_eq!(limit.until(later(60), ready(1)).await, Some(1));
        let slow = async |time| {
            sleep(Duration::from_millis(time)).await;
            time
        };
        // This sets the timer; the next limit is after it.
        assert_eq!(limit.until(later(60), slow(20)).await, Some(20));
        let due = Instant::now() + FOREVER;
        assert_eq!(limit.until(due, slow(120)).await, Some(120));
    }

    #[tokio::test]
    async fn limit_that_is_earlier_than_the_previous_one_holds() {
        let mut limit = LazyTimeout::new();
        let slow = async { sleep(Duration::from_millis(20)).await };
        assert_eq!(limit.until(Instant::now() + FOREVER * 2, slow).await, Some(()));
        assert_eq!(timeout(FOREVER, limit.until(later(10), pending::<()>())).await, Ok(None));
    }
}
