//! A file that is damaged, and a disk that is full.

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt as _, path::Path, time::Duration};

use pattoo_base::database::DatabaseError;

use super::{agent, open, put, server::Server, settings};
use crate::{Delivery, Lane, Retried, Selection, ServerUrl, SpoolError, StoredId};

const LONG: Duration = Duration::from_secs(30);

/// A number that looks random and is the same in each run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The only file in `folder` whose name begins like this.
fn set_aside(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("damaged-") && name.ends_with(".sqlite3")).collect()
}

#[tokio::test]
async fn of_a_file_that_is_damaged_anywhere_what_is_intact_is_delivered_and_the_rest_is_kept_aside() {
    let original = tempfile::tempdir().unwrap();
    let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
    let lane = Lane { server: server.clone(), agent: agent('a') };
    let mut stored: BTreeMap<StoredId, String> = BTreeMap::new();
    let spool = open(original.path());
    for number in 0..80usize {
        let text = format!("{number} {}", "y".repeat(number * 97 % 7000));
        stored.insert(put(&spool, &server, 'a', &text).await, text);
    }
    spool.close();
    let file = original.path().join("spool.sqlite3");
    let size = fs::metadata(&file).unwrap().len();
    let mut dice = Dice(7);
    let (mut rounds, mut lost_in_all) = (0u64, 0);
    // The header and the first page in steps, then anywhere.
    let places = (0..100)
        .step_by(7)
        .chain((100..8192).step_by(200))
        .chain((0..60).map(|_| dice.below(size)))
        .collect::<Vec<_>>();
    for place in places {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("spool.sqlite3");
        fs::copy(&file, &copy).unwrap();
        let length = usize::try_from(1 + dice.below(16)).unwrap();
        let noise: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
        fs::OpenOptions::new().write(true).open(&copy).unwrap().write_all_at(&noise, place).unwrap();

        let spool = open(folder.path());
        spool.verify().await.unwrap();
        let mut found = 0;
        for entry in spool.list(Selection::default(), u32::MAX).await.unwrap() {
            let body = spool.show(entry.id).await.unwrap().unwrap();
            if body.intact && !entry.quarantined {
                assert_eq!(
                    stored.get(&entry.id).map(String::as_bytes),
                    Some(&*body.json),
                    "as it was stored, or not at all"
                );
                found += 1;
            }
        }
        let lost = stored.len() - found;
        if lost > 0 {
            let visible = spool.list(Selection::default(), u32::MAX).await.unwrap().len();
            assert!(
                visible == stored.len() || !set_aside(folder.path()).is_empty(),
                "at {place}: gone without a trace"
            );
        }
        // What is in the queue comes out of it, in its order.
        let mut queued = Vec::new();
        loop {
            let next = spool.next(&lane).await.unwrap();
            if next.is_empty() {
                break;
            }
            for body in next {
                queued.push(body.id);
                spool.delivered(body.id, &server).await.unwrap();
            }
        }
        assert!(queued.is_sorted() && queued.len() >= found, "at {place}");
        put(&spool, &server, 'a', "it works on").await;
        rounds += 1;
        lost_in_all += lost;
    }
    // A page holds the small bodies of a few rows; what lies on others must not go with it.
    let average = lost_in_all as u64 * 100 / rounds;
    assert!(average < 200, "{average} of 100 x {} bodies were lost for each damaged place", stored.len());
}

#[tokio::test]
async fn a_recovery_that_was_killed_half_way_is_done_again_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
    let path = folder.path().join("spool.sqlite3");
    let spool = open(folder.path());
    let id = put(&spool, &server, 'a', "saved").await;
    spool.close();
    drop(spool);
    // All was saved; the damaged file is still where it was, and its log is not.
    fs::rename(&path, folder.path().join("saved.sqlite3")).unwrap();
    fs::write(&path, "not a database ".repeat(1000)).unwrap();
    let spool = open(folder.path());
    assert_eq!(spool.show(id).await.unwrap().unwrap().json, b"saved");
    assert!(!folder.path().join("saved.sqlite3").exists());
    spool.close();
    drop(spool);
    assert_eq!(open(folder.path()).stats().await.unwrap().queued, 1);
    assert_eq!(set_aside(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_any_more_is_kept_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool.sqlite3"), "not a database ".repeat(1000)).unwrap();
    let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
    let spool = open(folder.path());
    put(&spool, &server, 'a', "1").await;
    let aside = set_aside(folder.path());
    assert_eq!(aside.len(), 1);
    assert!(fs::read_to_string(folder.path().join(&aside[0])).unwrap().starts_with("not a database"));
}

#[tokio::test]
async fn damage_that_shows_while_the_file_is_open_is_mended_and_what_waits_is_delivered() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    for number in 0..40 {
        put(&spool, &server.url, 'a', format!("{number} {}", "z".repeat(3000))).await;
    }
    // Another process holds it, so nobody may replace it …
    let other = open(folder.path());
    spool.checkpoint().await;
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
    assert!(arrived.len() == 40 || !set_aside(folder.path()).is_empty());
    put(&spool, &server.url, 'a', "it works on").await;
    assert!(delivery.drain(LONG).await);
    assert_eq!(server.accepted('a').last().unwrap(), "it works on");
}

