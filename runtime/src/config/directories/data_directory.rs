//! The directories of agent ids and of our own data.
//!
//! With a pattoo installation our data is in pattoo's `daemon_directory`, so that an agent keeps
//! the id that it had under Python. Otherwise it is in the user's state directory.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use pattoo_base::{files, users::User};
use pattoo_settings::{ConfigError, Problem};

use rustix::fs::Access;

use super::config_directory::{ConfigDirectory, DEFAULT_CONFIGDIR};
use crate::config::pattoo_files::PattooFiles;

/// The directory of our own data within pattoo's.
const OWN: &str = "pattoo_wasm";
/// The directory of compiled modules within that.
const COMPILED: &str = "compiled";

/// An error: a directory of data is that of another user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} belongs to {owner}", directory.display())]
pub struct OtherUsersDirectory {
    directory: PathBuf,
    owner: User,
}

impl OtherUsersDirectory {
    /// How to use the directory all the same.
    pub fn help(&self) -> String {
        format!("run this command as that user: `sudo -u {} pattoo-wasm …`", self.owner.argument())
    }
}

/// The directory of agent ids and of our own data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirectory {
    /// Shared with pattoo's agents.
    root: PathBuf,
    /// Only for our own data.
    own: PathBuf,
    /// Compiled modules.
    compiled: PathBuf,
}

impl DataDirectory {
    /// This directory, shared with pattoo's agents.
    pub fn at(root: &Path) -> Self {
        let own = root.join(OWN);
        Self { root: root.to_owned(), compiled: own.join(COMPILED), own }
    }

    /// Finds it: `daemon_directory` of `pattoo.yaml` in the configuration directory; if there is no
    /// such file, `pattoo_wasm` in the user's XDG state directory (and in the cache directory, for
    /// compiled modules).
    ///
    /// # Errors
    ///
    /// When there is a configuration that cannot be used, or no directory is known.
    pub fn find() -> Result<Self, ConfigError> {
        Self::find_in(&ConfigDirectory::find())
    }

    /// The same for another configuration directory.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn find_in(directory: &ConfigDirectory) -> Result<Self, ConfigError> {
        let files = PattooFiles::read(directory).map_err(ConfigError::from)?;
        Ok(Self::of(&files)?)
    }

    /// The directory in pattoo's files, else the user's.
    pub(in crate::config) fn of(files: &PattooFiles) -> Result<Self, Problem> {
        match &files.daemon_directory {
            Some(root) => Ok(Self::at(root)),
            None => Self::of_user(env::var_os("XDG_STATE_HOME"), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")),
        }
    }

    fn of_user(
        state_home: Option<OsString>,
        cache_home: Option<OsString>,
        home: Option<OsString>,
    ) -> Result<Self, Problem> {
        // "All paths must be absolute. If an implementation encounters a relative path it should
        // ignore it": XDG Base Directory Specification 0.8.
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute(home);
        let ours = |named, usual: &str| {
            let folder = absolute(named).or_else(|| home.as_ref().map(|home| home.join(usual)));
            folder.map(|folder| folder.join(OWN)).ok_or_else(|| {
                Problem::without_place(
                    format!("there is no {DEFAULT_CONFIGDIR}/pattoo.yaml, and HOME is not set"),
                    "set HOME, or PATTOO_CONFIGDIR to a directory that has pattoo.yaml",
                )
            })
        };
        let root = ours(state_home, ".local/state")?;
        Ok(Self { own: root.clone(), root, compiled: ours(cache_home, ".cache")?.join(COMPILED) })
    }

    /// The directory that is shared with pattoo's own agents.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The user whose data it holds, if the directory exists.
    pub fn owner(&self) -> Option<User> {
        User::owner_of(&self.root)
    }

    /// Checks that what this user creates there can be used by the owner: this user is the owner; or
    /// is root, who creates it for the owner; or root owns the directory and lets this user write in
    /// it, as in a volume of Kubernetes.
    ///
    /// # Errors
    ///
    /// When it is the directory of another user. It is not checked what may be written in it.
    pub fn refuse_other_users(&self) -> Result<(), OtherUsersDirectory> {
        let Some(owner) = self.owner() else { return Ok(()) };
        let user = User::current();
        let can_write = || rustix::fs::access(&self.root, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        if user.is(&owner) || user.is_root() || (files::is_trusted_owner(owner.uid()) && can_write()) {
            return Ok(());
        }
        Err(OtherUsersDirectory { directory: self.root.clone(), owner })
    }

    /// The directory of compiled modules.
    pub fn compiled(&self) -> &Path {
        &self.compiled
    }

    /// The directory of the agent id files, shared with pattoo's own agents.
    pub fn agent_ids(&self) -> PathBuf {
        self.root.join("agent_id")
    }

    /// The directory of our own data.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The file of the name that this machine had when the daemon first used it.
    pub fn hostname(&self) -> PathBuf {
        self.own.join("hostname")
    }

    /// The file of the newest time at which payloads were stored.
    pub fn newest(&self) -> PathBuf {
        self.own.join("newest")
    }

    /// The file of the spool, in a directory of its own.
    pub fn spool(&self) -> PathBuf {
        self.own.join("spool/spool.sqlite3")
    }

    /// The file of the state of collectors.
    pub fn state(&self) -> PathBuf {
        self.own.join("state/state.sqlite3")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::DataDirectory;

    #[test]
    fn own_data_has_a_directory_of_its_own() {
        let directory = DataDirectory::at(Path::new("/d"));
        assert_eq!(directory.agent_ids(), Path::new("/d/agent_id"));
        assert_eq!(directory.spool(), Path::new("/d/pattoo_wasm/spool/spool.sqlite3"));
    }

    #[test]
    fn default_is_the_state_directory_of_the_user() {
        let of = |state: Option<&str>, home: Option<&str>| {
            DataDirectory::of_user(state.map(Into::into), None, home.map(Into::into))
        };
        assert_eq!(of(Some("/s"), Some("/h")).unwrap().agent_ids(), Path::new("/s/pattoo_wasm/agent_id"));
        let home = of(Some("relative"), Some("/h")).unwrap();
        assert_eq!(home.agent_ids(), Path::new("/h/.local/state/pattoo_wasm/agent_id"));
        assert_eq!(home.own(), Path::new("/h/.local/state/pattoo_wasm"));
        assert_eq!(home.compiled(), Path::new("/h/.cache/pattoo_wasm/compiled"));
        assert!(of(None, None).is_err());
    }
}
