//! What an operator wrote down, parsed into types that cannot be wrong.
//!
//! A file's way: `source` reads it, `yaml` makes a tree of it in which everything knows its place, `form` holds that against
//! `forms` (which keys there are, of which kind), and the typed readers (`load`, `grants`, `devices`, `pattoo`) turn it into
//! newtypes. Whatever is wrong on the way is a [`Problem`] with its place and how to mend it, and all of them are said at once.
//!
//! Nothing is started here, and nothing written.

mod configuration;
mod devices;
mod digest;
mod directories;
mod effective;
mod exposed;
mod form;
mod forms;
mod grants;
mod hostname;
mod limits;
mod load;
mod log;
mod narrow;
mod own;
mod pattoo;
mod posting;
mod quantity;
mod reader;
mod schema;
mod settings;
mod source;
mod spool;
mod yaml;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

pub use self::{
    configuration::{CollectorSettings, Configuration, Directories, Server},
    digest::{Digest, DigestError},
    directories::{ConfigDirectory, DataDirectory},
    grants::Grants,
    hostname::{HostnameError, fully_qualified_hostname},
    limits::{CollectorLimits, LIMITS, Limit},
    log::LogBounds,
    narrow::grants_of,
    own::{Own, own},
    posting::Posting,
    quantity::{Quantity, QuantityError, Unit},
    schema::schema,
    settings::{SettingsError, check_yaml, merge_setting, read_settings, to_json},
    source::{ConfigError, Place, Problem, Severity, SourceFile},
};
pub(crate) use self::{
    limits::unknown_limit,
    load::{Loaded, Step},
};
