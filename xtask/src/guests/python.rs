//! Python: the SDK's own command, which calls componentize-py.

use std::process::Command;

use super::{Collector, Language, Tool};
use crate::tools;

pub(super) const LANGUAGE: Language = Language {
    name: "python",
    collectors: &["station/python"],
    inputs: &["guest-sdk/python/pattoo", "wit"],
    tools: &[Tool::Python("componentize-py==0.25.1")],
    build,
};

fn build(collector: &Collector) -> Vec<Command> {
    let mut build = tools::program(&tools::python_tools().join("bin/python"));
    build.args(["-m", "pattoo", "build"]).arg(collector.source.join("collector.py")).arg("--output");
    build.arg(&collector.output).env("PYTHONPATH", tools::root().join("guest-sdk/python"));
    // What is compiled for this machine lies in the way of the next build.
    build.env("PYTHONDONTWRITEBYTECODE", "1");
    vec![build]
}
