//! All that an operator configured, typed.

use std::{net::SocketAddr, path::PathBuf};

use pattoo_base::secret::Secret;
use pattoo_measurement::{Hostname, PollingInterval, Program};
use pattoo_output::{ServerUrl, SpoolLimits};
use pattoo_sandbox::capability::Grants;
use tracing::level_filters::LevelFilter;

use super::{CollectorLimits, DataDirectory, Digest, LogBounds};

/// The configuration as a whole: pattoo's own files and ours.
///
/// Two are equal when they mean the same, whatever their files look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Where things are kept.
    pub directories: Directories,
    /// Where bodies go. Without one they wait.
    pub server: Option<Server>,
    /// Every pattoo server that the files name, the one above among them: none is for guests.
    pub known_servers: Vec<ServerUrl>,
    /// The name of this machine towards pattoo.
    pub hostname: Hostname,
    /// How much is logged.
    pub log_level: LevelFilter,
    /// How much the log file may hold.
    pub log: LogBounds,
    /// Where the daemon tells how it is; nowhere if none. Port 0 is any that is free.
    pub status: Option<SocketAddr>,
    /// How many collections may be under way at once, 1 to 1000.
    pub concurrent: u32,
    /// How many bytes of memory the process may have before the largest collections are stopped, if that was set.
    pub collection_memory: Option<u64>,
    /// The limits of the spool.
    pub spool: SpoolLimits,
    /// The collectors, each with a program name of its own, in the order of the file.
    pub collectors: Vec<CollectorSettings>,
}

impl Configuration {
    /// Leaves what only a start can set as it was at the start. Returns the keys for which this one has something else.
    pub fn keep_from_start(&mut self, started: &Self) -> Vec<&'static str> {
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
        if self.directories.daemon != started.directories.daemon {
            differ.push("daemon_directory");
        }
        (self.status, self.concurrent) = (started.status, started.concurrent);
        self.collection_memory = started.collection_memory;
        self.spool = started.spool;
        self.directories.daemon = started.directories.daemon.clone();
        differ
    }
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// pattoo's `daemon_directory`: agent ids, and our own data.
    pub daemon: DataDirectory,
    /// pattoo's `log_directory`, if it is set.
    pub log: Option<PathBuf>,
    /// pattoo's `cache_directory`, if it is set: where its Python agents keep bodies that they could not deliver.
    pub cache: Option<PathBuf>,
}

/// The pattoo server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its base URL.
    pub url: ServerUrl,
    /// What is sent as a bearer token, if anything.
    pub token: Option<Secret>,
}

/// One collector: what it is, when it collects, what it is given, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorSettings {
    /// Its name towards pattoo, unique in a configuration.
    pub program: Program,
    /// Its module; a path in the file is relative to that file.
    pub module: PathBuf,
    /// The digest that the module must have.
    pub sha256: Option<Digest>,
    /// How often it collects.
    pub polling_interval: PollingInterval,
    /// What it is given: the text of a JSON object.
    pub settings: String,
    /// How much one collection may use.
    pub limits: CollectorLimits,
    /// What it may reach.
    pub grants: Grants,
}
