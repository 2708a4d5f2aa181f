//! The name of this machine, which stays as it was when the daemon first used it.
//!
//! It is part of every checksum, and name look-up decides it: an outage of DNS or another domain
//! would start every series again. So the daemon keeps the first name in a file, and an operator
//! decides when there is another.

mod look_up;

use std::{io::ErrorKind, path::Path};

use pattoo_base::files;
use pattoo_measurement::Hostname;
use pattoo_settings::Problem;

use self::look_up::fully_qualified_hostname;
use super::{Configuration, DataDirectory, source::FILE};

/// The longest content of the file, in bytes.
const MOST: u64 = Hostname::MAX_BYTES as u64 + 2;

/// The name of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineName {
    /// The name in use.
    pub used: Hostname,
    /// The name that look-up finds now.
    pub found: Hostname,
}

impl MachineName {
    /// Looks the name up. The one that the daemon kept in its directory is used, if there is one.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or there is neither a file nor a name.
    pub fn find(directory: &DataDirectory) -> Result<Self, Problem> {
        let found = fully_qualified_hostname();
        match (kept(&directory.hostname())?, found) {
            (Some(used), found) => Ok(Self { found: found.unwrap_or_else(|_| used.clone()), used }),
            (None, Ok(found)) => Ok(Self { used: found.clone(), found }),
            (None, Err(error)) => {
                let help = format!("set the name in {FILE}: `hostname: gateway-7`");
                Err(Problem::without_place(error.to_string(), help))
            }
        }
    }

    /// The problem that the machine has another name now.
    pub fn change(&self, directory: &DataDirectory) -> Option<Problem> {
        let Self { used, found } = self;
        (used != found).then(|| {
            Problem::without_place(
                format!("the name of this machine was {used} and is {found} now; {used} stays in use"),
                format!(
                    "write `hostname: {used}` into {FILE} to continue the series; to start new ones under the new name, \
                     write `hostname: {found}` or remove {}",
                    directory.hostname().display()
                ),
            )
        })
    }
}

impl Configuration {
    /// The problem that this machine has another name than the one in use.
    pub fn change_of_name(&self) -> Option<Problem> {
        self.machine_name.as_ref()?.change(&self.directories.daemon)
    }
}

/// The name in the file, if there is one.
fn kept(path: &Path) -> Result<Option<Hostname>, Problem> {
    let problem = |why: String| {
        let help = format!("write the host name that the series have into {}, or remove it", path.display());
        Problem::without_place(format!("{}: {why}", path.display()), help)
    };
    match files::read_text(path, MOST) {
        Ok(text) => text.parse().map(Some).map_err(|error| problem(format!("{error}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(problem(error.to_string())),
    }
}
