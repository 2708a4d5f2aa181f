//! State over several collections, and at its limits.

use std::{path::Path, sync::Arc};

use pattoo_measurement::{Agent, PollingInterval};

use super::{Host, STATE_ENTRY, wit, wit::Host as _};
use crate::{
    capability::{Assignment, AssignmentBuilder, CollectionLimits},
    state_store::StateStore,
};

fn builder(path: &Path, limits: CollectionLimits) -> AssignmentBuilder {
    let agent = Agent {
        program: "COUNTER".parse().unwrap(),
        id: "ab".repeat(32).parse().unwrap(),
        hostname: "gateway-7".parse().unwrap(),
        polling_interval: PollingInterval::from_seconds(20).unwrap(),
    };
    Assignment::builder(Arc::new(agent)).state(StateStore::at(path)).limits(limits)
}

fn limits(state_bytes: usize) -> CollectionLimits {
    CollectionLimits { state: super::StateLimits { bytes: state_bytes }, ..CollectionLimits::default() }
}

fn assignment(path: &Path, state_bytes: usize) -> Arc<Assignment> {
    Arc::new(builder(path, limits(state_bytes)).build().unwrap())
}

#[tokio::test]
async fn a_collection_sees_its_own_writes_and_the_next_one_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let assignment = assignment(&folder.path().join("state.sqlite3"), 1 << 20);
    let mut first = Host::new(Arc::clone(&assignment));
    assert_eq!(first.get("a".into()).await.unwrap(), None);
    for key in ["b", "a", "ä", "B"] {
        first.set(key.into(), key.into()).await.unwrap().unwrap();
    }
    first.remove("b".into()).await.unwrap();
    first.remove("never set".into()).await.unwrap();
    assert_eq!(first.keys().await.unwrap(), ["B", "a", "ä"]);
    // Not kept yet, and never if the collection does not end well.
    assert!(Host::new(Arc::clone(&assignment)).keys().await.unwrap().is_empty());
    first.finish().state.unwrap().keep().await.unwrap();

    let mut second = Host::new(Arc::clone(&assignment));
    assert_eq!(second.keys().await.unwrap(), ["B", "a", "ä"]);
    second.set("a".into(), "a".into()).await.unwrap().unwrap();
    assert!(second.finish().state.is_none(), "nothing changed");
    let mut third = Host::new(Arc::clone(&assignment));
    third.remove("a".into()).await.unwrap();
    third.finish().state.unwrap().keep().await.unwrap();
    assert_eq!(Host::new(assignment).get("a".into()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_set_and_removed_again_takes_no_room_however_often() {
    let folder = tempfile::tempdir().unwrap();
    let assignment = assignment(&folder.path().join("state.sqlite3"), 1000);
    let mut first = Host::new(Arc::clone(&assignment));
    first.set("found".into(), vec![1]).await.unwrap().unwrap();
    first.finish().state.unwrap().keep().await.unwrap();

    let mut host = Host::new(Arc::clone(&assignment));
    for round in 0..1000 {
        let key = format!("key-{round}");
        host.set(key.clone(), vec![1]).await.unwrap().unwrap();
        host.set(key.clone(), vec![2]).await.unwrap().unwrap();
        host.remove(key).await.unwrap();
    }
    // What was found is removed, and there again, and removed.
    host.remove("found".into()).await.unwrap();
    host.set("found".into(), vec![2]).await.unwrap().unwrap();
    host.remove("found".into()).await.unwrap();
    let state = &host.capabilities.state;
    let left = state.values.as_ref().map(std::collections::BTreeMap::len);
    assert_eq!((left, state.removed.len(), state.bytes), (Some(0), 1, 0));
    host.finish().state.unwrap().keep().await.unwrap();
    assert!(Host::new(assignment).keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn keys_and_values_together_stay_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    // One key of a byte and a value of 99, and what each value counts beside that.
    let mut host = Host::new(assignment(&folder.path().join("state.sqlite3"), 100 + STATE_ENTRY));
    host.set("k".into(), vec![0; 99]).await.unwrap().unwrap();
    let error = host.set("l".into(), Vec::new()).await.unwrap().unwrap_err();
    assert!(matches!(&error, wit::Error::Quota(text) if text.contains("228 B")), "{error:?}");
    host.set("k".into(), vec![1; 99]).await.unwrap().unwrap();
    assert!(host.set("k".into(), vec![1; 100]).await.unwrap().is_err());
    host.remove("k".into()).await.unwrap();
    host.set("m".into(), vec![0; 99]).await.unwrap().unwrap();
    for key in [String::new(), "k".repeat(256)] {
        assert!(matches!(host.set(key, Vec::new()).await.unwrap(), Err(wit::Error::Invalid(_))));
    }
}

#[tokio::test]
async fn many_tiny_values_take_no_more_on_disk_than_a_few_times_the_limit() {
    const LIMIT: usize = 256 << 10;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite3");
    let mut host = Host::new(assignment(&path, LIMIT));
    let mut kept = 0;
    while host.set(format!("{kept:x}"), Vec::new()).await.unwrap().is_ok() {
        kept += 1;
    }
    assert!(kept > 1_000, "{kept}");
    host.finish().state.unwrap().keep().await.unwrap();
    let on_disk: u64 =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk < 3 * LIMIT as u64, "{on_disk} bytes on disk for {kept} values");
}

#[tokio::test]
async fn state_ends_the_collection_when_it_takes_more_of_the_hosts_memory_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CollectionLimits { host_memory: 2 << 20, ..limits(64 << 20) };
    let assignment = builder(&folder.path().join("state.sqlite3"), limits).build().unwrap();
    let mut host = Host::new(Arc::new(assignment));
    let mut at_most = 0..100;
    let ended = loop {
        let number = at_most.next().expect("it ends before");
        if let Err(error) = host.set(format!("{number}"), vec![0; 100_000]).await {
            break error;
        }
    };
    assert_eq!(ended.downcast_ref::<crate::capability::LimitReached>().unwrap().setting, "host_memory");
    assert!(host.account().held() <= 2 << 20, "{}", host.account().held());
}
