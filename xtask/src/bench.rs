//! `cargo xtask bench`: figures, each held against its target and, where there is one, a rival in the same run.
//!
//! A benchmark is a `[[bench]]` of the tests' crate that says each figure as a line of JSON: `name`, `ours`, `other` (null
//! where nothing is compared), `ratio`, `target` in words, and whether it is `met`. Here they become a table, and
//! `target/bench.json`, a list of them all; the figures of other benchmarks stay in it.

use std::process::Stdio;

use serde_json::Value;

use crate::{
    Result,
    steps::{Steps, complain, say},
    tools,
};

/// The benchmarks, each a `[[bench]]` of `tests/Cargo.toml`, and the first word of its figures' names.
pub(crate) const BENCHMARKS: [&str; 1] = ["modbus"];

/// Builds a benchmark for release (or, to try it, as for development), runs it, and shows and keeps what it said.
pub(crate) fn run(name: &str, profile: &str) -> Result<()> {
    let mut steps = Steps::begin();
    tools::install_peers(&mut steps)?;
    if !tools::install_debian_packages(&mut steps)? {
        return Err("a benchmark without its rivals says nothing".to_owned());
    }
    let arguments = ["bench", "--package", "pattoo-tests", "--bench", name, "--profile", profile, "--locked"];
    let mut command = tools::cargo(&arguments);
    complain(&format!("==> {command:?}"));
    let output = tools::with_peers(&mut command).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("the benchmark failed ({})", output.status));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    say(&table(&figures));
    keep(name, figures)
}

/// One row for each figure.
fn table(figures: &[Value]) -> String {
    let number = |figure: &Value, key: &str| match figure.get(key).and_then(Value::as_f64) {
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.2}"),
        None => "-".to_owned(),
    };
    let text = |figure: &Value, key: &str| figure.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut rows = vec![["figure", "ours", "other", "ratio", "target", ""].map(str::to_owned)];
    rows.extend(figures.iter().map(|figure| {
        let met =
            figure.get("met").and_then(Value::as_bool).map_or("skipped", |met| if met { "met" } else { "missed" });
        [
            text(figure, "name"),
            number(figure, "ours"),
            number(figure, "other"),
            number(figure, "ratio"),
            text(figure, "target"),
            met.to_owned(),
        ]
    }));
    let widest = rows.iter().map(|[name, ..]| name.len()).max().unwrap_or(0);
    let row = |[name, ours, other, ratio, target, met]: &[String; 6]| {
        format!("{name:widest$}  {ours:>10}  {other:>10}  {ratio:>7}  {target:10}  {met}")
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Puts the figures into `target/bench.json`, in place of those of the same benchmark.
fn keep(name: &str, figures: Vec<Value>) -> Result<()> {
    let path = tools::target().join("bench.json");
    let kept = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut all: Vec<Value> = kept.unwrap_or_default();
    let of_this = |figure: &Value| {
        figure.get("name").and_then(Value::as_str).is_some_and(|text| text.starts_with(&format!("{name}:")))
    };
    all.retain(|figure| !of_this(figure));
    all.extend(figures);
    let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
    std::fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    complain(&format!("kept in {}", path.display()));
    Ok(())
}
