//! The directory of the configuration.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The variable that names pattoo's configuration directory.
const CONFIGDIR: &str = "PATTOO_CONFIGDIR";
/// The configuration directory when the variable is not set.
pub(in crate::config) const DEFAULT_CONFIGDIR: &str = "/etc/pattoo";

/// The directory with pattoo's configuration files and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigDirectory {
    path: PathBuf,
    /// Whether it was named by the user. Then it must contain a configuration.
    named: bool,
}

impl ConfigDirectory {
    /// The directory in `PATTOO_CONFIGDIR`, else `/etc/pattoo`. A `~` at the beginning is the
    /// user's home.
    pub fn find() -> Self {
        let named = env::var_os(CONFIGDIR).filter(|dir| !dir.is_empty());
        let path = named.as_deref().map_or_else(|| PathBuf::from(DEFAULT_CONFIGDIR), |dir| expand_home(Path::new(dir)));
        Self { path, named: named.is_some() }
    }

    /// This directory.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), named: true }
    }

    /// The directory that a command line names, else the one that is found without it.
    pub fn named_or_found(path: Option<&Path>) -> Self {
        path.map_or_else(Self::find, Self::at)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::config) fn is_named(&self) -> bool {
        self.named
    }
}

/// A path with a `~` at its beginning replaced by the user's home, as Python's `os.path.expanduser`
/// does.
pub(in crate::config) fn expand_home(path: &Path) -> PathBuf {
    let home = || env::var_os("HOME").filter(|home| !home.is_empty());
    match path.strip_prefix("~") {
        Ok(rest) => home().map_or_else(|| path.to_owned(), |home| Path::new(&home).join(rest)),
        Err(_) => path.to_owned(),
    }
}
