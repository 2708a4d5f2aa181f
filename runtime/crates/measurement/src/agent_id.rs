//! The agent id: created once, stored in `<daemon_directory>/agent_id/<program>.agent_id`, and
//! shared with pattoo's own agents of that name. It identifies the agent on the server and is part
//! of every checksum, so it is never replaced. A file that does not contain an id is an error, and
//! the operator decides.

use std::{
    fmt,
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use pattoo_base::{
    files::{self, Exposure, PublishError},
    text::shown,
};
use thiserror::Error;

use crate::agent::Program;

/// 64 hexadecimal digits. Their case is kept, because the checksum hashes the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

impl AgentId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the id of `program` from its file in `dir`. Creates the file and the directory if they
    /// do not exist.
    ///
    /// If several processes call this at the same time, one creates the id and all return it. The
    /// file appears complete and synced, or not at all. Only the owner of the directory above can use
    /// a new directory (0700) and a new file (0600); existing ones keep their mode. A process that is
    /// killed can leave a hidden `.tmp` file, which is not read.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, created or trusted, or does not contain an id.
    pub fn load_or_create(dir: &Path, program: &Program) -> Result<Self, AgentIdError> {
        let path = dir.join(format!("{program}.agent_id"));
        files::refuse_exposed(dir).map_err(AgentIdError::exposed)?;
        if let Some(found) = Self::load(&path)? {
            return Ok(found);
        }
        Self::generate()?.publish(dir, &path)?;
        // Another process may have created the file first, so its content is the id.
        match Self::load(&path)? {
            Some(id) => Ok(id),
            None => Err(AgentIdError::io("read", &path)(ErrorKind::NotFound.into())),
        }
    }

    /// Checks whether [`load_or_create`](Self::load_or_create) would succeed with the existing
    /// file, if there is one. Creates nothing.
    ///
    /// # Errors
    ///
    /// The error that it would return.
    pub fn check(dir: &Path, program: &Program) -> Result<(), AgentIdError> {
        files::refuse_exposed(dir).map_err(AgentIdError::exposed)?;
        Self::load(&dir.join(format!("{program}.agent_id"))).map(drop)
    }

    fn load(path: &Path) -> Result<Option<Self>, AgentIdError> {
        /// Enough for an id with its line end, and to detect a longer file.
        const MOST: u64 = 128;
        let file = match files::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AgentIdError::io("read", path)(error)),
        };
        files::refuse_exposed(path).map_err(AgentIdError::exposed)?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).map_err(AgentIdError::io("read", path))?;
        let text = String::from_utf8_lossy(&bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let damaged = |source| AgentIdError::Damaged { path: path.to_owned(), source };
        line.parse().map(Some).map_err(damaged)
    }

    fn generate() -> Result<Self, AgentIdError> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(AgentIdError::Random)?;
        let digits = bytes.iter().flat_map(|byte| [byte.wrapping_shr(4), byte & 0xf]);
        Ok(Self(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()))
    }

    /// Stores this id at `path`, unless there is a file already.
    fn publish(&self, dir: &Path, path: &Path) -> Result<(), AgentIdError> {
        files::create_folders(dir, 0o700).map_err(AgentIdError::io("create", dir))?;
        // The id is random, so its file name is unique without another source of randomness.
        let draft = dir.join(format!(".{self}.tmp"));
        // A file that another process has created in the meantime is not replaced.
        files::publish(path, &draft, self.0.as_bytes())?;
        // The directory may be new as well.
        let above = files::folder_of(dir);
        File::open(above).and_then(|above| above.sync_all()).map_err(AgentIdError::io("sync", above))
    }

    /// An id that is not stored.
    ///
    /// # Errors
    ///
    /// When the system returns no random bytes.
    pub fn passing() -> Result<Self, AgentIdError> {
        Self::generate()
    }

    /// An id of any text, for the golden vectors.
    #[doc(hidden)]
    pub fn unchecked(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, InvalidAgentId> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAgentId { text: shown(text) })
        }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentId({})", self.0)
    }
}

/// Text that is not an agent id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid agent id {text}: expected 64 hexadecimal digits")]
pub struct InvalidAgentId {
    /// The text, quoted and cut.
    text: String,
}

/// Why there is no agent id.
#[derive(Debug, Error)]
pub enum AgentIdError {
    /// The file contains something else.
    #[error("the agent id file {} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: InvalidAgentId,
    },
    /// An operation on a file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `open`, `read`, `create`, `write` or `sync`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another user can replace the file.
    #[error("the agent id cannot be trusted: {exposure}")]
    Exposed {
        /// Who can, as text.
        exposure: String,
        /// The command that prevents it.
        help: String,
    },
    /// The system returned no random bytes for a new id.
    #[error("cannot create an agent id: the system has no random bytes: {0}")]
    Random(getrandom::Error),
}

