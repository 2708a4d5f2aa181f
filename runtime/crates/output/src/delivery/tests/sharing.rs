//! Several processes on one file. A second handle that is opened for itself has connections and locks of its own, as another process
//! has.

use std::{collections::HashMap, time::Duration};

use super::{open, put, server::Server, settings};
use crate::delivery::{Delivery, DeliverySettings};

#[tokio::test(flavor = "multi_thread")]
async fn two_that_store_and_post_from_one_file_keep_the_order_and_post_nothing_twice() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    // A server that refuses a payload now and then.
    let mut asked = 0;
    server.answers(move |_, _| {
        asked += 1;
        if asked % 17 == 0 { 500 } else { 200 }
    });
    let spools = [open(folder.path()), open(folder.path())];
    let patient = || DeliverySettings { strikes: u32::MAX, ..settings() };
    let deliveries = spools.clone().map(|spool| Delivery::start(spool, patient()));
    let storing = spools.iter().enumerate().flat_map(|(process, spool)| {
        ['a', 'b', 'c', 'd'].map(|digit| {
            let (spool, url) = (spool.clone(), server.url.clone());
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in 0..50 {
                    let text = format!("{digit} {process} {number}");
                    ids.push((put(&spool, &url, digit, &text).await, text));
                }
                (digit, ids)
            })
        })
    });
    let mut stored: HashMap<char, Vec<_>> = HashMap::new();
    for storing in storing.collect::<Vec<_>>() {
        let (digit, ids) = storing.await.unwrap();
        stored.entry(digit).or_default().extend(ids);
    }
    for delivery in deliveries {
        assert!(delivery.drain(Duration::from_mins(1)).await);
        delivery.shutdown(Duration::from_secs(5)).await;
    }
    for (digit, mut bodies) in stored {
        bodies.sort();
        let bodies: Vec<String> = bodies.into_iter().map(|(_, text)| text).collect();
        assert_eq!(server.accepted(digit), bodies);
    }
    let stats = spools[0].stats().await.unwrap();
    assert_eq!((stats.delivered, stats.queued, stats.quarantined), (400, 0, 0));
}

#[tokio::test]
async fn a_shutdown_ends_within_its_bound_and_leaves_what_was_not_answered_in_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let spool = open(folder.path());
    put(&spool, &url, 'a', "kept").await;
    let patient = DeliverySettings { timeout: Duration::from_mins(1), ..settings() };
    let delivery = Delivery::start(spool.clone(), patient);
    let (_connection, _) = silent.accept().await.unwrap();
    let begun = std::time::Instant::now();
    assert!(!delivery.drain(Duration::from_millis(50)).await);
    delivery.shutdown(Duration::from_millis(50)).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(spool.stats().await.unwrap().queued, 1);
}
