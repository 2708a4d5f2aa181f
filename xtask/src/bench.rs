//! `cargo xtask bench`: figures, each held against its target and, where there is one, a rival in the same run.
//!
//! A benchmark is a `[[bench]]` of the tests' crate that says each figure as a line of JSON (see `tests/src/figures.rs`): `name`,
//! `ours`, `other` (null where nothing is compared), `ratio`, `target` in words, whether it is `met`, and the `spread` of ours.
//! Here they become a table, and `target/bench.json`, a list of them all; the figures of other benchmarks stay in it.

use std::{fs, path::PathBuf, process::Stdio};

use serde_json::Value;

use crate::{
    build, guests,
    result::Result,
    steps::{Steps, report, say},
    tools,
};

/// One benchmark: its name, which is the first word of its figures' names, and what runs it.
struct Benchmark {
    name: &'static str,
    /// A `[[bench]]` of `tests/Cargo.toml`, and its argument.
    program: &'static str,
    argument: Option<&'static str>,
}

const fn of_figures(name: &'static str) -> Benchmark {
    Benchmark { name, program: "figures", argument: Some(name) }
}

/// All that run when none is named.
const BENCHMARKS: [Benchmark; 8] = [
    of_figures("encode"),
    of_figures("cycle"),
    of_figures("boundary"),
    of_figures("calls"),
    of_figures("startup"),
    of_figures("spool"),
    of_figures("scale"),
    Benchmark { name: "modbus", program: "modbus", argument: None },
];

/// What takes minutes more, and must be named.
const LONG: [Benchmark; 2] = [of_figures("curve"), of_figures("guests")];

/// The names of all.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BENCHMARKS.iter().chain(&LONG).map(|benchmark| benchmark.name)
}

/// Builds for release (or, to try it, as for development), runs one benchmark or all, and shows and keeps what they said.
pub(crate) fn run(name: Option<&str>, profile: &str) -> Result<()> {
    let mut steps = Steps::begin();
    tools::install_peers(&mut steps)?;
    if !tools::install_debian_packages(&mut steps)? {
        return Err("the benchmarks need the programs that they are compared with".to_owned());
    }
    build::rust_guests(&mut steps)?;
    if name == Some("guests") {
        guests::build(&mut steps, &[])?;
    }
    let wanted: Vec<&Benchmark> = match name {
        None => BENCHMARKS.iter().collect(),
        Some(name) => BENCHMARKS.iter().chain(&LONG).filter(|benchmark| benchmark.name == name).collect(),
    };
    if wanted.is_empty() {
        return Err(format!("unknown benchmark\nhelp: use one of {}", names().collect::<Vec<_>>().join(", ")));
    }
    let built = build_programs(&wanted, profile)?;
    let binary = find(&built, "pattoo-wasm")?;
    let mut extism = None;
    if wanted.iter().any(|benchmark| benchmark.name == "cycle") {
        match build_extism(&mut steps) {
            Ok(peer) => extism = Some(peer),
            Err(why) => {
                report(&why);
                steps.skip("the figure of Extism", &why)?;
            }
        }
    }
    let mut all = Vec::new();
    for benchmark in wanted {
        report(&format!("==> {}", benchmark.name));
        let mut command = tools::program(&find(&built, benchmark.program)?);
        command.args(benchmark.argument).stderr(Stdio::inherit());
        tools::with_peers(&mut command).env("PATTOO_WASM_BINARY", &binary);
        command.envs(extism.as_ref().map(|peer| ("PATTOO_EXTISM_PEER", peer)));
        let before = load();
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("the benchmark failed ({})", output.status));
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        report(&table(&figures));
        report(&format!("load {before} before, {} after", load()));
        keep(&figures)?;
        all.extend(figures);
    }
    say(&table(&all));
    say(&machine());
    Ok(())
}