impl From<PublishError> for AgentIdError {
    fn from(PublishError { action, path, source }: PublishError) -> Self {
        Self::Io { action, path, source }
    }
}

impl AgentIdError {
    fn exposed(exposure: Exposure) -> Self {
        Self::Exposed { exposure: exposure.to_string(), help: exposure.help() }
    }

    fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// What the operator can do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Damaged { path, .. } => Some(format!(
                "restore {0} from a backup, so that the server continues the same series; if there is no backup, \
                 remove the file (rm {0}): the next start creates a new id, and every series starts again",
                path.display()
            )),
            Self::Io { path, .. } => {
                Some(format!("the user that runs this program must be able to read and write {}", path.display()))
            }
            Self::Exposed { help, .. } => Some(help.clone()),
            Self::Random(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, sync::Barrier, thread};

    use super::*;

    fn program() -> Program {
        "LAVA_SCRIPT".parse().unwrap()
    }

    #[test]
    fn id_is_created_once_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("daemon/agent_id");
        let made = AgentId::load_or_create(&dir, &program()).unwrap();
        let path = dir.join("LAVA_SCRIPT.agent_id");
        assert_eq!(fs::read_to_string(&path).unwrap(), made.as_str());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(AgentId::load_or_create(&dir, &program()).unwrap(), made);
        assert_ne!(AgentId::load_or_create(&dir, &"OTHER".parse().unwrap()).unwrap(), made);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "nothing but the two files is left");
    }

    #[test]
    fn id_of_another_agent_is_used_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LAVA_SCRIPT.agent_id");
        for (end, id) in [("", "ab".repeat(32)), ("\n", "AB".repeat(32)), ("\r\n", "0F".repeat(32))] {
            let content = format!("{id}{end}");
            fs::write(&path, &content).unwrap();
            assert_eq!(AgentId::load_or_create(dir.path(), &program()).unwrap().as_str(), id);
            assert_eq!(fs::read_to_string(&path).unwrap(), content, "the file is not touched");
        }
    }

    #[test]
    fn concurrent_callers_get_the_same_id() {
        const RACERS: usize = 16;
        for _ in 0..20 {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("agent_id");
            let start = Barrier::new(RACERS);
            let race = || {
                start.wait();
                AgentId::load_or_create(&dir, &program()).unwrap()
            };
            let ids: Vec<AgentId> = thread::scope(|scope| {
                let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(race)).collect();
                racers.into_iter().map(|r| r.join().unwrap()).collect()
            });
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        }
    }

    #[test]
    fn damaged_file_is_an_error_and_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LAVA_SCRIPT.agent_id");
        let id = "ab".repeat(32);
        let short = "a".repeat(63);
        let contents = [
            String::new(),
            "\n".into(),
            short.clone(),
            format!("{id}0"),
            format!("{id}\n\n"),
            format!(" {id}"),
            format!("{short}g"),
            id.repeat(100),
        ];
        for content in contents {
            fs::write(&path, &content).unwrap();
            let error = AgentId::load_or_create(dir.path(), &program()).unwrap_err();
            assert!(matches!(&error, AgentIdError::Damaged { path: named, .. } if *named == path), "{error}");
            assert!(error.help().unwrap().contains("LAVA_SCRIPT.agent_id"));
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(&path, [0xff; 64]).unwrap();
        AgentId::load_or_create(dir.path(), &program()).unwrap_err();
    }

    #[test]
    fn file_that_is_not_regular_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LAVA_SCRIPT.agent_id");
        let refused = |what: &str| {
            let error = AgentId::load_or_create(dir.path(), &program()).unwrap_err().to_string();
            assert!(error.contains("LAVA_SCRIPT.agent_id") && error.contains("not a regular file"), "{what}: {error}");
            fs::remove_file(&path).unwrap();
        };
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        refused("a pipe");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refused("a device");
    }

    #[test]
    fn error_names_the_path_that_cannot_be_used() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = AgentId::load_or_create(&file, &program()).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
        let dir = root.path().join("dir");
        fs::create_dir_all(dir.join("LAVA_SCRIPT.agent_id")).unwrap();
        let error = AgentId::load_or_create(&dir, &program()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read") && error.contains("LAVA_SCRIPT.agent_id"), "{error}");
    }
}
