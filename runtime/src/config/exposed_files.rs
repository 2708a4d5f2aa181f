//! Files and directories of a configuration that other users can change or read.
//!
//! If the daemon refuses a file, that is an error when the file is read. This finds the rest in
//! advance, for `check` and for the log of the daemon.

use std::{collections::HashSet, path::Path};

use pattoo_base::{
    files::{self, Exposure},
    secret::{Secret, SecretSource},
};
use pattoo_settings::{Problem, Severity};

use super::{collectors::FOLDER, load::Loaded};

impl Loaded {
    /// Everything that is exposed: the files, the secrets that they name, modules, and directories
    /// of data.
    pub(crate) fn exposures(&self) -> Vec<Problem> {
        let mut found = Found::default();
        for source in self.sources() {
            found.warn(files::exposures(&source.file.path));
        }
        found.warn(files::exposures_of_folder(&self.ours.folder().join(FOLDER)));
        for path in self.origins.iter().filter_map(|origin| origin.settings_file.as_deref()) {
            found.warn(files::exposures(path));
        }
        let configuration = &self.configuration;
        let sent = configuration.outputs.iter().flat_map(|output| output.output.settings().secrets());
        let granted = configuration.collectors.iter().flat_map(|collector| collector.grants.secrets());
        for secret in sent.chain(granted) {
            if let SecretSource::File(path) = Secret::source(secret) {
                found.warn(files::exposures_of_secret(path));
            }
        }
        for collector in configuration.collectors.iter().filter(|collector| collector.sha256.is_none()) {
            // A user who can write the module has its grants. A digest in the configuration
            // prevents that as well.
            found.warn(files::exposures(&collector.module));
        }
        let directories = &configuration.directories;
        let ids = directories.daemon.agent_ids();
        let log = directories.log.as_deref();
        let data = [directories.daemon.root(), &ids, directories.daemon.own()];
        for path in data.into_iter().chain(directories.cache.as_deref()) {
            found.check(path);
        }
        // A group can often write to a directory of logs.
        if let Some(exposure) = log.and_then(|log| files::refuse_exposed(log).err()) {
            found.add(&exposure, Severity::Error);
        }
        found.problems
    }
}

/// Problems, one for each exposed file.
#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    seen: HashSet<String>,
}

impl Found {
    /// An exposure that is an error was refused when the file was read.
    fn warn(&mut self, exposures: Vec<Exposure>) {
        for exposure in exposures {
            self.add(&exposure, Severity::Warning);
        }
    }

    /// A directory that the daemon does not use if others can change its content.
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
