//! `cargo xtask compare`: writes the figures of `cargo xtask bench guests` into the page that compares the languages.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use crate::{
    result::Result,
    steps::report,
    tools::{root, target},
};

const PAGE: &str = "docs/guests/compare.md";
/// Between these lines of the page nothing is written by hand.
const MARKS: [&str; 2] = ["<!-- cargo xtask compare -->\n", "<!-- end -->\n"];

/// The columns: what heads each, and the words of its figures after `guests: LANGUAGE: `.
const COLUMNS: [(&str, &str); 8] = [
    ("module, MB", "MB of the module"),
    ("compile, ms", "ms to compile it"),
    ("load compiled, ms", "ms to load it compiled"),
    ("instantiate, us", "us of a processor to instantiate it"),
    ("collection, ms of a processor", "ms of a processor for a collection"),
    ("collection, ms", "ms from a collection's start to its end"),
    ("linear memory, MiB", "MiB of linear memory"),
    ("process grows by, MiB", "MiB that the process is larger"),
];

/// Writes the table again, from `target/bench.json`.
pub(crate) fn write() -> Result<()> {
    let path = target().join("bench.json");
    let figures =
        fs::read(&path).map_err(|error| format!("{}: {error}: run `cargo xtask bench guests`", path.display()))?;
    let figures: Vec<Value> =
        serde_json::from_slice(&figures).map_err(|error| format!("{}: {error}", path.display()))?;
    let page = root().join(PAGE);
    let text = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    let [begin, end] = MARKS;
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no marks for the table"))?;
    let text = [before, begin, &table(&figures)?, end, after].concat();
    fs::write(&page, text).map_err(|error| format!("{PAGE}: {error}"))?;
    report(&format!("{PAGE} has the figures of {}", path.display()));
    Ok(())
}

fn table(figures: &[Value]) -> Result<String> {
    let named = |name: &str| figures.iter().find(|figure| figure.get("name").and_then(Value::as_str) == Some(name));
    let machine = named("guests: measured on").and_then(|figure| figure.get("target")?.as_str());
    let machine = machine.ok_or("there are no figures of the languages: run `cargo xtask bench guests`")?;
    let heads = COLUMNS.map(|(head, _)| head).join(" | ");
    let mut text = format!("Measured on: {machine}.\n\n| | {heads} |\n|---|{}", "---|".repeat(COLUMNS.len()));
    let languages = figures.iter().filter_map(|figure| {
        figure.get("name")?.as_str()?.strip_prefix("guests: ")?.strip_suffix(COLUMNS[0].1)?.strip_suffix(": ")
    });
    for language in languages {
        let _ = write!(text, "\n| {language} |");
        for (_, what) in COLUMNS {
            let figure = named(&format!("guests: {language}: {what}")).and_then(|figure| figure.get("ours")?.as_f64());
            let _ = write!(text, " {} |", figure.map_or_else(|| "–".to_owned(), short));
        }
    }
    Ok(text + "\n")
}

/// As many digits as mean something.
fn short(figure: f64) -> String {
    let digits = if figure >= 100.0 {
        0
    } else if figure >= 10.0 {
        1
    } else {
        2
    };
    format!("{figure:.digits$}")
}
