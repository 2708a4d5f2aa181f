//! Other outputs while payloads are delivered, and attempts that somebody asks for.

use std::{sync::mpsc, time::Duration};

use pattoo_base::secret::Secret;
use pattoo_spool::Selection;

use super::{open, put, server::Server, settings};
use crate::{
    NamedOutput, Output,
    delivery::{Delivery, DeliverySettings},
    pattoo,
};

/// Less than what a server asks for below.
const SOON: Duration = Duration::from_secs(20);
const LATER: &str = "3600";

fn output(name: &str, server: &Server, token: Option<&str>) -> NamedOutput {
    let token = token.map(|token| Secret::new(token).unwrap());
    let settings = pattoo::Settings::new(server.url.clone()).with_token(token);
    NamedOutput { name: name.parse().unwrap(), output: Output::Pattoo(settings) }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, so).await.expect("it never came about");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_gives_new_settings_to_one_output_and_interrupts_no_request_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let (same, changed) = (Server::start().await, Server::start().await);
    let (began, begin) = mpsc::channel();
    let (answer, wait) = mpsc::channel::<()>();
    same.answers(move |_, _| {
        began.send(()).unwrap();
        wait.recv().map_or(500, |()| 200)
    });
    let spool = open(folder.path());
    let outputs = |token| vec![output("same", &same, None), output("changed", &changed, Some(token))];
    let delivery = Delivery::start(spool.clone(), DeliverySettings { outputs: outputs("old"), ..settings() });
    put(&spool, &changed.url, 'a', "first").await;
    until(|| changed.accepted('a') == ["first"]).await;
    assert_eq!(changed.header("authorization").as_deref(), Some("Bearer old"));

    put(&spool, &same.url, 'a', "waiting").await;
    tokio::task::spawn_blocking(move || begin.recv().unwrap()).await.unwrap();
    delivery.reload(outputs("new"));
    put(&spool, &changed.url, 'a', "second").await;
    until(|| changed.accepted('a') == ["first", "second"]).await;
    assert_eq!(changed.header("authorization").as_deref(), Some("Bearer new"));
    answer.send(()).unwrap();
    assert!(delivery.drain(SOON).await);
    assert_eq!((same.accepted('a'), same.asked()), (vec!["waiting".to_owned()], 1));
    delivery.shutdown(SOON).await;
}

#[tokio::test]
async fn reload_tries_at_once_what_waits() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    for status in [401, 503, 500] {
        server.answers_with(status, "retry-after", LATER);
        let delivery = Delivery::start(spool.clone(), settings());
        let before = server.asked();
        put(&spool, &server.url, 'a', status.to_string()).await;
        put(&spool, &server.url, 'b', status.to_string()).await;
        until(|| server.asked() > before + 1).await;
        server.answers(|_, _| 200);
        delivery.reload(Vec::new());
        assert!(delivery.drain(SOON).await, "{status}");
        delivery.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn retry_by_another_process_is_tried_at_once() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers_with(503, "retry-after", LATER);
    let delivery = Delivery::start(spool.clone(), settings());
    put(&spool, &server.url, 'a', "a").await;
    until(|| server.asked() > 0).await;
    server.answers(|_, _| 200);
    open(folder.path()).retry(Selection::default()).await.unwrap();
    assert!(delivery.drain(SOON).await);
    delivery.shutdown(SOON).await;
}
