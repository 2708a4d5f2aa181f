//! The collectors: those in `pattoo_wasm.yaml`, and those in the files of `pattoo_wasm.d` beside it.
//!
//! Each file has the same list of collectors. What all of them share, such as the outputs, is only in
//! `pattoo_wasm.yaml`.

mod files;
mod section;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use pattoo_measurement::PollingInterval;
use pattoo_output::NamedOutput;
use pattoo_settings::{Fields, Place, Problem, Reported, SourceFile, all, read, shown, yaml::Node};

pub(super) use self::files::{CollectorFiles, FOLDER};
use super::{
    CollectorSettings, forms,
    source::{FILE, OURS, PathStep, Source},
};

/// How many repeated programs are reported.
const MAX_REPEATED: usize = 100;

/// A collector, and where it was read.
#[derive(Debug)]
pub(super) struct ReadCollector {
    pub(super) settings: CollectorSettings,
    pub(super) origin: Origin,
}

/// Where a collector was read.
#[derive(Debug)]
pub(super) struct Origin {
    source: Arc<Source>,
    /// Its index in the list of that file.
    index: usize,
    /// The file of its settings, if it names one.
    pub(super) settings_file: Option<PathBuf>,
}

impl Origin {
    fn path(&self, below: &[PathStep]) -> Vec<PathStep> {
        [OURS, PathStep::Key("collectors"), PathStep::Index(self.index)].iter().chain(below).copied().collect()
    }

    /// The place of something below the collector.
    pub(super) fn place(&self, below: &[PathStep]) -> Place {
        self.source.place(&self.path(below))
    }

    /// The collector as it is written.
    pub(super) fn node(&self) -> Option<&Node> {
        self.source.node(&self.path(&[]))
    }

    /// The folder that its paths are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.source.folder()
    }
}

/// What the collectors of all files share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    /// The interval of a collector that sets none.
    pub(super) interval: PollingInterval,
    /// The configured outputs. Without them, the names of outputs are not checked.
    pub(super) outputs: Option<&'a [NamedOutput]>,
}

/// The collectors in the list of a file.
pub(super) fn list(
    fields: Fields<'_>,
    source: &Arc<Source>,
    shared: Shared<'_>,
) -> Result<Vec<ReadCollector>, Reported> {
    let form = forms::collector();
    all(fields.list("collectors").iter().enumerate().map(|(index, node)| {
        let (settings, settings_file) = section::collector(fields.of(&form, node), source.folder(), shared)?;
        Ok(ReadCollector { settings, origin: Origin { source: Arc::clone(source), index, settings_file } })
    }))
}

/// The collectors in the files of [`FOLDER`].
pub(super) fn read_files(sources: &[Arc<Source>], shared: Shared<'_>) -> Result<Vec<ReadCollector>, Vec<Problem>> {
    let (mut collectors, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        match read_file(source, shared) {
            Ok(more) => collectors.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(collectors) } else { Err(problems) }
}

fn read_file(source: &Arc<Source>, shared: Shared<'_>) -> Result<Vec<ReadCollector>, Vec<Problem>> {
    read(&source.file, &source.document, &forms::file_of_collectors(), |fields| {
        let form = forms::only_collectors();
        let section = fields.of(&form, fields.node("pattoo_wasm").ok_or(Reported)?);
        let main = forms::pattoo_wasm();
        let unknown = fields.map("pattoo_wasm").iter().filter(|entry| form.key(&entry.key).is_none());
        let refused = unknown.map(|entry| {
            let key = shown(&entry.key);
            if main.key(&entry.key).is_some() {
                let file = source.folder().with_file_name(FILE);
                let help = format!("move it to {}; a file in {FOLDER} has only `collectors`", file.display());
                Err(section.wrong_key(entry, format!("`{key}` belongs in {FILE}"), &help))
            } else {
                let what = format!("`{key}` is not a key of {}", form.what);
                Err(section.wrong_key(entry, what, &form.suggestion(&entry.key)))
            }
        });
        let refused: Result<Vec<()>, Reported> = all(refused);
        let collectors = list(section, source, shared);
        refused.and(collectors)
    })
}

/// Programs that are named twice, in one file or in two: both would be the same agent.
pub(super) fn repeated_programs<'s>(sources: impl IntoIterator<Item = &'s Arc<Source>>) -> Vec<Problem> {
    let mut first: HashMap<&str, (&Arc<SourceFile>, &Range<usize>)> = HashMap::new();
    let mut problems = Vec::new();
    for source in sources {
        for node in source.health().into_iter().chain(source.collectors()) {
            let Some(node) = node.entry("program").map(|entry| &entry.node) else { continue };
            let Some(program) = node.text() else { continue };
            let (file, span) = match first.entry(program) {
                Entry::Vacant(entry) => {
                    entry.insert((&source.file, &node.span));
                    continue;
                }
                Entry::Occupied(entry) => *entry.get(),
            };
            let (line, _) = Place { file: Arc::clone(file), span: span.clone() }.line_and_column();
            let of =
                if Arc::ptr_eq(file, &source.file) { String::new() } else { format!(" of {}", file.path.display()) };
            let help =
                format!("rename one of them; the other is in line {line}{of}; several collectors may share a module");
            let what = format!("the program `{}` is named twice", shown(program));
            let place = Place { file: Arc::clone(&source.file), span: node.span.clone() };
            problems.push(Problem::error(what, place, help));
            if problems.len() == MAX_REPEATED {
                return problems;
            }
        }
    }
    problems
}
