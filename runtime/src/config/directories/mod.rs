//! The directories that the agent uses: of its configuration, and of its data.

mod config_directory;
mod data_directory;

pub(super) use self::config_directory::expand_home;
pub use self::{
    config_directory::ConfigDirectory,
    data_directory::{DataDirectory, OtherUsersDirectory},
};
