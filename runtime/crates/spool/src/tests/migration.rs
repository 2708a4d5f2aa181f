//! Files of other versions: version 2 is converted, a newer one is refused.

// words: keep from here, the names of version 2
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_base::database::{Database, DatabaseError, Schema};
use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::{Dice, damage, kept_aside, open, payload, put, queue};
use crate::{
    AgentKey, Judgement, OutputId, QueueId, Refusal, Selection, Spool, SpoolError, SpoolLimits, StoredId,
    digest::{Digest, queue_number},
    schema::{SCHEMA, VERSION_2, steps_from_version_2},
};

const SCHEMA_2: Schema = Schema { version: 2, sql: VERSION_2, upgrades: &[], ..SCHEMA };

fn file(folder: &Path) -> PathBuf {
    folder.join("spool.sqlite3")
}

/// Stores a row as version 2 did.
fn insert(db: &Connection, queue: &QueueId, status: i64, text: &str) -> StoredId {
    let digest = Digest::of(queue, text.as_bytes(), 0, "application/json", "");
    let insert =
        "INSERT INTO body (status, lane, server, agent, program, built, stored, datapoints, bytes, digest, json)
        VALUES (?1, ?2, ?3, ?4, 'TEST', ?5, ?6, 3, ?7, ?8, CAST(?9 AS BLOB))";
    let (built, stored) = (1_578_071_455_335i64, 1_578_071_455_400i64);
    let (number, output, agent) = (queue_number(queue), queue.output.as_str(), queue.agent.as_str());
    let bytes = i64::try_from(text.len()).unwrap();
    db.execute(insert, params![status, number, output, agent, built, stored, bytes, digest, text]).unwrap();
    StoredId(db.last_insert_rowid())
}

/// A closed file of version 2 with `rows` rows in every state, many of them deleted again.
fn make_version_2(folder: &Path, rows: usize) {
    Database::open(&file(folder), SCHEMA_2).unwrap().close();
    let db = Connection::open(file(folder)).unwrap();
    let mut dice = Dice(3);
    let mut below = |bound: u64| i64::try_from(dice.below(bound)).unwrap();
    db.execute_batch("BEGIN").unwrap();
    for _ in 0..rows {
        let agent: AgentKey = format!("{:064x}", below(7)).parse().unwrap();
        let output: OutputId = format!("http://192.0.2.{}:20201", below(3)).parse().unwrap();
        let text = "x".repeat(usize::try_from(below(4000)).unwrap()) + &below(1 << 40).to_string();
        let id = insert(&db, &QueueId { output, agent }, i64::from(below(5) == 0), &text);
        if below(3) == 0 {
            let update =
                "UPDATE body SET attempts = ?2, strikes = ?3, accepted_at_strike = ?4, refused_since = ?5, refusal = ?6
                WHERE id = ?1";
            let (since, refusal) = (1_578_071_500_000i64 + below(1000), format!("answered 500: {}", below(9)));
            db.execute(update, params![id.0, below(50), below(5), below(9), since, refusal]).unwrap();
        }
        if below(4) == 0 {
            db.execute("DELETE FROM body WHERE id = ?1", [below(u64::try_from(id.0).unwrap()) + 1]).unwrap();
        }
    }
    // The newest numbers are given to payloads that are gone.
    db.execute("DELETE FROM body WHERE id > (SELECT max(id) - 5 FROM body)", []).unwrap();
    db.execute_batch(
        "INSERT INTO server VALUES ('http://192.0.2.0:20201', 41), ('http://192.0.2.1:20201', 9);
         UPDATE totals SET delivered = 50, refused = 77, dropped = 5; COMMIT",
    )
    .unwrap();
}

type Rows = Vec<Vec<Value>>;

