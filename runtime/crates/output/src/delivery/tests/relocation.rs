//! A spool that is removed or replaced while it is in use.

use std::{fs, path::Path, time::Duration};

use pattoo_spool::{Selection, Spool};

use super::{open, put, server::Server, settings, tamper};
use crate::delivery::{Delivery, DeliverySettings};

const LONG: Duration = Duration::from_secs(30);

fn remove(folder: &Path, names: &[&str]) {
    for name in names {
        fs::remove_file(folder.join(name)).unwrap();
    }
}

/// What lies at the path of a spool, as another process finds it.
async fn queued(folder: &Path) -> Vec<Vec<u8>> {
    let spool = open(folder);
    let mut payloads = Vec::new();
    for entry in spool.list(Selection::default(), u32::MAX).await.unwrap() {
        payloads.push(spool.show(entry.id).await.unwrap().unwrap().bytes);
    }
    payloads
}

fn checkpoint(spool: &Spool) {
    tamper(spool, |db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LONG, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const ALL: [&str; 3] = ["spool.sqlite3", "spool.sqlite3-wal", "spool.sqlite3-shm"];

#[tokio::test(flavor = "multi_thread")]
async fn spool_that_is_removed_in_an_outage_is_put_back_within_a_second_and_nothing_is_lost() {
    for names in [&ALL[..], &ALL[..1], &ALL[1..2], &ALL[2..], &["spool.sqlite3", "spool.lock", "posting.lock"]] {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
        server.answers(|_, _| 500);
        let spool = open(folder.path());
        let delivery =
            Delivery::start(spool.clone(), DeliverySettings { longest_wait: Duration::from_millis(200), ..settings() });
        let mut expected: Vec<String> = (0..100).map(|number| format!("{number} {}", "x".repeat(3000))).collect();
        for text in &expected {
            put(&spool, &server.url, 'a', text).await;
        }
        remove(folder.path(), names);
        let begun = std::time::Instant::now();
        let there = || async { names.iter().all(|name| folder.path().join(name).exists()) };
        until("it is put back", there).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        until("with all that was in it", || async { queued(folder.path()).await.len() == 100 }).await;
        // What is stored at once after it was removed is where another process finds it.
        remove(folder.path(), &["spool.sqlite3"]);
        put(&spool, &server.url, 'a', "next").await;
        expected.push("next".to_owned());
        let texts: Vec<String> =
            queued(folder.path()).await.into_iter().map(|json| String::from_utf8(json).unwrap()).collect();
        assert!(texts == expected, "{names:?}");
        server.answers(|_, _| 200);
        assert!(delivery.drain(LONG).await);
        delivery.shutdown(LONG).await;
        assert!(server.accepted('a') == expected, "{names:?}");
        assert_eq!(spool.stats().await.unwrap().delivered, 101);
        spool.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spool_that_is_replaced_by_another_is_taken_over_with_it() {
    let (folder, other, server) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Server::start().await);
    server.answers(|_, _| 500);
    let spool = open(folder.path());
    let ours: Vec<String> = (0..20).map(|number| format!("ours {number}")).collect();
    for text in &ours[..10] {
        put(&spool, &server.url, 'a', text).await;
    }
    // A copy of some time ago, with which another process has continued.
    checkpoint(&spool);
    fs::copy(spool.path(), other.path().join("spool.sqlite3")).unwrap();
    let theirs = open(other.path());
    put(&theirs, &server.url, 'a', "theirs 0").await;
    put(&theirs, &server.url, 'b', "theirs 1").await;
    theirs.close();
    for text in &ours[10..] {
        put(&spool, &server.url, 'a', text).await;
    }
    fs::rename(other.path().join("spool.sqlite3"), spool.path()).unwrap();
    let delivery =
        Delivery::start(spool.clone(), DeliverySettings { longest_wait: Duration::from_millis(200), ..settings() });
    until("both", || async { spool.stats().await.unwrap().queued == 22 }).await;
    server.answers(|_, _| 200);
    assert!(delivery.drain(LONG).await);
    delivery.shutdown(LONG).await;
    let mut expected = ours;
    expected.push("theirs 0".to_owned());
    assert_eq!(server.accepted('a'), expected, "each once, ours first");
    assert_eq!(server.accepted('b'), ["theirs 1"]);
}
