//! From files to a [`Configuration`].

use std::{net::SocketAddr, path::Path, sync::Arc};

use pattoo_measurement::{Hostname, PollingInterval};
use pattoo_output::{Folders, NamedOutput, PLACES, read_outputs};
use pattoo_settings::{ConfigError, Fields, Place, Problem, Reported, read, shown};
use pattoo_spool::SpoolLimits;
use sha2::{Digest as _, Sha256};
use tracing::level_filters::LevelFilter;

use super::{
    ConfigDirectory, Configuration, DataDirectory, Directories, HealthSettings, MachineName,
    collectors::{self, CollectorFiles, Origin, ReadCollector, Shared},
    forms, health_section,
    log_section::{LOG, LogBounds},
    pattoo_files::{PattooFiles, SERVER},
    source::{DEFAULT_STATUS, FILE, OURS, PathStep, Source},
    spool_section::SPOOL,
};

/// How many collections run at once, unless the file sets another number.
pub(super) const DEFAULT_CONCURRENT: u32 = 256;
/// A configuration, and the files that it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) configuration: Configuration,
    /// The directory of data that the files name. A daemon that runs uses that of its start.
    data: DataDirectory,
    /// `pattoo_wasm.yaml`.
    pub(super) ours: Arc<Source>,
    /// The files with further collectors.
    pub(super) further: Vec<Arc<Source>>,
    /// Where each collector was read, in the order of the collectors.
    pub(super) origins: Vec<Origin>,
    pub(super) pattoos: Vec<Source>,
}

impl Configuration {
    /// Reads `pattoo.yaml`, `pattoo_agent.yaml`, `pattoo_wasm.yaml` and the files in `pattoo_wasm.d`
    /// of a directory, the files that they name, and the name of this machine if they do not set it.
    /// Logs which files other users can change or read. Blocks while it reads files and looks up that
    /// name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, a missing secret included. Modules are not checked.
    pub fn load(directory: &ConfigDirectory) -> Result<Self, ConfigError> {
        let loaded = Loaded::load(directory)?;
        loaded.log_exposures();
        Ok(loaded.configuration)
    }
}

impl Loaded {
    /// As [`Configuration::load`], but for the log.
    pub(crate) fn load(directory: &ConfigDirectory) -> Result<Self, ConfigError> {
        Self::load_with(directory, None)
    }

    /// The same for a daemon that runs since it read `started`: what only a restart can change stays
    /// as it was, the directory of data with everything in it too. Returns the keys with another
    /// value in the files as well.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub(crate) fn load_again(
        directory: &ConfigDirectory,
        started: &Configuration,
    ) -> Result<(Self, Vec<&'static str>), ConfigError> {
        let mut loaded = Self::load_with(directory, Some(&started.directories.daemon))?;
        let mut differ = loaded.configuration.keep_from_start(started);
        if loaded.data != started.directories.daemon {
            differ.push("daemon_directory");
        }
        Ok((loaded, differ))
    }

    /// All files: pattoo's, ours, and those with further collectors.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let ours = [&self.ours].into_iter().chain(&self.further);
        self.pattoos.iter().chain(ours.map(Arc::as_ref))
    }

    /// The SHA-256 digest of pattoo's files, ours, and those with further collectors.
    pub(crate) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for source in self.sources() {
            // With the length no two different lists of files are the same text.
            digest.update((source.file.text.len() as u64).to_be_bytes());
            digest.update(&source.file.text);
        }
        format!("{:x}", digest.finalize())
    }

    /// The same with the directory of data in `in_use`, if there is one.
    fn load_with(directory: &ConfigDirectory, in_use: Option<&DataDirectory>) -> Result<Self, ConfigError> {
        let pattoo = PattooFiles::read(directory);
        let path = directory.path().join(FILE);
        let ours = Source::read_trusted(&path).map(Arc::new).map_err(|error| {
            let missing = error.is_missing();
            let problem = error.into_problem();
            let help =
                "create it with the collectors and their grants, or set PATTOO_CONFIGDIR to the directory that has it";
            if missing { Problem { help: help.to_owned(), ..problem } } else { problem }
        });
        let CollectorFiles { sources: further, mut problems } = CollectorFiles::read(directory);
        let (pattoo, ours) = match (pattoo, ours) {
            (Ok(pattoo), Ok(ours)) if problems.is_empty() => (pattoo, ours),
            // Errors of values are reported as well, of all files that can be read.
            (pattoo, ours) => {
                let pattoo = pattoo.map_err(|more| problems.extend(more)).ok();
                let more = match ours {
                    Ok(ours) => read_ours(&ours, &further, pattoo.as_ref(), Path::new("")).err(),
                    Err(problem) => {
                        problems.push(problem);
                        let shared = Shared { interval: PollingInterval::default(), outputs: None };
                        collectors::read_files(&further, shared).err()
                    }
                };
                problems.extend(more.unwrap_or_default());
                return Err(problems.into());
            }
        };
        Self::of(pattoo, ours, further, in_use)
    }

    /// Reads the content of pattoo's files and ours.
    pub(super) fn of(
        pattoo: PattooFiles,
        ours: Arc<Source>,
        further: Vec<Arc<Source>>,
        in_use: Option<&DataDirectory>,
    ) -> Result<Self, ConfigError> {
        let data = DataDirectory::of(&pattoo)?;
        let daemon = in_use.unwrap_or(&data).clone();
        let read = read_ours(&ours, &further, Some(&pattoo), daemon.root())?;
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
        let (collectors, origins) =
            read.collectors.into_iter().map(|ReadCollector { settings, origin }| (settings, origin)).unzip();
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
            collectors,
        };
        Ok(Self { configuration, data, ours, further, origins, pattoos: pattoo.sources })
    }

    /// Logs which files other users can change or read.
    pub(crate) fn log_exposures(&self) {
        for problem in self.exposures() {
            tracing::warn!("{problem}; help: {}", problem.help);
        }
    }

    /// The place in our file that a path of keys and indices leads to, or the nearest one that
    /// exists: of a map or list its key, of anything else its value.
    pub(crate) fn place(&self, path: &[PathStep]) -> Place {
        self.ours.place(path)
    }

    /// The place of something below the collector with this index, in its own file.
    pub(crate) fn place_in_collector(&self, index: usize, path: &[PathStep]) -> Place {
        self.origins.get(index).map_or_else(|| self.place(&[OURS]), |origin| origin.place(path))
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
}

