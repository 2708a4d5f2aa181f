//! The cost of the runtime in figures, for `cargo xtask bench`: each is a line of JSON on standard
//! output.
//!
//! Each benchmark has a file of its name. `pattoo_tests` holds how figures are sampled and printed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark may fail as a test may, and its counts and times are small numbers"
)]

mod boundary;
mod calls;
mod cycle;
mod encode;
mod guests;
mod rival_process;
mod scale;
mod spool;
mod startup;

fn main() {
    for name in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match name.as_str() {
            "encode" => encode::figures(),
            "cycle" => cycle::figures(),
            "boundary" => boundary::figures(),
            "calls" => calls::figures(),
            "spool" => spool::figures(),
            "startup" => startup::figures(),
            "guests" => guests::figures(),
            "scale" => scale::figures(&[10_000]),
            "curve" => scale::figures(&[10, 100, 1000, 10_000, 30_000]),
            other => match other.strip_prefix("guests/") {
                Some(language) => guests::figures_of(language),
                None => panic!("there are no figures of the name {other}"),
            },
        }
    }
}
