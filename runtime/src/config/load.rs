//! From files to a [`Configuration`].

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use pattoo_measurement::{Hostname, PollingInterval};
use pattoo_output::{Folders, NamedOutput, PLACES, read_choice, read_outputs};
use pattoo_settings::{ConfigError, Fields, Place, Problem, Reported, all, read, shown, yaml::Node};
use pattoo_spool::SpoolLimits;
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::{
    CollectorSettings, ConfigDirectory, Configuration, DataDirectory, Directories, HealthSettings, MachineName,
    collector_limits, forms,
    grants_section::grants,
    health_section, interval,
    log_section::{LOG, LogBounds},
    pattoo_files::{PattooFiles, SERVER},
    source::{DEFAULT_STATUS, FILE, PathStep, Source},
    spool_section::SPOOL,
};

/// The section of our file.
pub(crate) const OURS: PathStep = PathStep::Key("pattoo_wasm");
/// How many collections run at once, unless the file sets another number.
pub(super) const DEFAULT_CONCURRENT: u32 = 256;
/// A configuration, and the files that it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) configuration: Configuration,
    /// The directory of data that the files name. A daemon that runs uses that of its start.
    data: DataDirectory,
    pub(super) ours: Source,
    pub(super) pattoos: Vec<Source>,
}

impl Configuration {
    /// Reads `pattoo.yaml`, `pattoo_agent.yaml` and `pattoo_wasm.yaml` of a directory, the secrets
    /// that they name, and the name of this machine if they do not set it. Logs which files other
    /// users can change or read. Blocks while it reads files and looks up that name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, a missing secret included. Modules are not checked.
    pub fn load(directory: &ConfigDirectory) -> Result<Self, ConfigError> {
        let loaded = Loaded::load(directory)?;
        loaded.log_exposures();
        Ok(loaded.configuration)
    }

    /// The same for a daemon that runs since it read `started`: what only a restart can change stays
    /// as it was, the directory of data with everything in it too. Returns the keys with another
    /// value in the files as well.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_again(directory: &ConfigDirectory, started: &Self) -> Result<(Self, Vec<&'static str>), ConfigError> {
        let loaded = Loaded::load_with(directory, Some(&started.directories.daemon))?;
        loaded.log_exposures();
        let mut configuration = loaded.configuration;
        let mut differ = configuration.keep_from_start(started);
        if loaded.data != started.directories.daemon {
            differ.push("daemon_directory");
        }
        Ok((configuration, differ))
    }
}

impl Loaded {
    /// As [`Configuration::load`].
    pub(crate) fn load(directory: &ConfigDirectory) -> Result<Self, ConfigError> {
        Self::load_with(directory, None)
    }

    /// The same with the directory of data in `in_use`, if there is one.
    fn load_with(directory: &ConfigDirectory, in_use: Option<&DataDirectory>) -> Result<Self, ConfigError> {
        let pattoo = PattooFiles::read(directory);
        let path = directory.path().join(FILE);
        let ours = Source::read_trusted(&path).map_err(|error| {
            let missing = error.is_missing();
            let problem = error.into_problem();
            let help = "create it with the collectors and their grants";
            if missing { Problem { help: help.to_owned(), ..problem } } else { problem }
        });
        let (pattoo, ours) = match (pattoo, ours) {
            (Ok(pattoo), Ok(ours)) => (pattoo, ours),
            // Errors of values in our file are reported as well, if it can be read.
            (Err(mut problems), Ok(ours)) => {
                let defaults = PattooFiles::default();
                problems.extend(Self::read_ours(&ours, &defaults, Path::new("")).err().unwrap_or_default());
                return Err(problems.into());
            }
            (pattoo, Err(problem)) => {
                let mut problems = pattoo.err().unwrap_or_default();
                problems.push(problem);
                return Err(problems.into());
            }
        };
        Self::of(pattoo, ours, in_use)
    }

