//! What an operator wrote down, parsed into types that cannot be wrong.

mod configuration;
mod digest;
mod directories;
mod grants;
mod hostname;
mod limits;
mod settings;
mod source;

pub use self::{
    configuration::{CollectorSettings, Configuration, Directories, Server},
    digest::{Digest, DigestError},
    directories::{DataDirectory, DirectoriesError},
    grants::{Grants, GrantsError},
    hostname::{HostnameError, fully_qualified_hostname},
    limits::{CollectorLimits, LIMITS, Limit, LimitError, Unit},
    settings::{SettingsError, merge_setting, read_settings, to_json},
    source::{ConfigError, Place, Problem, Severity, SourceFile},
};
