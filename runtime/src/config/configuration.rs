//! The configuration as typed values.

use std::{net::SocketAddr, path::PathBuf};

use pattoo_measurement::{Hostname, PollingInterval, Program};
use pattoo_output::{NamedOutput, OutputName};
use pattoo_sandbox::{ModuleDigest, capability::Grants};
use pattoo_spool::SpoolLimits;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::{CollectorLimits, DataDirectory, HealthSettings, LogBounds, MachineName};

/// The configuration as a whole: pattoo's own files and ours.
///
/// Two are equal if they mean the same, even if their files differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The directories.
    pub directories: Directories,
    /// The outputs. Without one, the daemon does not start.
    pub outputs: Vec<NamedOutput>,
    /// The addresses of outputs in the files, of unused ones too. Collectors may reach none of them.
    pub output_urls: Vec<Url>,
    /// The name of this machine in pattoo.
    pub hostname: Hostname,
    /// Where that comes from, unless the file sets it.
    pub machine_name: Option<MachineName>,
    /// The level of logging.
    pub log_level: LevelFilter,
    /// The limits of the log file.
    pub log: LogBounds,
    /// The status address of the daemon, if it has one. Port 0 means any free port.
    pub status: Option<SocketAddr>,
    /// How many collections may run at once, 1 to 1000.
    pub concurrent: u32,
    /// The memory of the process at which the largest collections are stopped, in bytes, if that is
    /// set.
    pub collection_memory: Option<u64>,
    /// The limits of the spool.
    pub spool: SpoolLimits,
    /// How the daemon reports on itself, if it does.
    pub health: Option<HealthSettings>,
    /// The collectors, each with a program name of its own, in the order of the file.
    pub collectors: Vec<CollectorSettings>,
}

impl Configuration {
    /// Keeps the settings of the start that only a restart can change, besides the directory of
    /// data. Returns the keys with another value in this configuration.
    pub(super) fn keep_from_start(&mut self, started: &Self) -> Vec<&'static str> {
        let mut differ = Vec::new();
        if self.status != started.status {
            differ.push("status");
        }
        if self.concurrent != started.concurrent {
            differ.push("concurrent");
        }
        if self.collection_memory != started.collection_memory {
            differ.push("collection_memory");
        }
        if self.spool != started.spool {
            differ.push("spool");
        }
        (self.status, self.concurrent) = (started.status, started.concurrent);
        self.collection_memory = started.collection_memory;
        self.spool = started.spool;
        differ
    }
}

/// The directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// pattoo's `daemon_directory`: agent ids, and our own data.
    pub daemon: DataDirectory,
    /// pattoo's `log_directory`, if it is set.
    pub log: Option<PathBuf>,
    /// pattoo's `cache_directory`, if it is set: where its Python agents store payloads that they
    /// could not deliver.
    pub cache: Option<PathBuf>,
}

/// One collector: its module, interval, settings, limits and grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorSettings {
    /// Its program name in pattoo, unique in a configuration.
    pub program: Program,
    /// Its module. A path in the file is relative to that file.
    pub module: PathBuf,
    /// The digest that the module must have.
    pub sha256: Option<ModuleDigest>,
    /// How often it collects.
    pub polling_interval: PollingInterval,
    /// Its settings: a JSON object as text.
    pub settings: String,
    /// The limits of one collection.
    pub limits: CollectorLimits,
    /// What it may access.
    pub grants: Grants,
    /// The outputs of its datapoints, at least one if any is configured.
    pub outputs: Vec<OutputName>,
}
