//! The report of `inspect`, as it is printed in JSON.

use std::path::Path;

use pattoo_base::text::one_line;
use pattoo_sandbox::{
    Collector, Kind, ModuleDigest, Outcome,
    capability::{CAPABILITIES, Interface, Power, Request, RequestedAccess, interfaces},
};
use serde::Serialize;

use crate::daemon::termination_of;

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
    pub(super) sha256: ModuleDigest,
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

impl From<Request> for AccessRequest {
    fn from(request: Request) -> Self {
        let Request { what, granted } = request;
        Self { what, granted }
    }
}

impl Report {
    pub(super) fn new(path: &Path, kind: Kind, size: u64, collector: &Collector) -> Self {
        let imports = collector.imports();
        Self {
            module: path.display().to_string(),
            kind,
            size,
            sha256: collector.sha256(),
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
    let mut powers: Vec<&Power> = Vec::new();
    for power in CAPABILITIES.iter().filter_map(|capability| capability.power) {
        // Several capabilities may lead to the same.
        if !powers.contains(&power) {
            powers.push(power);
        }
    }
    let ways =
        |power| interfaces().filter(move |interface| interface.power == Some(power)).map(|interface| interface.name);
    let leads = |name: &&String, power| Interface::of(name).is_some_and(|interface| interface.power == Some(power));
    let capability_of = |power: &'static Power| ReachableCapability {
        what: power.what,
        by: imports.iter().filter(|name| leads(name, power)).cloned().collect(),
        does: power.does,
        ways: ways(power).collect(),
    };
    powers.into_iter().map(capability_of).collect()
}

impl RunReport {
    pub(super) fn new(outcome: &Outcome, requested: &RequestedAccess) -> Self {
        Self {
            ending: termination_of(&outcome.ending).1,
            completed: matches!(outcome.ending, pattoo_sandbox::Termination::Completed),
            datapoints: outcome.emission.sink.datapoints(),
            rejected: outcome.emission.rejected,
            asked: requested.requests().into_iter().map(AccessRequest::from).collect(),
            beyond: requested.beyond.iter().cloned().collect(),
            left_out: requested.left_out,
            grants: requested.narrowest_grant(),
        }
    }
}