/// Reads our file, and those with further collectors. Without pattoo's own files, which are wrong
/// then, the rest is checked only as far as it does not depend on them.
fn read_ours(
    source: &Arc<Source>,
    further: &[Arc<Source>],
    pattoo: Option<&PattooFiles>,
    data: &Path,
) -> Result<Ours, Vec<Problem>> {
    let interval = pattoo.and_then(|pattoo| pattoo.polling_interval).unwrap_or_default();
    // Names cannot be checked against outputs that are wrong themselves.
    let mut known = None;
    let main = read(&source.file, &source.document, &forms::pattoo_wasm_yaml(), |fields| {
        let (form, node) = (forms::pattoo_wasm(), fields.node("pattoo_wasm").ok_or(Reported)?);
        let fields = fields.of(&form, node);
        let folders = Folders { configuration: source.folder(), data };
        let outputs = read_outputs(fields, folders, pattoo.and_then(PattooFiles::output));
        known = outputs.as_ref().ok().filter(|outputs| pattoo.is_some() || !outputs.is_empty()).cloned();
        let collectors = collectors::list(fields, source, Shared { interval, outputs: known.as_deref() });
        ours(fields, outputs, collectors, Shared { interval, outputs: known.as_deref() })
    });
    let more = collectors::read_files(further, Shared { interval, outputs: known.as_deref() });
    let repeated = collectors::repeated_programs([source].into_iter().chain(further));
    match (main, more) {
        (Ok(mut ours), Ok(more)) if repeated.is_empty() => {
            ours.collectors.extend(more);
            Ok(ours)
        }
        (main, more) => Err([main.err(), more.err(), Some(repeated)].into_iter().flatten().flatten().collect()),
    }
}

/// The content of our files.
struct Ours {
    outputs: Vec<NamedOutput>,
    hostname: Option<Hostname>,
    status: Option<SocketAddr>,
    concurrent: u32,
    collection_memory: Option<u64>,
    spool: SpoolLimits,
    log: LogBounds,
    health: Option<HealthSettings>,
    collectors: Vec<ReadCollector>,
}

fn ours(
    fields: Fields<'_>,
    outputs: Result<Vec<NamedOutput>, Reported>,
    collectors: Result<Vec<ReadCollector>, Reported>,
    shared: Shared<'_>,
) -> Result<Ours, Reported> {
    let hostname = fields.optional("hostname");
    let status = status(fields);
    let concurrent = fields.integer("concurrent");
    let collection_memory = fields.size("collection_memory");
    let mut spool = SpoolLimits::default();
    let mut log = LogBounds::default();
    let log_bounds = fields.node("log").map(|node| fields.of(&forms::log(), node).quantities(LOG, &mut log));
    let bounds = fields.node("spool").map(|node| fields.of(&forms::spool(), node).quantities(SPOOL, &mut spool));
    let health =
        fields.node("health").map(|node| health_section::read(fields.of(&health_section::form(), node), shared));
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
        health: health.transpose()?,
        collectors: collectors?,
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
