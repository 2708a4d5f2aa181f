//! The configuration, parsed into types that cannot hold an invalid value.
//!
//! `source` reads a file, [`pattoo_settings`] parses it into a tree with the place of each value
//! and compares it with `forms` (which keys there are, of which kind), and the typed readers
//! (`load`, `grants`, `limits`, `pattoo`) turn it into newtypes. Each error is a
//! [`Problem`](pattoo_settings::Problem) with its place and how to fix it, and all of them are
//! reported at once.
//!
//! Nothing here starts a task or writes a file.

mod configuration;
mod digest;
mod directories;
mod effective;
mod exposed;
mod forms;
mod grants;
mod hostname;
mod limits;
mod load;
mod log;
mod own;
mod pattoo;
mod posting;
mod schema;
mod settings;
mod source;
mod spool;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use pattoo_measurement::PollingInterval;
use pattoo_settings::{Fields, Reported};

pub use self::{
    configuration::{CollectorSettings, Configuration, Directories},
    digest::{Digest, DigestError},
    directories::{ConfigDirectory, DataDirectory},
    grants::read_grants,
    hostname::{HostnameError, fully_qualified_hostname},
    limits::{CollectorLimits, Limit, known_limits, limit_named},
    log::LogBounds,
    own::{OwnAddresses, own_addresses, queues_of},
    posting::Posting,
    schema::schema,
    settings::{SettingsError, check_yaml, merge_setting, read_settings, to_json},
};
pub(crate) use self::{forms::unknown_limit, load::Loaded, source::PathStep};

/// The value of a key that is a number of seconds.
fn interval(fields: Fields<'_>, name: &str) -> Result<Option<PollingInterval>, Reported> {
    let seconds = fields.integer(name)?.map(u32::try_from).transpose().map_err(|_| Reported)?;
    seconds.map(PollingInterval::from_seconds).transpose().map_err(|_| Reported)
}