    /// Reads the content of pattoo's files and ours.
    pub(super) fn of(pattoo: PattooFiles, ours: Source, in_use: Option<&DataDirectory>) -> Result<Self, ConfigError> {
        let data = DataDirectory::of(&pattoo)?;
        let daemon = in_use.unwrap_or(&data).clone();
        let read = Self::read_ours(&ours, &pattoo, daemon.root())?;
        let (hostname, machine_name) = if let Some(hostname) = read.hostname {
            (hostname, None)
        } else {
            let name = MachineName::find(&daemon)?;
            (name.used.clone(), Some(name))
        };
        let outputs = read.outputs.iter().cloned().chain(pattoo.output());
        let mut output_urls: Vec<_> = outputs.filter_map(|output| output.output.settings().url().cloned()).collect();
        output_urls.sort_unstable();
        output_urls.dedup();
        let configuration = Configuration {
            output_urls,
            directories: Directories { daemon, log: pattoo.log_directory, cache: pattoo.cache_directory },
            outputs: read.outputs,
            hostname,
            machine_name,
            log_level: pattoo.log_level.unwrap_or(LevelFilter::INFO),
            log: read.log,
            status: read.status,
            concurrent: read.concurrent,
            collection_memory: read.collection_memory,
            spool: read.spool,
            health: read.health,
            collectors: read.collectors,
        };
        Ok(Self { configuration, data, ours, pattoos: pattoo.sources })
    }

    fn log_exposures(&self) {
        for problem in self.exposures() {
            tracing::warn!("{problem}; help: {}", problem.help);
        }
    }

    /// The place in our file that a path of keys and indices leads to, or the nearest one that
    /// exists: of a map or list its key, of anything else its value.
    pub(crate) fn place(&self, path: &[PathStep]) -> Place {
        self.ours.place(path)
    }

    /// The place of the first path that exists in one of pattoo's files.
    pub(crate) fn place_in_pattoos(&self, paths: &[&[PathStep]]) -> Option<Place> {
        let there = |source: &Source, path: &[PathStep]| source.has(path).then(|| source.place(path));
        paths.iter().find_map(|path| self.pattoos.iter().find_map(|source| there(source, path)))
    }

    /// The place where outputs are configured.
    pub(crate) fn place_of_outputs(&self) -> Option<Place> {
        let path = |keys: &&[&'static str]| -> Vec<_> {
            [OURS].into_iter().chain(keys.iter().copied().map(PathStep::Key)).collect()
        };
        let ours = PLACES.iter().map(path).find(|path| self.ours.has(path));
        ours.map(|path| self.place(&path)).or_else(|| self.place_in_pattoos(&SERVER))
    }

    fn read_ours(source: &Source, pattoo: &PattooFiles, data: &Path) -> Result<Ours, Vec<Problem>> {
        read(&source.file, &source.document, &forms::pattoo_wasm_yaml(), |fields| {
            let (form, node) = (forms::pattoo_wasm(), fields.node("pattoo_wasm").ok_or(Reported)?);
            ours(fields.of(&form, node), Folders { configuration: source.folder(), data }, pattoo)
        })
    }
}

/// The content of our file.
struct Ours {
    outputs: Vec<NamedOutput>,
    hostname: Option<Hostname>,
    status: Option<SocketAddr>,
    concurrent: u32,
    collection_memory: Option<u64>,
    spool: SpoolLimits,
    log: LogBounds,
    health: Option<HealthSettings>,
    collectors: Vec<CollectorSettings>,
}

