//! What collectors keep from one collection to the next: small values by name, a set for each program.
//!
//! A SQLite file, opened when a collector first asks. It knows nothing of wasm and of what may be kept: see
//! [`capability`](crate::capability) for that.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use pattoo_base::database::{Database, DatabaseError, Schema};
use pattoo_measurement::Program;
use tokio::sync::OnceCell;

const SCHEMA: Schema = Schema {
    application: 0x7057_5354, // "pWST"
    version: 1,
    sql: "CREATE TABLE state (program TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (program, key)) STRICT;",
    emergency_space: 0,
    upgrades: &[],
};

/// Why values could not be read or kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the stored state of collectors: {0}")]
pub struct StateError(#[from] DatabaseError);

impl StateError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self.0 {
            DatabaseError::Full { .. } => "free space on the file system of that file",
            DatabaseError::Exposed { .. } => pattoo_base::database::EXPOSED_HELP,
            DatabaseError::Damaged { .. } => {
                "restore the file from a backup, or remove it: every collector then starts without its state"
            }
            _ => "make the file and its folder writable for this user",
        }
    }
}

/// The values of all programs. Clones share the file.
#[derive(Debug, Clone)]
pub struct StateStore(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    database: OnceCell<Database>,
}

/// The values of one program, by their keys.
pub(crate) type Values = BTreeMap<String, Vec<u8>>;
/// What a collection changes: new values, and `None` for keys that it removes.
pub(crate) type Changes = BTreeMap<String, Option<Vec<u8>>>;

impl StateStore {
    /// The values in the file at `path`, which is opened, and made if need be, when they are first asked for.
    pub fn at(path: &Path) -> Self {
        Self(Some(Arc::new(Inner { path: path.to_owned(), database: OnceCell::new() })))
    }

    /// Keeps nothing: each collection finds no values.
    pub fn forgetful() -> Self {
        Self(None)
    }

    async fn database(&self) -> Result<Option<&Database>, StateError> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let open = || async {
            let path = inner.path.clone();
            let opened = tokio::task::spawn_blocking(move || Database::open_private(&path, SCHEMA)).await;
            opened.unwrap_or_else(|_| Err(DatabaseError::Closed { path: inner.path.clone() }))
        };
        Ok(Some(inner.database.get_or_try_init(open).await?))
    }

    /// The values of `program`.
    pub(crate) async fn load(&self, program: &Program) -> Result<Values, StateError> {
        let Some(database) = self.database().await? else { return Ok(Values::new()) };
        let program = program.as_str().to_owned();
        let select = "SELECT key, value FROM state WHERE program = ?1";
        let read = database.read(move |db| {
            db.prepare_cached(select)?.query_map([&program], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        });
        Ok(read.await?)
    }

    /// Keeps what a collection changed, all of it or nothing. It is on disk when this returns.
    pub(crate) async fn keep(&self, program: &Program, changes: Changes) -> Result<(), StateError> {
        let Some(database) = self.database().await? else { return Ok(()) };
        let program = program.as_str().to_owned();
        let write = database.write(move |db| {
            let mut set =
                db.prepare_cached("INSERT OR REPLACE INTO state (program, key, value) VALUES (?1, ?2, ?3)")?;
            let mut remove = db.prepare_cached("DELETE FROM state WHERE program = ?1 AND key = ?2")?;
            for (key, value) in &changes {
                match value {
                    Some(value) => set.execute((&program, key, value))?,
                    None => remove.execute((&program, key))?,
                };
            }
            Ok(())
        });
        Ok(write.await?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, StateStore};

    #[tokio::test]
    async fn each_program_has_its_own_values_and_they_survive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/state.sqlite3");
        let (a, b) = ("A".parse().unwrap(), "B".parse().unwrap());
        let store = StateStore::at(&path);
        assert!(!path.exists(), "nobody has asked yet");
        let set = |key: &str, value: &[u8]| (key.to_owned(), Some(value.to_owned()));
        store.keep(&a, Changes::from([set("x", b"1"), set("y", b"")])).await.unwrap();
        store.keep(&b, Changes::from([set("x", b"2")])).await.unwrap();
        store.keep(&a, Changes::from([set("x", b"3"), ("y".to_owned(), None)])).await.unwrap();
        let again = StateStore::at(&path);
        assert_eq!(again.load(&a).await.unwrap(), [("x".to_owned(), b"3".to_vec())].into());
        assert_eq!(again.load(&b).await.unwrap(), [("x".to_owned(), b"2".to_vec())].into());
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_used_says_so_and_another_time_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file/state.sqlite3");
        std::fs::write(folder.path().join("file"), "in the way").unwrap();
        let (store, program) = (StateStore::at(&path), "A".parse().unwrap());
        assert!(store.load(&program).await.unwrap_err().to_string().contains("/file "));
        std::fs::remove_file(folder.path().join("file")).unwrap();
        assert!(store.load(&program).await.unwrap().is_empty());
    }
}
