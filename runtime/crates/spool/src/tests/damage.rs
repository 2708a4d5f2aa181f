//! A file that is damaged, and a disk that is full.

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt as _, path::Path};

use pattoo_base::database::DatabaseError;

use super::{Dice, kept_aside, open, payload, put, queue, server};
use crate::{Selection, Spool, SpoolError, SpoolLimits, StoredId};

/// Damages copies of the spool in `original`, which holds what was `stored` in the queue `a`, at many places: what is
/// intact comes out of each as it was stored, in its order.
pub(super) async fn damage_and_recover(original: &Path, stored: &BTreeMap<StoredId, String>) {
    let file = original.join("spool.sqlite3");
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
        for info in spool.list(Selection::default(), u32::MAX).await.unwrap() {
            let payload = spool.show(info.id).await.unwrap().unwrap();
            if payload.intact && !info.quarantined {
                assert_eq!(
                    stored.get(&info.id).map(String::as_bytes),
                    Some(&*payload.bytes),
                    "as it was stored, or not at all"
                );
                found += 1;
            }
        }
        let lost = stored.len() - found;
        if lost > 0 {
            let visible = spool.list(Selection::default(), u32::MAX).await.unwrap().len();
            assert!(
                visible == stored.len() || !kept_aside(folder.path()).is_empty(),
                "at {place}: gone without a trace"
            );
        }
        // What is in the queue comes out of it, in its order.
        let mut queued = Vec::new();
        loop {
            let next = spool.next(&queue('a')).await.unwrap();
            if next.is_empty() {
                break;
            }
            for payload in next {
                queued.push(payload.id);
                spool.delivered(payload.id, &server()).await.unwrap();
            }
        }
        assert!(queued.is_sorted() && queued.len() >= found, "at {place}");
        put(&spool, 'a', "it works again").await;
        rounds += 1;
        lost_in_all += lost;
    }
    // A page holds the small payloads of a few rows; what is on others must not be lost with it.
    let average = lost_in_all as u64 * 100 / rounds;
    assert!(average < 200, "{average} of 100 x {} payloads were lost for each damaged place", stored.len());
}

#[tokio::test]
async fn intact_payloads_of_a_file_damaged_anywhere_are_recovered() {
    let original = tempfile::tempdir().unwrap();
    let mut stored: BTreeMap<StoredId, String> = BTreeMap::new();
    let spool = open(original.path());
    for number in 0..80usize {
        let text = format!("{number} {}", "y".repeat(number * 97 % 7000));
        stored.insert(put(&spool, 'a', &text).await, text);
    }
    spool.close();
    damage_and_recover(original.path(), &stored).await;
}

#[tokio::test]
async fn killed_recovery_is_repeated_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.sqlite3");
    let spool = open(folder.path());
    let id = put(&spool, 'a', "saved").await;
    spool.close();
    drop(spool);
    // All was saved; the damaged file is still where it was, and its log is not.
    fs::rename(&path, folder.path().join("saved.sqlite3")).unwrap();
    fs::write(&path, "not a database ".repeat(1000)).unwrap();
    let spool = open(folder.path());
    assert_eq!(spool.show(id).await.unwrap().unwrap().bytes, b"saved");
    assert!(!folder.path().join("saved.sqlite3").exists());
    spool.close();
    drop(spool);
    assert_eq!(open(folder.path()).stats().await.unwrap().queued, 1);
    assert_eq!(kept_aside(folder.path()).len(), 1);
}

#[tokio::test]
async fn file_that_is_no_database_is_kept_aside_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool.sqlite3"), "not a database ".repeat(1000)).unwrap();
    let spool = open(folder.path());
    put(&spool, 'a', "1").await;
    let aside = kept_aside(folder.path());
    assert_eq!(aside.len(), 1);
    assert!(fs::read_to_string(folder.path().join(&aside[0])).unwrap().starts_with("not a database"));
}

#[tokio::test]
async fn full_disk_is_reported_and_affects_only_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    // As SQLite reports it when the file system has no more blocks.
    spool.write(|db| db.pragma_update(None, "max_page_count", 60)).await.unwrap();
    let large = || vec![payload(queue('a'), "x".repeat(20_000))];
    let small = || vec![payload(queue('b'), "small")];
    let mut stored = 0;
    let error = loop {
        match spool.store(large()).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Database(DatabaseError::Full { .. })) && stored > 5, "{error}");
    assert!(error.to_string().contains("no space left") && error.help().unwrap().contains("free space"));
    // Of those that share a commit only the one that does not fit fails.
    let (fails, fits) = tokio::join!(spool.store(large()), spool.store(small()));
    assert!(fails.is_err() && fits.is_ok(), "{fails:?} {fits:?}");
    let mut delivered = BTreeMap::new();
    for digit in ['a', 'b'] {
        loop {
            let next = spool.next(&queue(digit)).await.unwrap();
            if next.is_empty() {
                break;
            }
            for payload in next {
                spool.delivered(payload.id, &server()).await.unwrap();
                *delivered.entry(digit).or_insert(0) += 1;
            }
        }
    }
    assert_eq!((delivered[&'a'], delivered[&'b']), (stored, 1));
    spool.store(large()).await.unwrap();
}

#[tokio::test]
async fn unwritable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    let path = folder.path().join("file/spool.sqlite3");
    let error = Spool::open(&path, SpoolLimits::default()).unwrap_err();
    assert!(error.to_string().contains("file") && error.help().is_some(), "{error}");
}
