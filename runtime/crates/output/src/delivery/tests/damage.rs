//! A file that is damaged, and a disk that is full.

use std::{fs, os::unix::fs::FileExt as _, path::Path, time::Duration};

use pattoo_spool::{Retried, Selection};

use super::{open, put, server::Server, settings, tamper};
use crate::delivery::Delivery;

const LONG: Duration = Duration::from_secs(30);

/// The only file in `folder` whose name begins like this.
fn kept_aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("damaged-") && name.ends_with(".sqlite3")).collect()
}

#[tokio::test]
async fn damage_found_while_the_file_is_open_is_repaired_and_waiting_payloads_are_delivered() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    for number in 0..40 {
        put(&spool, &server.url, 'a', format!("{number} {}", "z".repeat(3000))).await;
    }
    // Another process holds it, so no process may replace it …
    let other = open(folder.path());
    tamper(&spool, |db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("spool.sqlite3")).unwrap();
    let size = file.metadata().unwrap().len();
    // The tree of the table, wherever its root is: all pages but the first get a hole where the page's kind is said.
    for page in (1..size / 8192).step_by(9) {
        file.write_all_at(&[0x55; 8], page * 8192).unwrap();
    }
    drop(other);
    // … until it is gone.
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    let arrived = server.accepted('a');
    assert!(
        !arrived.is_empty() && arrived.is_sorted_by_key(|text| text.split(' ').next().unwrap().parse::<u32>().unwrap())
    );
    assert!(arrived.len() == 40 || !kept_aside(folder.path()).is_empty());
    put(&spool, &server.url, 'a', "it works on").await;
    assert!(delivery.drain(LONG).await);
    assert_eq!(server.accepted('a').last().unwrap(), "it works on");
}

#[tokio::test]
async fn payload_that_is_not_what_was_stored_is_quarantined_and_never_sent() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    let id = put(&spool, &server.url, 'a', "what was measured").await;
    put(&spool, &server.url, 'a', "behind it").await;
    tamper(&spool, |db| {
        db.execute("UPDATE payload SET content = CAST('something else' AS BLOB) WHERE id = ?1", [id.0])
    });
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    assert_eq!(server.accepted('a'), ["behind it"]);
    let found = spool.show(id).await.unwrap().unwrap();
    assert!(found.info.quarantined && !found.intact);
    assert!(found.info.refusal.unwrap().contains("damaged on disk"));
    // Nor does a person send it by mistake, among others that are sound.
    delivery.shutdown(LONG).await;
    let sound = put(&spool, &server.url, 'b', "sound").await;
    spool.quarantine(sound, "for a test").await.unwrap();
    assert_eq!(spool.retry(Selection::default()).await.unwrap(), Retried { queued: 1, damaged: vec![id] });
    let still = spool.show(id).await.unwrap().unwrap().info;
    assert!(still.quarantined && still.refusal.unwrap().contains("damaged on disk"));
}

#[tokio::test]
async fn invalid_columns_block_no_queue() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for (digit, text) in [('a', "1"), ('a', "2"), ('a', "3"), ('b', "alone"), ('c', "1")] {
        ids.push(put(&spool, &server.url, digit, text).await);
    }
    let (program, names, alone) = (ids[0].0, ids[1].0, ids[3].0);
    tamper(&spool, |db| {
        // What SQLite itself treats as intact.
        db.execute("UPDATE payload SET program = CAST(x'ff80' AS TEXT) WHERE id = ?1", [program])?;
        db.execute("UPDATE payload SET output = CAST(x'ff80' AS TEXT) WHERE id = ?1", [names])?;
        db.execute("UPDATE payload SET agent = CAST(x'ff80' AS TEXT) WHERE id = ?1", [alone])
    });
    spool.verify().await.unwrap();
    assert_eq!(spool.list(Selection::default(), 10).await.unwrap().len(), 5);
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    assert_eq!(
        (server.accepted('a'), server.accepted('c')),
        (vec!["1".into(), "2".into(), "3".into()], vec!["1".into()])
    );
    let found = spool.show(ids[3]).await.unwrap().unwrap();
    assert!(found.info.quarantined && !found.intact && found.info.refusal.unwrap().contains("queue"));
    assert!(kept_aside(folder.path()).is_empty());
}
