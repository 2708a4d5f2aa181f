//! The report of `inspect`, as it is printed in JSON.

use std::path::Path;

use pattoo_base::text::one_line;
use pattoo_sandbox::{
    Collector, Kind, Outcome,
    capability::{Asked, INTERFACES, Interface, Reach, modbus::grant_key},
};
use serde::Serialize;

use crate::{config::grants_of, daemon::termination_of};

/// How much of a name in a module is shown, in bytes.
const MAX_SHOWN: usize = 200;

/// Everything about a module.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The file.
    pub(super) module: String,
    pub(super) kind: Kind,
    /// The size of what is compiled, in bytes: the file, or the binary form of its text.
    pub(super) size: u64,
    /// Its digest, as it is pinned in a configuration.
    pub(super) sha256: String,
    pub(super) compilation: Compilation,
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<Import>,
    /// What it can do, if that is granted.
    pub(super) could: Vec<ReachableCapability>,
    /// What one collection did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunReport>,
}

/// How its compiled form was obtained.
#[derive(Debug, Serialize)]
pub(super) struct Compilation {
    /// Whether it was read from the cache.
    pub(super) cached: bool,
    pub(super) milliseconds: u64,
}

/// An interface that it imports.
#[derive(Debug, Serialize)]
pub(super) struct Import {
    /// Its full name.
    pub(super) name: String,
    /// What a collector can do with it.
    pub(super) does: &'static str,
}

/// Something outside the sandbox, and whether the module can reach it.
#[derive(Debug, Serialize)]
pub(super) struct ReachableCapability {
    /// What is reached: `web`.
    pub(super) what: &'static str,
    /// The imports that lead there. Without one it cannot be reached, whatever is granted.
    pub(super) by: Vec<String>,
    /// What the module can do there.
    pub(super) does: &'static str,
    #[serde(skip)]
    pub(super) ways: Vec<&'static str>,
}

/// What one collection did.
#[derive(Debug, Serialize)]
pub(super) struct RunReport {
    /// How it ended, as text.
    pub(super) ending: String,
    /// Whether it completed.
    pub(super) completed: bool,
    pub(super) datapoints: usize,
    pub(super) rejected: usize,
    /// The access that it requested, each once.
    pub(super) asked: Vec<AccessRequest>,
    /// Access that no grant allows: cloud metadata services, and reserved addresses.
    pub(super) beyond: Vec<String>,
    /// How many requests were not recorded, since there were too many.
    pub(super) left_out: usize,
    /// The grant that allows all of `asked` and nothing else, as the text of a `--grants` file.
    pub(super) grants: String,
}

/// Access that a collection requested.
#[derive(Debug, Serialize)]
pub(super) struct AccessRequest {
    /// A method with a URL, or a device with a unit, a table and addresses.
    pub(super) what: String,
    /// Whether it was granted on this command line.
    pub(super) granted: bool,
}

impl Report {
    pub(super) fn new(path: &Path, kind: Kind, size: u64, collector: &Collector) -> Self {
        let imports = collector.imports();
        Self {
            module: path.display().to_string(),
            kind,
            size,
            sha256: collector.sha256().to_owned(),
            compilation: Compilation {
                cached: collector.compilation().cached,
                milliseconds: u64::try_from(collector.compilation().time.as_millis()).unwrap_or(u64::MAX),
            },
            exports: collector.exports().iter().map(|name| one_line(name, MAX_SHOWN)).collect(),
            could: capabilities(&imports),
            imports: imports
                .into_iter()
                .map(|name| Import { does: Interface::of(&name).map_or("", |interface| interface.does), name })
                .collect(),
            run: None,
        }
    }
}

/// What is outside the sandbox, and which of these imports lead to it.
fn capabilities(imports: &[String]) -> Vec<ReachableCapability> {
    let capability_of = |(what, reach, does): (&'static str, Reach, &'static str)| ReachableCapability {
        what,
        by: imports
            .iter()
            .filter(|name| Interface::of(name).is_some_and(|interface| interface.reach == reach))
            .cloned()
            .collect(),
        does,
        ways: INTERFACES.iter().filter(|interface| interface.reach == reach).map(|interface| interface.name).collect(),
    };
    [
        ("web", Reach::Web, "fetches from the web origins that are granted"),
        ("modbus", Reach::Modbus, "reads the Modbus devices that are granted"),
        ("pattoo", Reach::Datapoints, "emits datapoints, under its own program's name"),
        ("state", Reach::State, "stores values of its own from one collection to the next"),
        ("log", Reach::Log, "writes lines to the log"),
    ]
    .into_iter()
    .map(capability_of)
    .collect()
}

impl RunReport {
    pub(super) fn new(outcome: &Outcome, asked: &Asked) -> Self {
        let web = asked.web.iter().flat_map(|(origin, of)| {
            let methods = of.paths.iter().flat_map(|(path, methods)| methods.iter().map(move |method| (method, path)));
            methods.map(move |(method, path)| AccessRequest {
                what: format!("{method} {origin}{path}"),
                granted: !of.denied.contains(&(method.clone(), path.clone())),
            })
        });
        let devices = asked.devices.iter().flat_map(|(name, of)| {
            of.spans.iter().map(move |span| {
                let (unit, table, first, last) = *span;
                let addresses = if first == last { first.to_string() } else { format!("{first}-{last}") };
                AccessRequest {
                    what: format!("{name}, unit {unit}, {} {addresses}", grant_key(table)),
                    granted: !of.denied.contains(span),
                }
            })
        });
        Self {
            ending: termination_of(&outcome.ending).1,
            completed: matches!(outcome.ending, pattoo_sandbox::Ending::Completed),
            datapoints: outcome.emission.sink.datapoints(),
            rejected: outcome.emission.rejected,
            asked: web.chain(devices).collect(),
            beyond: asked.beyond.iter().cloned().collect(),
            left_out: asked.left_out,
            grants: grants_of(asked),
        }
    }
}
