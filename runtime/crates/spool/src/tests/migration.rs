//! Tests of the migration.
