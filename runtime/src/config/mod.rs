//! The configuration, parsed into types that cannot hold an invalid value.
//!
//! `source` reads a file, [`pattoo_settings`] parses it into a tree with the place of each value
//! and compares it with `forms` (which keys there are, of which kind), and the typed readers
//! (`load` and those of sections and files) turn it into newtypes. Each error is a
//! [`Problem`](pattoo_settings::Problem) with its place and how to fix it, and all of them are
//! reported at once.
//!
//! Nothing here starts a task or writes a file.

mod collector_limits;
mod collectors;
mod configuration;
mod directories;
mod effective;
mod exposed_files;
mod forms;
mod grants_section;
mod health_section;
mod hostname;
mod json_schema;
mod load;
mod log_section;
mod own_endpoints;
mod pattoo_files;
mod post_settings;
mod settings_section;
mod source;
mod spool_section;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use pattoo_measurement::PollingInterval;
use pattoo_settings::{Fields, Reported};

pub use self::{
    collector_limits::{CollectorLimits, Limit, known_limits, limit_named},
    configuration::{CollectorSettings, Configuration, Directories},
    directories::{ConfigDirectory, DataDirectory, OtherUsersDirectory},
    grants_section::read_grants,
    health_section::HealthSettings,
    hostname::MachineName,
    json_schema::schema,
    log_section::LogBounds,
    own_endpoints::{OwnAddresses, modules, output_names, own_addresses, queues_of},
    pattoo_files::agents_cache,
    post_settings::Posting,
    settings_section::{SettingsError, check_yaml, merge_setting, read_settings, to_json},
};
pub(crate) use self::{
    forms::unknown_limit,
    load::Loaded,
    source::{OURS, PathStep},
};

/// The value of a key that is a number of seconds.
fn interval(fields: Fields<'_>, name: &str) -> Result<Option<PollingInterval>, Reported> {
    let seconds = fields.integer(name)?.map(u32::try_from).transpose().map_err(|_| Reported)?;
    seconds.map(PollingInterval::from_seconds).transpose().map_err(|_| Reported)
}