/// Builds what compares with Extism: a workspace of its own, with an engine of its own.
fn build_extism(steps: &mut Steps) -> Result<PathBuf> {
    let (manifest, target) = (tools::root().join("tests/peers/extism/Cargo.toml"), tools::target().join("extism"));
    let mut command = tools::cargo(&["build", "--release", "--locked", "--manifest-path"]);
    steps.run("the Extism peer", command.arg(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join("release/extism-peer"))
}

/// How many processes wanted a processor in the last minute.
fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}

/// The machine that the figures are of, as it calls itself.
fn machine() -> String {
    let member = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let (model, memory) = (member("/proc/cpuinfo", "model name"), member("/proc/meminfo", "MemTotal"));
    format!("{processors} processors ({model}), {memory} of memory")
}

/// Builds the command and the benchmarks at once, so that they share their dependencies; returns what cargo said of it.
fn build_programs(wanted: &[&Benchmark], profile: &str) -> Result<Vec<Value>> {
    let arguments = ["build", "--locked", "--profile", profile, "--message-format", "json-render-diagnostics"];
    let mut command = tools::cargo(&arguments);
    command.args(["--package", "pattoo-wasm", "--package", "pattoo-tests", "--bin", "pattoo-wasm"]);
    let mut programs: Vec<_> = wanted.iter().map(|benchmark| benchmark.program).collect();
    programs.dedup();
    for program in programs {
        command.args(["--bench", program]);
    }
    report(&format!("==> {command:?}"));
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("the build failed ({})", output.status));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Where a program was built.
fn find(built: &[Value], name: &str) -> Result<PathBuf> {
    let named = |message: &&Value| message.pointer("/target/name").and_then(Value::as_str) == Some(name);
    let executable = |message: &Value| message.get("executable").and_then(Value::as_str).map(PathBuf::from);
    built.iter().filter(named).find_map(executable).ok_or_else(|| format!("cargo did not print the path of `{name}`"))
}

/// One row for each figure, in Markdown.
fn table(figures: &[Value]) -> String {
    let number = |figure: &Value, key: &str| match figure.get(key).and_then(Value::as_f64) {
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.2}"),
        None => "-".to_owned(),
    };
    let text = |figure: &Value, key: &str| figure.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let spread = |figure: &Value| {
        figure
            .get("spread")
            .and_then(Value::as_f64)
            .map_or_else(|| "-".to_owned(), |part| format!("{:.0} %", part * 100.0))
    };
    let mut rows = vec![["figure", "ours", "other", "ratio", "target", "met", "spread"].map(str::to_owned)];
    rows.extend(figures.iter().map(|figure| {
        let met = match figure.get("met").map(Value::as_bool) {
            Some(Some(true)) => "met",
            Some(Some(false)) => "missed",
            Some(None) => "",
            None => "skipped",
        };
        [
            text(figure, "name"),
            number(figure, "ours"),
            number(figure, "other"),
            number(figure, "ratio"),
            text(figure, "target"),
            met.to_owned(),
            spread(figure),
        ]
    }));
    let widest = rows.iter().map(|[name, ..]| name.len()).max().unwrap_or(0);
    let row = |[name, ours, other, ratio, target, met, spread]: &[String; 7]| {
        format!("| {name:widest$} | {ours:>9} | {other:>9} | {ratio:>6} | {target:10} | {met:7} | {spread:>6} |")
    };
    let mut lines: Vec<String> = rows.iter().map(row).collect();
    lines.insert(
        1,
        format!(
            "|{:-<1$}|----------:|----------:|-------:|------------|---------|-------:|",
            "",
            widest.saturating_add(2)
        ),
    );
    lines.join("\n")
}

/// Puts the figures into `target/bench.json`, in place of those of the same name.
fn keep(figures: &[Value]) -> Result<()> {
    let path = tools::target().join("bench.json");
    let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut all: Vec<Value> = kept.unwrap_or_default();
    all.retain(|figure| !figures.iter().any(|new| new.get("name") == figure.get("name")));
    all.extend_from_slice(figures);
    let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
    fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    report(&format!("kept in {}", path.display()));
    Ok(())
}
