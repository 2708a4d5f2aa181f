//! Files and directories of a configuration that other users can change or read.
//!
//! What makes the daemon refuse a file is an error where that file is read; this finds the rest before it matters, for `check` and for the
//! daemon's log.

use std::{collections::HashSet, path::Path};

use pattoo_base::{
    files::{self, Exposure},
    secret::{Secret, SecretSource},
};
use pattoo_settings::{Problem, Severity};

use super::load::Loaded;

impl Loaded {
    /// What is exposed: the files themselves, the secrets that they name, modules, and directories of data.
    pub(crate) fn exposures(&self) -> Vec<Problem> {
        let mut found = Found::default();
        for source in self.pattoos.iter().chain([&self.ours]) {
            found.warn(files::exposures(&source.file.path));
        }
        let configuration = &self.configuration;
        let token = configuration.server.iter().filter_map(|server| server.token.as_ref());
        let granted = configuration.collectors.iter().flat_map(|collector| collector.grants.secrets());
        for secret in token.chain(granted) {
            if let SecretSource::File(path) = Secret::source(secret) {
                found.warn(files::exposures_of_secret(path));
            }
        }
        for collector in configuration.collectors.iter().filter(|collector| collector.sha256.is_none()) {
            // Whoever can write it has what was granted to it. A digest in the configuration ends that as well.
            found.warn(files::exposures(&collector.module));
        }
        let directories = &configuration.directories;
        let ids = directories.daemon.agent_ids();
        let log = directories.log.as_deref();
        let data = [directories.daemon.root(), &ids, directories.daemon.own()];
        for path in data.into_iter().chain(directories.cache.as_deref()) {
            found.check(path);
        }
        // Where logs are, a group often writes as well.
        if let Some(exposure) = log.and_then(|log| files::refuse_exposed(log).err()) {
            found.add(&exposure, Severity::Error);
        }
        found.problems
    }
}

/// Problems, each thing that is exposed once.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    seen: HashSet<String>,
}

impl Found {
    /// What would be an error was refused when it was read, or is not for us to refuse.
    fn warn(&mut self, exposures: Vec<Exposure>) {
        for exposure in exposures {
            self.add(&exposure, Severity::Warning);
        }
    }

    /// A directory whose content the daemon does not use if others can change it.
    fn check(&mut self, path: &Path) {
        for exposure in files::exposures(path) {
            let severity = if exposure.is_refused() { Severity::Error } else { Severity::Warning };
            self.add(&exposure, severity);
        }
    }

    fn add(&mut self, exposure: &Exposure, severity: Severity) {
        if self.seen.insert(exposure.to_string()) {
            let problem = Problem::without_place(exposure.to_string(), exposure.help());
            self.problems.push(Problem { severity, ..problem });
        }
    }
}