fn rows(db: &Connection, sql: &str) -> Rows {
    let mut select = db.prepare(sql).unwrap();
    let columns = select.column_count();
    let rows = select.query_map([], |row| (0..columns).map(|at| row.get(at)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// All that a file holds, in the words of version 3.
fn contents(path: &Path) -> [Rows; 4] {
    let db = Connection::open(path).unwrap();
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let payloads = if version == 2 {
        "SELECT id, status, lane, server, agent, program, built, stored, datapoints, attempts, strikes, accepted_at_strike,
            refused_since, refusal, bytes, digest, json, 0, 'application/json', '' FROM body ORDER BY id"
    } else {
        "SELECT id, status, queue, output, agent, program, created, stored, count, attempts, strikes, accepted_at_strike,
            refused_since, refusal, bytes, digest, content, epoch, content_type, encoding FROM payload ORDER BY id"
    };
    let outputs = if version == 2 { "SELECT * FROM server" } else { "SELECT * FROM output" };
    let sequence = "SELECT seq FROM sqlite_sequence WHERE name IN ('body', 'payload')";
    [rows(&db, payloads), rows(&db, outputs), rows(&db, "SELECT * FROM totals"), rows(&db, sequence)]
}

/// Opens a spool, which is converted, and holds what it held.
fn open_converted(folder: &Path, expected: &[Rows; 4]) -> Spool {
    let spool = open(folder);
    assert!(contents(&file(folder)) == *expected, "what was in it is in it");
    let db = Connection::open(file(folder)).unwrap();
    assert_eq!(rows(&db, "PRAGMA user_version"), [[Value::Integer(3)]]);
    assert_eq!(rows(&db, "PRAGMA integrity_check"), [[Value::Text("ok".to_owned())]]);
    assert!(kept_aside(folder).is_empty(), "it is not treated as damaged");
    spool
}

#[tokio::test]
async fn spool_of_version_2_is_converted_with_everything_in_it_and_used() {
    let folder = tempfile::tempdir().unwrap();
    make_version_2(folder.path(), 3000);
    let expected = contents(&file(folder.path()));
    assert!(expected[0].len() > 1500 && expected[0].iter().any(|row| row[1] == Value::Integer(1)));
    let spool = open_converted(folder.path(), &expected);
    let [Value::Integer(last)] = *expected[3][0] else { panic!("{:?}", expected[3]) };
    let infos = spool.list(Selection::default(), u32::MAX).await.unwrap();
    assert_eq!(infos.len(), expected[0].len());
    for info in &infos {
        assert!(spool.show(info.id).await.unwrap().unwrap().intact, "{info:?}");
    }
    // Each queue comes out in its order, with what is to be sent.
    let mut delivered = 0;
    for queue in spool.queues().await.unwrap() {
        let mut before = StoredId(0);
        loop {
            let next = spool.next(&queue).await.unwrap();
            if next.is_empty() {
                break;
            }
            for payload in next {
                assert!(payload.id > before && payload.is_intact(&queue));
                assert_eq!((&*payload.content_type, &*payload.encoding, payload.epoch), ("application/json", "", 0));
                before = payload.id;
                spool.delivered(payload.id, &queue.output).await.unwrap();
                delivered += 1;
            }
        }
    }
    let stats = spool.stats().await.unwrap();
    assert_eq!((stats.queued, stats.delivered, stats.refused, stats.dropped), (0, 50 + delivered, 77, 5));
    assert!(stats.quarantined > 100);
    let retried = spool.retry(Selection::default()).await.unwrap();
    assert_eq!((retried.queued, retried.damaged.len()), (stats.quarantined, 0));
    assert_eq!(put(&spool, 'a', "new").await, StoredId(last + 1), "no number is used twice");
    spool.verify().await.unwrap();
    spool.close();
    drop(spool);
    assert_eq!(open(folder.path()).stats().await.unwrap().queued, stats.quarantined + 1);
}

#[tokio::test]
async fn refusals_of_version_2_count_on_after_the_conversion() {
    let folder = tempfile::tempdir().unwrap();
    Database::open(&file(folder.path()), SCHEMA_2).unwrap().close();
    let db = Connection::open(file(folder.path())).unwrap();
    let id = insert(&db, &queue('a'), 0, "refused");
    db.execute("UPDATE body SET attempts = 2, strikes = 2, accepted_at_strike = 7 WHERE id = ?1", [id.0]).unwrap();
    db.execute("INSERT INTO server VALUES (?1, 8)", [queue('a').output.as_str()]).unwrap();
    drop(db);
    let spool = open(folder.path());
    let refusal = Refusal { text: "no".to_owned(), of_the_payload: true, first_counts: true, strikes: 3 };
    assert_eq!(spool.refused(id, &queue('a').output, refusal).await, Ok(Judgement::Quarantined));
    assert_eq!(spool.show(id).await.unwrap().unwrap().info.attempts, 3);
}

/// Unpacks the spool that the released version left behind.
fn released(folder: &Path) -> serde_json::Value {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/0.1.0");
    let unpack = "import sys, tarfile\n\
                  with tarfile.open(sys.argv[1]) as archive: archive.extractall(sys.argv[2], filter='data')";
    let unpacked = Command::new("python3").args(["-c", unpack]).arg(fixtures.join("home.tar.xz")).arg(folder).status();
    assert!(unpacked.unwrap().success());
    serde_json::from_slice(&fs::read(fixtures.join("expected.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn spool_of_the_released_version_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let expected = released(folder.path());
    let folder = folder.path().join("daemon/pattoo_wasm/spool");
    // Without its log: a look at it must not change what is opened.
    let held = tempfile::tempdir().unwrap();
    fs::copy(file(&folder), file(held.path())).unwrap();
    let spool = open_converted(&folder, &contents(&file(held.path())));
    let infos = spool.list(Selection::default(), u32::MAX).await.unwrap();
    let expected = expected["spool"].as_array().unwrap();
    assert_eq!(infos.len(), expected.len());
    for (info, expected) in infos.iter().zip(expected) {
        let found = spool.show(info.id).await.unwrap().unwrap();
        assert!(found.intact);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&found.bytes).unwrap(), expected["body"]);
        let status = if info.quarantined { "quarantined" } else { "queued" };
        let listed = serde_json::json!({
            "id": info.id.0, "status": status, "server": info.output, "agent_id": info.agent, "program": info.program,
            "built": info.created, "stored": info.stored, "datapoints": info.count, "bytes": info.bytes,
            "refused": info.attempts, "refusal": info.refusal, "body": expected["body"],
        });
        assert_eq!(listed, *expected);
    }
}

/// What the disk holds of a file that is open, as a process that is killed now leaves it.
fn image(of: &Path, folder: &Path) {
    for suffix in ["", "-wal"] {
        let name = format!("spool.sqlite3{suffix}");
        fs::copy(of.join(&name), folder.join(&name)).unwrap();
    }
}

#[test]
fn conversion_that_is_killed_after_any_statement_is_done_again_and_loses_nothing() {
    let original = tempfile::tempdir().unwrap();
    make_version_2(original.path(), 200);
    let expected = contents(&file(original.path()));
    let steps = steps_from_version_2().unwrap();
    for killed_after in 0..=steps.len() {
        let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::copy(file(original.path()), file(folder.path())).unwrap();
        let mut db = Connection::open(file(folder.path())).unwrap();
        // Pages go to the disk before the commit.
        db.pragma_update(None, "cache_size", 1).unwrap();
        let transaction = db.transaction().unwrap();
        for (sql, values) in &steps[..killed_after] {
            transaction.execute(sql, params_from_iter(values)).unwrap();
        }
        transaction.execute("UPDATE totals SET delivered = 1000", []).unwrap();
        image(folder.path(), killed.path());
        open_converted(killed.path(), &expected);
        drop(transaction);
        drop(db);
        open_converted(folder.path(), &expected);
    }
}

#[tokio::test]
async fn damaged_spool_of_version_2_is_recovered() {
    let original = tempfile::tempdir().unwrap();
    Database::open(&file(original.path()), SCHEMA_2).unwrap().close();
    let db = Connection::open(file(original.path())).unwrap();
    let mut stored = BTreeMap::new();
    for number in 0..80usize {
        let text = format!("{number} {}", "y".repeat(number * 97 % 7000));
        stored.insert(insert(&db, &queue('a'), 0, &text), text);
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    damage::damage_and_recover(original.path(), &stored).await;
}

#[tokio::test]
async fn recovery_that_version_2_did_not_finish_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    make_version_2(folder.path(), 100);
    let [payloads, ..] = contents(&file(folder.path()));
    fs::rename(file(folder.path()), folder.path().join("saved.sqlite3")).unwrap();
    fs::write(file(folder.path()), "not a database ".repeat(1000)).unwrap();
    let spool = open(folder.path());
    let infos = spool.list(Selection::default(), u32::MAX).await.unwrap();
    assert_eq!(infos.len(), payloads.len());
    assert_eq!(kept_aside(folder.path()).len(), 1);
}

#[tokio::test]
async fn spool_of_a_newer_version_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let newer = Schema {
        version: 4,
        sql: "CREATE TABLE payload (id INTEGER PRIMARY KEY, more TEXT NOT NULL) STRICT",
        upgrades: &[],
        ..SCHEMA
    };
    let database = Database::open(&file(folder.path()), newer).unwrap();
    database.write(|db| db.execute("INSERT INTO payload VALUES (1, 'kept')", [])).await.unwrap();
    database.close();
    let error = Spool::open(&file(folder.path()), SpoolLimits::default()).unwrap_err();
    assert!(matches!(error, SpoolError::Database(DatabaseError::Foreign { .. })), "{error:?}");
    assert!(error.to_string().contains("newer version") && error.to_string().contains("version is 4"), "{error}");
    assert_eq!(error.help(), Some("move the file away, or use the version that made it"));
    let db = Connection::open(file(folder.path())).unwrap();
    assert_eq!(rows(&db, "SELECT more FROM payload"), [[Value::Text("kept".to_owned())]]);
}

#[test]
fn spool_of_version_2_is_not_converted_while_another_process_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    make_version_2(folder.path(), 20);
    let expected = contents(&file(folder.path()));
    // As a process of the released version holds it.
    let in_use = fs::File::create(folder.path().join("spool.lock")).unwrap();
    in_use.lock_shared().unwrap();
    let error = Spool::open(&file(folder.path()), SpoolLimits::default()).unwrap_err();
    assert!(matches!(error, SpoolError::OutdatedAndInUse { .. }) && error.help().is_some(), "{error}");
    assert!(contents(&file(folder.path())) == expected);
    assert!(Database::open(&file(folder.path()), SCHEMA_2).is_ok(), "the other process can go on");
    in_use.unlock().unwrap();
    open_converted(folder.path(), &expected);
}

#[tokio::test]
async fn spool_of_version_2_in_the_place_of_an_open_one_is_taken_over() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spool = open(folder.path());
    let ours = put(&spool, 'a', "ours").await;
    make_version_2(other.path(), 20);
    let [theirs, ..] = contents(&file(other.path()));
    fs::rename(file(other.path()), file(folder.path())).unwrap();
    let new = spool.store(vec![payload(queue('a'), "new")]).await.unwrap()[0];
    let infos = spool.list(Selection::default(), u32::MAX).await.unwrap();
    assert_eq!(infos.len(), theirs.len() + 2);
    assert!(infos[0].id == ours && infos.last().unwrap().id == new);
}
// words: keep until here
