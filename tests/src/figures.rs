//! Figures, held against a rival and a target. This is all the shape that a benchmark has: it samples, and says what came of it.
//!
//! Everything that is compared runs in one go, in turns, and medians are taken, so that a busy machine is busy for both. What
//! needs one processor and nothing else is timed by the time that its thread had of it.

use std::time::{Duration, Instant};

use serde_json::json;

/// What was measured several times: all of it times, or all of it rates.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Of these.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The one that this part of them (0 to 1) does not exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few samples"
        )]
        let place = (part * self.0.len().saturating_sub(1) as f64).round() as usize;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The same in another unit.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// How far the middle half of them reaches, as a part of the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.median()
    }
}

/// Samples both in turns, A B B A.
pub fn interleaved(rounds: u32, mut ours: impl FnMut() -> f64, mut other: impl FnMut() -> f64) -> (Samples, Samples) {
    let (mut of_ours, mut of_other) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            of_ours.push(ours());
            of_other.push(other());
        } else {
            of_other.push(other());
            of_ours.push(ours());
        }
    }
    (Samples::new(of_ours), Samples::new(of_other))
}

/// Samples one.
pub fn repeated(rounds: u32, mut ours: impl FnMut() -> f64) -> Samples {
    Samples::new((0..rounds).map(|_| ours()).collect())
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least this many times the other's.
    TimesAtLeast(f64),
    /// At most this many times the other's.
    TimesAtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Whatever it is.
    None,
}

/// Says a figure, as a line of JSON on standard output for `cargo xtask bench`.
#[expect(clippy::print_stdout, reason = "that is how a benchmark says its figures")]
pub fn say(name: &str, ours: &Samples, other: Option<&Samples>, target: Target) {
    let figure = ours.median();
    let ratio = other.map(|other| figure / other.median());
    let (words, met) = match target {
        Target::TimesAtLeast(bound) => (format!(">= {bound} x"), ratio.map(|ratio| ratio >= bound)),
        Target::TimesAtMost(bound) => (format!("<= {bound} x"), ratio.map(|ratio| ratio <= bound)),
        Target::AtLeast(bound) => (format!(">= {bound}"), Some(figure >= bound)),
        Target::AtMost(bound) => (format!("<= {bound}"), Some(figure <= bound)),
        Target::None => ("-".to_owned(), None),
    };
    println!(
        "{}",
        json!({
            "name": name, "ours": figure, "other": other.map(Samples::median), "ratio": ratio,
            "target": words, "met": met, "spread": ours.spread(),
        })
    );
}

/// Says that there is no figure, and why.
#[expect(clippy::print_stdout, reason = "that is how a benchmark says its figures")]
pub fn say_skipped(name: &str, why: &str) {
    println!("{}", json!({ "name": name, "skipped": why }));
}

/// How long this takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// How long this thread has of a processor while it does this.
pub fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let start = thread_time();
    work();
    thread_time().saturating_sub(start).as_secs_f64()
}

/// The time of a processor that this thread had so far.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
