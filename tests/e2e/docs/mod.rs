//! The pages of `docs/` that can be executed, and the promises that they make.

mod language_guides;
mod lints;
mod migrate_guide;
mod modbus_guide;
mod promises;
