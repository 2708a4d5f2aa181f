//! Figures of benchmarks, compared with a rival and a target.
//!
//! Everything that is compared runs in one process, in turns, and medians are compared, so that
//! load on the machine affects both. Work that only computes is measured by the processor time of
//! its thread.

use std::time::{Duration, Instant};

use serde_json::json;

/// Several measurements of the same kind, all times or all rates.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Sorts the values.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The quantile for `part` (0 to 1).
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

    /// The median.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The same samples in another unit.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// The interquartile range as a fraction of the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.median()
    }
}

/// Measures both in turns, A B B A.
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

/// Measures one.
pub fn repeated(rounds: u32, mut ours: impl FnMut() -> f64) -> Samples {
    Samples::new((0..rounds).map(|_| ours()).collect())
}

/// The target of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least this multiple of the rival's figure.
    TimesAtLeast(f64),
    /// At most this multiple of the rival's figure.
    TimesAtMost(f64),
    /// At least this value.
    AtLeast(f64),
    /// At most this value.
    AtMost(f64),
    /// No target.
    None,
}

/// Prints a figure as a line of JSON for `cargo xtask bench`.
#[expect(clippy::print_stdout, reason = "`cargo xtask bench` reads figures from standard output")]
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

/// Prints why a figure is missing.
#[expect(clippy::print_stdout, reason = "`cargo xtask bench` reads figures from standard output")]
pub fn say_skipped(name: &str, why: &str) {
    println!("{}", json!({ "name": name, "skipped": why }));
}

/// The wall-clock time of `work`.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The processor time of this thread during `work`.
pub fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let start = thread_time();
    work();
    thread_time().saturating_sub(start).as_secs_f64()
}

/// The processor time of this thread so far.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
