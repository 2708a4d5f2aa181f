//! A time limit for one exchange after the other, that costs nothing while all keep it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that stays set from one exchange to the next.
///
/// To set a timer that is the next one to go off means to wake the thread that waits for the network, which is two
/// system calls; for an exchange with a fast device that is as much as the exchange itself. So a timer that goes off
/// before the limit is left as it is, and set to the limit only when it has gone off: once in a time limit, not once in
/// an exchange.
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// One that is not set.
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

/// That much later; a long while later for times that no clock shows.
pub(super) fn after(moment: Instant, time: Duration) -> Instant {
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
    async fn each_limit_is_kept_to_whatever_the_one_before_was() {
        let mut alarm = Alarm::new();
        for milliseconds in [50, 20, 20, 80, 0, 30] {
            let due = later(milliseconds);
            assert_eq!(timeout(FOREVER, alarm.until(due, pending::<()>())).await, Ok(None));
            assert!(Instant::now() >= due, "{milliseconds} ms");
        }
    }

    #[tokio::test]
    async fn an_earlier_limit_that_was_kept_does_not_end_what_comes_after_it() {
        let mut alarm = Alarm::new();
        assert_eq!(alarm.until(later(60), ready(1)).await, Some(1));
        let slow = async |time| {
            sleep(Duration::from_millis(time)).await;
            time
        };
        // Here the timer is set; the next one goes on over it.
        assert_eq!(alarm.until(later(60), slow(20)).await, Some(20));
        let due = Instant::now() + FOREVER;
        assert_eq!(alarm.until(due, slow(120)).await, Some(120));
    }

    #[tokio::test]
    async fn a_limit_that_is_earlier_than_the_one_before_holds() {
        let mut alarm = Alarm::new();
        let slow = async { sleep(Duration::from_millis(20)).await };
        assert_eq!(alarm.until(Instant::now() + FOREVER * 2, slow).await, Some(()));
        assert_eq!(timeout(FOREVER, alarm.until(later(10), pending::<()>())).await, Ok(None));
    }
}
