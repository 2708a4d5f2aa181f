//! Settings, limits, grants, and the files that hold them.

mod files_of_other_users;
mod owner_of_the_data;
mod settings;
