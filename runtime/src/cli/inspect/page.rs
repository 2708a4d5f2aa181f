//! What `inspect` finds, for people.

use std::fmt::Write as _;

use bytesize::ByteSize;
use pattoo_base::text::printable;
use pattoo_sandbox::{
    Kind,
    capability::{Interface, interfaces},
};

use super::report::{Power, Report, RunReport};

/// How much of what was asked for is listed; the grant below it has all.
const MAX_LISTED: usize = 40;

/// The page. Writing to a text does not fail.
pub(super) fn page(report: &Report) -> String {
    let mut page = printable(&report.module);
    let kind = match report.kind {
        Kind::Component => "a WebAssembly component",
        Kind::CoreModule => "a core module, which is made a component when it is loaded",
    };
    let time = report.compilation.milliseconds;
    let compiled = if report.compilation.cached {
        format!("before; its compiled form was taken from the cache in {time} ms")
    } else {
        format!("now, in {time} ms, and kept for the next start")
    };
    let size = ByteSize(report.size).display().iec();
    let _ = write!(
        page,
        "\n  kind      {kind}\n  size      {size} ({} bytes)\n  sha256    {}\n  compiled  {compiled}\n  exports   {}\n",
        report.size,
        report.sha256,
        report.exports.join(", "),
    );
    page.push_str("\nWhat it could do, if it is granted:\n");
    for power in &report.could {
        let _ = writeln!(page, "  {:<8}{}", power.what, could(power));
    }
    let others = report.imports.iter().filter(|import| !Interface::is_of_wasi(&import.name));
    section(&mut page, "What it imports of pattoo's contract", others.map(|import| (&*import.name, import.does)));
    let wasi = report.imports.iter().filter(|import| Interface::is_of_wasi(&import.name));
    section(&mut page, "What it imports of WASI", wasi.map(|import| (&*import.name, import.does)));
    if let Some(run) = &report.run {
        ran(&mut page, run);
    }
    page.truncate(page.trim_end().len());
    page
}

fn could(power: &Power) -> String {
    if power.by.is_empty() {
        let ways: Vec<_> = power.ways.iter().map(|way| format!("`{way}`")).collect();
        return format!("nothing, whatever is granted: it does not import {}", ways.join(" or "));
    }
    format!("{} ({})", power.does, power.by.join(", "))
}

fn section<'a>(page: &mut String, title: &str, imports: impl Iterator<Item = (&'a str, &'a str)>) {
    let imports: Vec<_> = imports.collect();
    if imports.is_empty() {
        let _ = write!(page, "\n{title}: nothing.\n");
        return;
    }
    let width = interfaces().map(|interface| interface.name.len().saturating_add(7)).max().unwrap_or_default();
    let _ = write!(page, "\n{title}:\n");
    for (name, does) in imports {
        let _ = writeln!(page, "  {name:<width$} {does}");
    }
}

fn ran(page: &mut String, run: &RunReport) {
    let _ = write!(page, "\nOne collection: {}. {} datapoints taken", run.ending, run.datapoints);
    if run.rejected > 0 {
        let _ = write!(page, ", {} rejected", run.rejected);
    }
    page.push_str("; nothing was sent, and nothing kept.\n");
    if run.asked.is_empty() && run.beyond.is_empty() {
        page.push_str("It asked for nothing that takes a grant.\n");
        return;
    }
    page.push_str("It asked for:\n");
    for question in run.asked.iter().take(MAX_LISTED) {
        let _ = writeln!(page, "  {} {}", if question.granted { "granted" } else { "denied " }, question.what);
    }
    let more = run.asked.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        let _ = writeln!(page, "  and {more} more");
    }
    for what in &run.beyond {
        let _ = writeln!(page, "  denied  {what}: in no grant below");
    }
    if run.left_out > 0 {
        let _ = writeln!(page, "  and {} that were too many to be kept", run.left_out);
    }
    if run.grants.is_empty() {
        return;
    }
    let denied = run.asked.iter().any(|question| !question.granted);
    let more = if denied {
        "\nWhat was denied had no answer; with one it may ask for more. Grant what you agree to, and inspect it again.\n"
    } else {
        ""
    };
    let _ = write!(
        page,
        "{more}\nThe grant that allows this and no more, for a file that is given with `--grants`, or under `grants:`:\n\n{}",
        run.grants
    );
}
