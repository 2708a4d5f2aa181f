//! From a collection to the server: payloads, the spool, full disks, and crashes.

mod authorities;
mod crash;
pub(crate) mod disk_faults;
mod full_disk;
pub(crate) mod long_queue;
mod nginx;
mod outputs;
pub(crate) mod pattoo_payload;
mod run_post;
mod spool_command;
