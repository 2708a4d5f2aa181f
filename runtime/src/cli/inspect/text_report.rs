//! The report of `inspect` as text for people.

use std::fmt::Write as _;

use bytesize::ByteSize;
use pattoo_base::text::printable;
use pattoo_sandbox::{
    Kind,
    capability::{Interface, interfaces},
};

use super::report::{ReachableCapability, Report, RunReport};

/// How much of the requested access is listed. The grant below it has all.
const MAX_LISTED: usize = 40;

/// The page. Writing to a string does not fail.
pub(super) fn page(report: &Report) -> String {
    let mut page = printable(&report.module);
    let kind = match report.kind {
        Kind::Component => "a WebAssembly component",
        Kind::CoreModule => "a core module, which is componentized when it is loaded",
    };
    let time = report.compilation.milliseconds;
    let compiled = if report.compilation.cached {
        format!("earlier; read from the cache in {time} ms")
    } else {
        format!("now, in {time} ms; cached for the next start")
    };
    let size = ByteSize(report.size).display().iec();
    let _ = write!(
        page,
        "\n  kind      {kind}\n  size      {size} ({} bytes)\n  sha256    {}\n  compiled  {compiled}\n  exports   {}\n",
        report.size,
        report.sha256,
        report.exports.join(", "),
    );
    page.push_str("\nWhat it can do, if that is granted:\n");
    for capability in &report.could {
        let _ = writeln!(page, "  {:<8}{}", capability.what, could(capability));
    }
    let others = report.imports.iter().filter(|import| !Interface::is_of_wasi(&import.name));
    section(&mut page, "Imports of pattoo's contract", others.map(|import| (&*import.name, import.does)));
    let wasi = report.imports.iter().filter(|import| Interface::is_of_wasi(&import.name));
    section(&mut page, "Imports of WASI", wasi.map(|import| (&*import.name, import.does)));
    if let Some(run) = &report.run {
        ran(&mut page, run);
    }
    page.truncate(page.trim_end().len());
    page
}

fn could(capability: &ReachableCapability) -> String {
    if capability.by.is_empty() {
        let ways: Vec<_> = capability.ways.iter().map(|way| format!("`{way}`")).collect();
        return format!("nothing, whatever you grant: it does not import {}", ways.join(" or "));
    }
    format!("{} ({})", capability.does, capability.by.join(", "))
}

fn section<'a>(page: &mut String, title: &str, imports: impl Iterator<Item = (&'a str, &'a str)>) {
    let imports: Vec<_> = imports.collect();
    if imports.is_empty() {
        let _ = write!(page, "\n{title}: none\n");
        return;
    }
    let width = interfaces().map(|interface| interface.name.len().saturating_add(7)).max().unwrap_or_default();
    let _ = write!(page, "\n{title}:\n");
    for (name, does) in imports {
        let _ = writeln!(page, "  {name:<width$} {does}");
    }
}

fn ran(page: &mut String, run: &RunReport) {
    let _ = write!(page, "\nOne collection: {}. {} datapoints accepted", run.ending, run.datapoints);
    if run.rejected > 0 {
        let _ = write!(page, ", {} rejected", run.rejected);
    }
    page.push_str("; nothing was sent, and nothing stored.\n");
    if run.asked.is_empty() && run.beyond.is_empty() {
        page.push_str("It requested no access that needs a grant.\n");
        return;
    }
    page.push_str("It requested:\n");
    for request in run.asked.iter().take(MAX_LISTED) {
        let _ = writeln!(page, "  {} {}", if request.granted { "granted" } else { "denied " }, request.what);
    }
    let more = run.asked.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        let _ = writeln!(page, "  and {more} more");
    }
    for what in &run.beyond {
        let _ = writeln!(page, "  denied  {what}: never part of the grant below");
    }
    if run.left_out > 0 {
        let _ = writeln!(page, "  and {} more that were not recorded", run.left_out);
    }
    if run.grants.is_empty() {
        return;
    }
    let denied = run.asked.iter().any(|request| !request.granted);
    let more = if denied {
        "\nThe collector may request more when denied access is granted: grant what you agree to, and inspect it again.\n"
    } else {
        ""
    };
    let _ = write!(
        page,
        "{more}\nThe grant that allows exactly this, for a `--grants` file or below `grants:`:\n\n{}",
        run.grants
    );
}
