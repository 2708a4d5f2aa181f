//! How long a host function may keep a thread: the longest turn of a collection that makes one call
//! with the largest arguments.
//!
//! A computing guest yields every 10 ms, and a call may begin at the end of such a slice and take
//! another 10 ms.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use pattoo_tests::{
    Collecting,
    figures::{Samples, Target, say},
    long_assignment_without_grants, worst_calls,
};

const ROUNDS: usize = 5;

pub(crate) fn figures() {
    let bench = Collecting::new();
    let assignment = long_assignment_without_grants();
    for case in worst_calls::cases() {
        let collector = bench.load(&case.guest(case.largest, 1));
        let longest = || {
            let mut longest = Duration::ZERO;
            let mut collection = pin!(bench.collection(&collector, Arc::clone(&assignment)));
            let timed = poll_fn(|context| {
                let began = Instant::now();
                let polled = collection.as_mut().poll(context);
                longest = longest.max(began.elapsed());
                polled.map(drop)
            });
            bench.tokio.block_on(timed);
            longest.as_secs_f64()
        };
        let samples = Samples::new((0..ROUNDS).map(|_| longest()).collect());
        let name = format!("calls: ms of the longest turn, `{}` of {} kB", case.name, case.largest / 1000);
        say(&name, &samples.times(1e3), None, Target::AtMost(20.0));
    }
}
