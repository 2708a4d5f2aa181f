//! A spool that is removed or replaced while it is in use.

use std::{fs, path::Path, time::Duration};

use super::{open, put, queue};
use crate::Selection;

const LONG: Duration = Duration::from_secs(30);

/// What lies at the path of a spool, as another process finds it.
async fn queued(folder: &Path) -> Vec<Vec<u8>> {
    let spool = open(folder);
    let mut payloads = Vec::new();
    for info in spool.list(Selection::default(), u32::MAX).await.unwrap() {
        payloads.push(spool.show(info.id).await.unwrap().unwrap().bytes);
    }
    payloads
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_spool_at_its_path_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    put(&spool, 'a', "kept").await;
    let elsewhere = folder.path().join("notes");
    fs::write(&elsewhere, "not a database ".repeat(1000)).unwrap();
    fs::rename(&elsewhere, spool.path()).unwrap();
    put(&spool, 'a', "next").await;
    assert_eq!(queued(folder.path()).await, [b"kept", b"next"]);
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside: Vec<String> = names.filter(|name| name.starts_with("replaced-")).collect();
    assert_eq!(aside.len(), 1);
    assert!(fs::read(folder.path().join(&aside[0])).unwrap().starts_with(b"not a database"));
}

#[tokio::test]
async fn spool_in_a_folder_that_is_gone_keeps_working_from_the_open_file() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder.path().join("spool"));
    put(&spool, 'a', "1").await;
    // In place of the folder is a file.
    fs::rename(folder.path().join("spool"), folder.path().join("moved")).unwrap();
    fs::write(folder.path().join("spool"), "in the way").unwrap();
    put(&spool, 'a', "2").await;
    assert_eq!(spool.next(&queue('a')).await.unwrap().len(), 2);
    fs::remove_file(folder.path().join("spool")).unwrap();
    let begun = std::time::Instant::now();
    while !folder.path().join("spool/spool.sqlite3").exists() {
        assert!(begun.elapsed() < LONG, "it is put back");
        spool.keep_in_place().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(queued(&folder.path().join("spool")).await, [b"1", b"2"]);
}
