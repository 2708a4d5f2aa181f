//! What an operator wrote down, parsed into types that cannot be wrong.

mod directories;
mod grants;
mod hostname;
mod settings;

pub use self::{
    directories::{DataDirectory, DirectoriesError},
    grants::{Grants, GrantsError},
    hostname::{HostnameError, fully_qualified_hostname},
    settings::{SettingsError, merge_setting, read_settings, to_json},
};
