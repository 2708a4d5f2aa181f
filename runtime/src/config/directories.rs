//! Where our own data lies.
//!
//! Beside a pattoo installation it is pattoo's `daemon_directory`, so that an agent keeps the id that it had under Python.
//! Without one it is the user's own state directory.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The variable that names pattoo's configuration directory.
const CONFIGDIR: &str = "PATTOO_CONFIGDIR";
/// The configuration directory when the variable is not set.
const DEFAULT_CONFIGDIR: &str = "/etc/pattoo";

/// The directory of our own data within it.
const OWN: &str = "pattoo_wasm";

/// Where agent ids and our own data are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    /// What pattoo's agents share.
    root: PathBuf,
    /// What is ours alone.
    own: PathBuf,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum DirectoriesError {
    /// The configuration file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The configuration file is not YAML of the shape that pattoo documents.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        detail: String,
    },
    /// It does not say where agents keep their data.
    #[error("{} does not set `daemon_directory`, neither under `pattoo:` nor under `main:`", .0.display())]
    NoDaemonDirectory(PathBuf),
    /// There is no configuration, and no home either.
    #[error("there is no {DEFAULT_CONFIGDIR}/pattoo.yaml, and neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
}

impl DirectoriesError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "make it readable for this user, or set PATTOO_CONFIGDIR to the directory that has pattoo.yaml"
            }
            Self::Malformed { .. } => "mend the file; `main: daemon_directory: /var/lib/pattoo` is what is read of it",
            Self::NoDaemonDirectory(_) => "add the line `daemon_directory: /var/lib/pattoo` under `main:`",
            Self::NoHome => "set HOME, or PATTOO_CONFIGDIR to a directory that has pattoo.yaml",
        }
    }
}

/// What is read of `pattoo.yaml`: the shape that pattoo_shared reads, and the documented one. Other keys are other programs'.
#[derive(Debug, Default, Deserialize)]
struct PattooYaml {
    #[serde(default)]
    pattoo: Option<Section>,
    #[serde(default)]
    main: Option<Section>,
}

#[derive(Debug, Default, Deserialize)]
struct Section {
    #[serde(default)]
    daemon_directory: Option<PathBuf>,
}

impl DataDirectory {
    /// This very directory.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), own: root.join(OWN) }
    }

    /// Finds it: `daemon_directory` of `pattoo.yaml` in `PATTOO_CONFIGDIR` or `/etc/pattoo`; where there is no such
    /// file, `pattoo_wasm` in the user's XDG state directory.
    ///
    /// # Errors
    ///
    /// When a configuration is there and cannot be used, or nothing says where to keep data.
    pub fn find() -> Result<Self, DirectoriesError> {
        let named = env::var_os(CONFIGDIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let file = named.as_deref().unwrap_or(Path::new(DEFAULT_CONFIGDIR)).join("pattoo.yaml");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::from_pattoo_yaml(&file, &text),
            // Only a directory that somebody named must hold one.
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Self::of_user(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))
            }
            Err(error) => Err(DirectoriesError::Unreadable { path: file, error }),
        }
    }

    fn from_pattoo_yaml(file: &Path, text: &str) -> Result<Self, DirectoriesError> {
        let yaml: Option<PattooYaml> = serde_yaml::from_str(text)
            .map_err(|error| DirectoriesError::Malformed { path: file.to_owned(), detail: error.to_string() })?;
        let yaml = yaml.unwrap_or_default();
        let root = [yaml.pattoo, yaml.main].into_iter().flatten().find_map(|section| section.daemon_directory);
        root.map(|root| Self::at(&root)).ok_or_else(|| DirectoriesError::NoDaemonDirectory(file.to_owned()))
    }

    fn of_user(state_home: Option<OsString>, home: Option<OsString>) -> Result<Self, DirectoriesError> {
        // "All paths must be absolute. If an implementation encounters a relative path it should ignore it": XDG Base
        // Directory Specification 0.8.
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        absolute(state_home)
            .or_else(|| absolute(home).map(|home| home.join(".local/state")))
            .map(|state| state.join(OWN))
            .map(|root| Self { own: root.clone(), root })
            .ok_or(DirectoriesError::NoHome)
    }

    /// The directory of the agent id files, shared with pattoo's own agents.
    pub fn agent_ids(&self) -> PathBuf {
        self.root.join("agent_id")
    }

    /// The directory of what is ours alone.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The file of the spool, in a directory of its own.
    pub fn spool(&self) -> PathBuf {
        self.own.join("spool/spool.sqlite3")
    }

    /// The file of what collectors keep between collections.
    pub fn state(&self) -> PathBuf {
        self.own.join("state/state.sqlite3")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{DataDirectory, DirectoriesError};

    fn root(text: &str) -> Result<DataDirectory, DirectoriesError> {
        DataDirectory::from_pattoo_yaml(Path::new("pattoo.yaml"), text)
    }

    #[test]
    fn both_shapes_of_the_file_are_read_and_pattoo_comes_first() {
        for text in [
            "main:\n  daemon_directory: /d\n  log_directory: /l\npolling:\n  polling_interval: 20\n",
            "pattoo:\n  daemon_directory: /d\n",
            "main:\n  daemon_directory: /other\npattoo:\n  daemon_directory: /d\n",
        ] {
            let directory = root(text).unwrap();
            assert_eq!(directory.agent_ids(), Path::new("/d/agent_id"), "{text}");
            assert_eq!(directory.spool(), Path::new("/d/pattoo_wasm/spool/spool.sqlite3"), "{text}");
        }
    }

    #[test]
    fn a_file_without_the_directory_is_an_error_that_names_it() {
        for text in ["", "main:\n", "main:\n  log_directory: /l\n"] {
            assert!(root(text).unwrap_err().to_string().starts_with("pattoo.yaml does not set"), "{text}");
        }
        assert!(matches!(root("main: [").unwrap_err(), DirectoriesError::Malformed { .. }));
    }

    #[test]
    fn without_a_configuration_it_is_the_state_directory_of_the_user() {
        let of = |state: Option<&str>, home: Option<&str>| {
            DataDirectory::of_user(state.map(Into::into), home.map(Into::into))
        };
        assert_eq!(of(Some("/s"), Some("/h")).unwrap().agent_ids(), Path::new("/s/pattoo_wasm/agent_id"));
        let home = of(Some("relative"), Some("/h")).unwrap();
        assert_eq!(home.agent_ids(), Path::new("/h/.local/state/pattoo_wasm/agent_id"));
        assert_eq!(home.state(), Path::new("/h/.local/state/pattoo_wasm/state/state.sqlite3"));
        assert!(matches!(of(None, None), Err(DirectoriesError::NoHome)));
    }
}
