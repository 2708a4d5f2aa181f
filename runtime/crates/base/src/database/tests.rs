use super::{Database, DatabaseError, Schema};

const SCHEMA: Schema = Schema {
    application: 7,
    version: 1,
    sql: "CREATE TABLE number (value INTEGER NOT NULL UNIQUE) STRICT",
    emergency_space: 0,
    upgrades: &[],
};

async fn put(database: &Database, value: i64) -> Result<(), DatabaseError> {
    database.write(move |db| db.execute("INSERT INTO number VALUES (?1)", [value]).map(|_| ())).await
}

async fn all(database: &Database) -> Vec<i64> {
    database
        .read(|db| db.prepare("SELECT value FROM number ORDER BY value")?.query_map([], |row| row.get(0))?.collect())
        .await
        .unwrap()
}

#[tokio::test]
async fn job_that_fails_does_not_fail_others_of_the_same_commit() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("a/b/numbers.sqlite3"), SCHEMA).unwrap();
    put(&database, 3).await.unwrap();
    let results = futures_util::future::join_all((0..8).map(|value| put(&database, value))).await;
    let failed: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(at, _)| at).collect();
    assert_eq!(failed, [3]);
    assert_eq!(all(&database).await, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn file_and_its_folders_are_readable_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/numbers.sqlite3");
    let database = Database::open(&path, SCHEMA).unwrap();
    put(&database, 1).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&folder.path().join("a"))), (0o600, 0o700));
    assert_eq!(mode(&folder.path().join("a/numbers.sqlite3-wal")), 0o600);
}

#[tokio::test]
async fn each_commit_is_flushed_to_disk() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("numbers.sqlite3"), SCHEMA).unwrap();
    let settings = database.read(|db| {
        let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        Ok((synchronous, db.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?))
    });
    // FULL: each commit flushes the log. NORMAL flushes it only sometimes.
    assert_eq!(settings.await.unwrap(), (2, "wal".to_owned()));
}

#[test]
fn file_that_others_could_have_written_is_not_opened() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (own, path) = (folder.path().join("own"), folder.path().join("own/numbers.sqlite3"));
    Database::open_private(&path, SCHEMA).unwrap().close();
    let refused = || match Database::open_private(&path, SCHEMA) {
        Err(DatabaseError::Exposed { path, why }) => (path, why),
        other => panic!("{other:?}"),
    };
    for (what, mode, usual) in [(&path, 0o620, 0o600), (&own, 0o702, 0o700)] {
        let set = |mode| std::fs::set_permissions(what, std::fs::Permissions::from_mode(mode)).unwrap();
        set(mode);
        assert_eq!(refused(), (what.clone(), "can be written by other users than its owner"));
        set(usual);
    }
    Database::open_private(&path, SCHEMA).unwrap().close();
    // The group of a folder that was given to it may write, and no other users.
    let set = |what, mode| std::fs::set_permissions(what, std::fs::Permissions::from_mode(mode)).unwrap();
    set(&own, 0o2770);
    set(&path, 0o660);
    Database::open_private(&path, SCHEMA).unwrap().close();
    set(&path, 0o662);
    assert_eq!(refused(), (path.clone(), "can be written by other users than its owner"));
    set(&path, 0o600);
    set(&own, 0o700);
    // The file is a link, and then the folder is a link.
    std::fs::rename(&path, folder.path().join("elsewhere.sqlite3")).unwrap();
    symlink(folder.path().join("elsewhere.sqlite3"), &path).unwrap();
    assert_eq!(refused().0, path);
    std::fs::rename(&own, folder.path().join("moved")).unwrap();
    symlink(folder.path().join("moved"), &own).unwrap();
    assert_eq!(refused().0, own);
}

#[tokio::test]
async fn file_of_another_kind_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.sqlite3");
    let database = Database::open(&path, SCHEMA).unwrap();
    put(&database, 1).await.unwrap();
    database.close();
    let sql = "CREATE TABLE word (value TEXT) STRICT";
    for other in [Schema { application: 8, sql, ..SCHEMA }, Schema { version: 2, sql, ..SCHEMA }] {
        assert!(matches!(Database::open(&path, other), Err(DatabaseError::Foreign { .. })));
    }
    std::fs::write(folder.path().join("notes.txt"), "x".repeat(5000)).unwrap();
    let error = Database::open(&folder.path().join("notes.txt"), SCHEMA).unwrap_err();
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
    assert_eq!(all(&Database::open(&path, SCHEMA).unwrap()).await, [1]);
}

#[tokio::test]
async fn job_after_the_end_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("numbers.sqlite3"), SCHEMA).unwrap();
    let clone = database.clone();
    database.close();
    assert!(matches!(put(&clone, 1).await, Err(DatabaseError::Closed { .. })));
}