#[tokio::test]
async fn a_body_that_is_not_what_was_stored_is_set_aside_and_never_sent() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    let id = put(&spool, &server.url, 'a', "what was measured").await;
    put(&spool, &server.url, 'a', "behind it").await;
    spool
        .write(move |db| db.execute("UPDATE body SET json = CAST('something else' AS BLOB) WHERE id = ?1", [id.0]))
        .await
        .unwrap();
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    assert_eq!(server.accepted('a'), ["behind it"]);
    let found = spool.show(id).await.unwrap().unwrap();
    assert!(found.entry.quarantined && !found.intact);
    assert!(found.entry.refusal.unwrap().contains("damaged on disk"));
    // Nor does a person send it by mistake, among others that are sound.
    delivery.shutdown(LONG).await;
    let sound = put(&spool, &server.url, 'b', "sound").await;
    spool.quarantine(sound, "for a test").await.unwrap();
    assert_eq!(spool.retry(Selection::default()).await.unwrap(), Retried { queued: 1, damaged: vec![id] });
    let still = spool.show(id).await.unwrap().unwrap().entry;
    assert!(still.quarantined && still.refusal.unwrap().contains("damaged on disk"));
}

#[tokio::test]
async fn columns_that_are_not_what_their_types_say_hold_up_nobody() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    let mut ids = Vec::new();
    for (lane, text) in [('a', "1"), ('a', "2"), ('a', "3"), ('b', "alone"), ('c', "1")] {
        ids.push(put(&spool, &server.url, lane, text).await);
    }
    let (program, names, alone) = (ids[0].0, ids[1].0, ids[3].0);
    spool
        .write(move |db| {
            // What SQLite itself takes for sound.
            db.execute("UPDATE body SET program = CAST(x'ff80' AS TEXT) WHERE id = ?1", [program])?;
            db.execute("UPDATE body SET server = CAST(x'ff80' AS TEXT) WHERE id = ?1", [names])?;
            db.execute("UPDATE body SET agent = CAST(x'ff80' AS TEXT) WHERE id = ?1", [alone])
        })
        .await
        .unwrap();
    spool.verify().await.unwrap();
    assert_eq!(spool.list(Selection::default(), 10).await.unwrap().len(), 5);
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    assert_eq!(
        (server.accepted('a'), server.accepted('c')),
        (vec!["1".into(), "2".into(), "3".into()], vec!["1".into()])
    );
    let found = spool.show(ids[3]).await.unwrap().unwrap();
    assert!(found.entry.quarantined && !found.intact && found.entry.refusal.unwrap().contains("whose"));
    assert!(set_aside(folder.path()).is_empty());
}

#[tokio::test]
async fn a_full_disk_is_said_costs_only_what_does_not_fit_and_is_over_when_there_is_room() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    // As SQLite says it when the file system has no more blocks.
    spool.write(|db| db.pragma_update(None, "max_page_count", 60)).await.unwrap();
    let body = crate::pattoo::Body::of_test(agent('a'), "x".repeat(20_000));
    let small = crate::pattoo::Body::of_test(agent('b'), "small");
    let mut stored = 0;
    let error = loop {
        match spool.store(&body, &super::program(), &server.url).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Database(DatabaseError::Full { .. })) && stored > 5, "{error}");
    assert!(error.to_string().contains("no space left") && error.help().unwrap().contains("room"));
    // Of those who share a commit only the one that does not fit fails.
    let program = super::program();
    let (large, fits) =
        tokio::join!(spool.store(&body, &program, &server.url), spool.store(&small, &program, &server.url));
    assert!(large.is_err() && fits.is_ok(), "{large:?} {fits:?}");
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    assert_eq!((server.accepted('a').len(), server.accepted('b').len()), (stored, 1));
    spool.store(&body, &program, &server.url).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    let path = folder.path().join("file/spool.sqlite3");
    let error = super::Spool::open(&path, super::SpoolLimits::default()).unwrap_err();
    assert!(error.to_string().contains("file") && error.help().is_some(), "{error}");
}
