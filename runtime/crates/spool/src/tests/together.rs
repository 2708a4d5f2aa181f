//! Several payloads in one transaction.

use pattoo_base::database::DatabaseError;

use super::{agent, open, open_with, payload, put, queue};
use crate::{NewPayload, QueueId, Selection, SpoolError, SpoolLimits, StoredId};

fn for_output(output: &str, bytes: impl Into<Vec<u8>>) -> NewPayload {
    payload(QueueId { output: output.parse().unwrap(), agent: agent('a') }, bytes)
}

#[tokio::test]
async fn payloads_of_several_queues_are_stored_in_their_order_and_announced() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let (watcher, mut announced) = tokio::sync::mpsc::unbounded_channel();
    spool.watch(watcher);
    let ids = spool.store(vec![for_output("a", "1"), for_output("b", "2"), for_output("a", "3")]).await.unwrap();
    assert_eq!(ids, [StoredId(1), StoredId(2), StoredId(3)]);
    let (a, b) = (for_output("a", "").queue, for_output("b", "").queue);
    assert_eq!((announced.try_recv(), announced.try_recv()), (Ok(a.clone()), Ok(b.clone())));
    assert!(announced.try_recv().is_err(), "each queue once");
    let of_a: Vec<Vec<u8>> = spool.next(&a).await.unwrap().into_iter().map(|payload| payload.bytes).collect();
    assert_eq!(of_a, [b"1", b"3"]);
    let counts: Vec<(String, u64)> = spool
        .queued_by_output()
        .await
        .unwrap()
        .into_iter()
        .map(|(output, count)| (output.to_string(), count))
        .collect();
    assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert_eq!(spool.store(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn payload_is_returned_as_it_was_stored_with_everything_that_is_sent_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let new = NewPayload {
        epoch: u64::MAX,
        content_type: "application/x-ndjson".into(),
        encoding: "gzip".into(),
        count: 7,
        created: 1234,
        ..payload(queue('a'), vec![0, 255, 10])
    };
    let id = spool.store(vec![new.clone()]).await.unwrap()[0];
    let found = spool.next(&new.queue).await.unwrap().remove(0);
    assert!(found.is_intact(&new.queue) && !found.is_intact(&queue('b')));
    assert_eq!((found.epoch, &*found.content_type, &*found.encoding), (u64::MAX, "application/x-ndjson", "gzip"));
    assert_eq!((found.count, found.created, &found.bytes), (7, 1234, &new.bytes));
    // A payload that would be sent with another content type is not what was stored.
    for column in ["content_type = 'text/plain'", "encoding = ''", "epoch = 1"] {
        let update = format!("UPDATE payload SET {column} WHERE id = ?1");
        let other = spool.store(vec![new.clone()]).await.unwrap()[0];
        spool.write(move |db| db.execute(&update, [other.0])).await.unwrap();
        assert!(!spool.show(other).await.unwrap().unwrap().intact, "{column}");
        let next = spool.next(&new.queue).await.unwrap();
        assert!(!next.last().unwrap().is_intact(&new.queue), "{column}");
    }
    assert!(spool.show(id).await.unwrap().unwrap().intact);
}

#[tokio::test]
async fn payloads_that_do_not_all_fit_are_not_stored_and_evict_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_with(folder.path(), SpoolLimits { bytes: 1000, ..SpoolLimits::default() });
    let own = put(&spool, 'a', "x".repeat(100)).await;
    let of_other = put(&spool, 'b', "y".repeat(450)).await;
    let all = || async { spool.list(Selection::default(), 10).await.unwrap().iter().map(|info| info.id).collect() };
    let before: Vec<StoredId> = all().await;
    assert_eq!(before, [own, of_other]);
    let too_large = spool.store(vec![for_output("a", "z".repeat(600)), for_output("b", "z".repeat(600))]).await;
    assert_eq!(too_large, Err(SpoolError::TooLarge { bytes: 1200, limit: 1000 }));
    // Without these, the agent would hold less than its share, and so would the other.
    let no_room = spool.store(vec![for_output("a", "z".repeat(300)), for_output("b", "z".repeat(300))]).await;
    assert_eq!(no_room, Err(SpoolError::NoRoom { bytes: 600, left: 550 }));
    assert_eq!(all().await, before);
    assert_eq!(spool.stats().await.unwrap().dropped, 0);
    // What fits after its own oldest is evicted is stored whole.
    let ids = spool.store(vec![for_output("a", "z".repeat(250)), for_output("b", "z".repeat(250))]).await.unwrap();
    let after: Vec<StoredId> = all().await;
    assert_eq!(after, [of_other, ids[0], ids[1]]);
    assert_eq!(spool.stats().await.unwrap().dropped, 1);
}

#[tokio::test]
async fn payloads_of_which_one_cannot_be_written_are_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.write(|db| db.pragma_update(None, "max_page_count", 60)).await.unwrap();
    let stored = spool.store(vec![for_output("a", "small"), for_output("b", vec![1; 1_000_000])]).await;
    assert!(matches!(stored, Err(SpoolError::Database(DatabaseError::Full { .. }))), "{stored:?}");
    assert_eq!(spool.stats().await.unwrap().queued, 0);
    assert!(spool.queues().await.unwrap().is_empty());
}