fn ours(fields: Fields<'_>, folders: Folders<'_>, pattoo: &PattooFiles) -> Result<Ours, Reported> {
    let outputs = read_outputs(fields, folders, pattoo.output());
    let hostname = fields.optional("hostname");
    let status = status(fields);
    let concurrent = fields.integer("concurrent");
    let collection_memory = fields.size("collection_memory");
    let mut spool = SpoolLimits::default();
    let mut log = LogBounds::default();
    let log_bounds = fields.node("log").map(|node| fields.of(&forms::log(), node).quantities(LOG, &mut log));
    let bounds = fields.node("spool").map(|node| fields.of(&forms::spool(), node).quantities(SPOOL, &mut spool));
    let form = forms::collector();
    let default_interval = pattoo.polling_interval.unwrap_or_default();
    let collectors = fields.list("collectors");
    // Names cannot be checked against outputs that are wrong themselves.
    let known = outputs.as_deref().ok();
    let read = all(collectors.iter().map(|node| collector(fields.of(&form, node), folders, default_interval, known)));
    let health = fields.node("health");
    let health =
        health.map(|node| health_section::read(fields.of(&health_section::form(), node), default_interval, known));
    unique_programs(fields, collectors)?;
    let health = health.transpose()?;
    bounds.transpose()?;
    log_bounds.transpose()?;
    Ok(Ours {
        outputs: outputs?,
        hostname: hostname?,
        status: status?,
        concurrent: concurrent?.map_or(Ok(DEFAULT_CONCURRENT), u32::try_from).map_err(|_| Reported)?,
        collection_memory: collection_memory?,
        spool,
        log,
        health,
        collectors: read?,
    })
}

/// The status address: an address, or `none`.
fn status(fields: Fields<'_>) -> Result<Option<SocketAddr>, Reported> {
    match fields.node("status") {
        None => Ok(Some(DEFAULT_STATUS)),
        Some(node) if node.text() == Some("none") => Ok(None),
        Some(node) => {
            let text = node.text().ok_or(Reported)?;
            let wrong = |_| {
                fields.wrong(
                    "status",
                    node,
                    format!("invalid `status`: expected an address with a port, found `{}`", shown(text)),
                )
            };
            text.parse().map(Some).map_err(wrong)
        }
    }
}

fn collector(
    fields: Fields<'_>,
    folders: Folders<'_>,
    default_interval: PollingInterval,
    outputs: Option<&[NamedOutput]>,
) -> Result<CollectorSettings, Reported> {
    let program = fields.required("program");
    let module = fields.required::<PathBuf>("module");
    let sha256 = fields.optional("sha256");
    let polling_interval = interval(fields, "polling_interval");
    let settings = settings(fields);
    let limits =
        fields.node("limits").map(|node| collector_limits::read(fields.of(&forms::limits(), node))).transpose();
    let form = forms::grants();
    let grants = fields.node("grants").map(|node| grants(fields.of(&form, node), folders.configuration)).transpose();
    let outputs = outputs.map_or(Ok(Vec::new()), |outputs| read_choice(fields, outputs));
    Ok(CollectorSettings {
        program: program?,
        module: folders.configuration.join(module?),
        sha256: sha256?,
        polling_interval: polling_interval?.unwrap_or(default_interval),
        settings: settings?,
        limits: limits?.unwrap_or_default(),
        grants: grants?.unwrap_or_default(),
        outputs: outputs?,
    })
}

/// The settings of a collector as JSON.
fn settings(fields: Fields<'_>) -> Result<String, Reported> {
    let Some(node) = fields.node("settings") else { return Ok("{}".to_owned()) };
    match node.to_json() {
        Ok(Value::Object(settings)) => super::to_json(settings).map_err(|error| fields.wrong("settings", node, error)),
        // A value that is not a map, or that JSON cannot hold, was reported when the form was
        // checked.
        _ => Err(Reported),
    }
}

/// Refuses a program that is named twice: both would be the same agent.
fn unique_programs(fields: Fields<'_>, collectors: &[Node]) -> Result<(), Reported> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut unique = Ok(());
    for node in fields.node("health").into_iter().chain(collectors) {
        let Some(entry) = node.entry("program") else { continue };
        let Some(program) = entry.node.text() else { continue };
        let line = fields.report.line(entry.node.span.clone());
        if let Some(first) = seen.insert(program, line) {
            let help =
                format!("rename one of them; the other is in line {first}; several collectors may share a module");
            let what = format!("the program `{}` is named twice", shown(program));
            unique = Err(fields.wrong_with(&entry.node, what, help));
        }
    }
    unique
}
