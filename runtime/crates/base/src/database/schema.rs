//! The schema of a database: how an empty file is initialised, and a foreign or damaged one
//! refused.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::error::DatabaseError;

/// The kind of a file, and its tables.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// `PRAGMA application_id`, which tells the kinds of files apart (also for `file`).
    pub application: i32,
    /// `PRAGMA user_version`.
    pub version: i32,
    /// The statements that initialise an empty file.
    pub sql: &'static str,
    /// Bytes of the log that stay allocated, so that rows can be deleted on a full disk; 0 for
    /// none. Such a file is also monitored: nothing is written to it any more after it was removed
    /// from its path or replaced.
    pub reserve: u64,
}

/// Initialises an empty file, and refuses a file of another kind.
pub(super) fn prepare(transaction: &Transaction<'_>, path: &Path, schema: Schema) -> Result<(), DatabaseError> {
    let explain = |error: rusqlite::Error| DatabaseError::new(path, &error);
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(explain);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(explain)?;
    if application == 0 && version == 0 && tables == 0 {
        transaction.pragma_update(None, "application_id", schema.application).map_err(explain)?;
        transaction.pragma_update(None, "user_version", schema.version).map_err(explain)?;
        return transaction.execute_batch(schema.sql).map_err(explain);
    }
    // One difference is damage; two are another file.
    let has_tables = objects(transaction) == expected(schema);
    let has_ids = (application, version) == (schema.application, schema.version);
    let detail = match (application == schema.application, has_tables) {
        _ if has_tables && has_ids => return Ok(()),
        (true, false) if has_ids => {
            let detail = "its tables are not those of this program".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (_, true) => {
            let detail = "its header is not that of this program".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (false, false) => format!("its application id is {application}, not {}", schema.application),
        (true, false) => format!("its version is {version}, and this program supports {}", schema.version),
    };
    Err(DatabaseError::Foreign { path: path.to_owned(), detail })
}

/// The statements that created the objects of a file, if they can be read.
fn objects(connection: &Connection) -> Option<Vec<String>> {
    let mut select =
        connection.prepare("SELECT type || name || tbl_name || sql FROM sqlite_schema WHERE sql IS NOT NULL").ok()?;
    select.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()
}

/// The statements that create the objects of this schema.
fn expected(schema: Schema) -> Option<Vec<String>> {
    let model = Connection::open_in_memory().ok()?;
    model.execute_batch(schema.sql).ok()?;
    objects(&model)
}
