//! What a call costs that goes through the sandbox's boundary, for each item of it: many in one
//! call, against a call for each.

use std::sync::Arc;

use pattoo_sandbox::capability::Assignment;
use pattoo_tests::{
    Collecting, RawSite, agent, assignment_with_grants,
    emitter::emitter,
    figures::{Samples, Target, cpu_seconds, interleaved, say, seconds},
    libmodbus_device_quiet, long_assignment_without_grants, long_timeout,
    request_modules::{SPANS_OF_A_TABLE, fetcher, reader},
};

const POINTS: usize = 10_000;
const SPANS: usize = 4 * SPANS_OF_A_TABLE;
const FETCHES: usize = 100;

pub(crate) fn figures() {
    let bench = Collecting::new();
    let unlimited = long_assignment_without_grants();
    let points = each(&bench, &unlimited, POINTS, 21, |calls| emitter(POINTS, calls, 0), |work| cpu_seconds(work));
    show(&points, 1e9, "ns for a datapoint, 10 000 of them in one `emit`");

    let device = libmodbus_device_quiet();
    let site = RawSite::saying("{\"temperature\": 21.5}");
    let granted = bench.tokio.block_on(async {
        assignment_with_grants(agent("boundary"), device.address(), site.address()).limits(long_timeout()).build()
    });
    let granted = Arc::new(granted.unwrap());
    let spans = each(&bench, &granted, SPANS, 21, reader, |work| seconds(work));
    show(&spans, 1e6, "us for a span of one address, 1 000 of them in one `read-many`");
    let url = format!("http://{}/weather.json", site.address());
    let fetches = each(&bench, &granted, FETCHES, 21, |calls| fetcher(&url, FETCHES, calls), |work| seconds(work));
    show(&fetches, 1e6, "us for a fetch, 100 of them in one `fetch-all`");
}

/// Seconds for an item: all in one call, and a call for each.
fn each(
    bench: &Collecting,
    assignment: &Arc<Assignment>,
    items: usize,
    rounds: u32,
    module: impl Fn(usize) -> String,
    timed: impl Fn(&mut dyn FnMut()) -> f64,
) -> (Samples, Samples) {
    let [one, many] = [1, items].map(|calls| bench.load(&module(calls)));
    let collect = |collector| timed(&mut || drop(bench.collect(collector, assignment))) / items as f64;
    interleaved(rounds, || collect(&one), || collect(&many))
}

fn show((one, many): &(Samples, Samples), unit: f64, what: &str) {
    let name = format!("boundary: {what}, against a call for each");
    say(&name, &one.times(unit), Some(&many.times(unit)), Target::None);
}
