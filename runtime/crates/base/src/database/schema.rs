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
    pub emergency_space: u64,
    /// Earlier versions that can be converted to this one.
    pub upgrades: &'static [Upgrade],
}

/// How a file of an earlier version becomes one of the current version.
#[derive(Debug, Clone, Copy)]
pub struct Upgrade {
    /// `PRAGMA user_version` of the earlier version.
    pub from: i32,
    /// The statements that initialised an empty file of the earlier version.
    pub sql: &'static str,
    /// Converts a file, within a transaction.
    pub run: fn(&Connection) -> rusqlite::Result<()>,
}

/// Initialises an empty file, and refuses a file of another kind. A file of an earlier version is
/// converted, or refused without `upgrade`.
pub(super) fn prepare(
    transaction: &Transaction<'_>,
    path: &Path,
    schema: Schema,
    upgrade: bool,
) -> Result<(), DatabaseError> {
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
    let found = objects(transaction);
    if (application, version) == (schema.application, schema.version) && found == expected(schema.sql) {
        return Ok(());
    }
    let of_version = schema.upgrades.iter().find(|upgrade| upgrade.from == version);
    if let Some(step) = of_version
        && application == schema.application
        && found == expected(step.sql)
    {
        if !upgrade {
            return Err(DatabaseError::Outdated { path: path.to_owned() });
        }
        (step.run)(transaction).map_err(explain)?;
        transaction.pragma_update(None, "user_version", schema.version).map_err(explain)?;
        if objects(transaction) != expected(schema.sql) {
            let detail = format!("its conversion from version {version} did not result in version {}", schema.version);
            return Err(DatabaseError::Io { path: path.to_owned(), detail });
        }
        return Ok(());
    }
    // One difference is damage; two are another file.
    let known = std::iter::once(schema.sql).chain(schema.upgrades.iter().map(|upgrade| upgrade.sql));
    let has_tables = known.into_iter().any(|sql| found == expected(sql));
    let is_version_known = version == schema.version || of_version.is_some();
    let detail = match (application == schema.application, has_tables) {
        (true, false) if is_version_known => {
            let detail = "its tables are not those of this program".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (_, true) => {
            let detail = "its header is not that of this program".to_owned();
            return Err(DatabaseError::Damaged { path: path.to_owned(), detail });
        }
        (false, false) => format!("its application id is {application}, not {}", schema.application),
        (true, false) if version > schema.version => {
            format!(
                "it was made by a newer version: its version is {version}, and this program supports {}",
                schema.version
            )
        }
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

/// The objects that these statements create.
fn expected(sql: &str) -> Option<Vec<String>> {
    let model = Connection::open_in_memory().ok()?;
    model.execute_batch(sql).ok()?;
    objects(&model)
}
