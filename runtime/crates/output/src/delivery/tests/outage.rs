//! A server that is unavailable, that recovers slowly, or that refuses a payload.

use std::time::{Duration, Instant};

use pattoo_base::secret::Secret;

use pattoo_spool::{QueueId, Retried, Selection};

use super::{agent, open, program, put, queue, server::Server, settings};
use crate::{
    NamedOutput, Output,
    delivery::{
        Delivery, DeliverySettings, NotDelivered, deliver_now,
        scheduler::QueueScheduler,
        sender::Sender,
        turn::{Doubt, End},
    },
    pattoo::{self, take_over},
};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_was_stored_is_delivered_once_oldest_first_and_then_gone() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    for number in 0..100 {
        put(&spool, &server.url, if number % 2 == 0 { 'a' } else { 'b' }, number.to_string()).await;
    }
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    put(&spool, &server.url, 'a', "fresh").await;
    assert!(delivery.drain(LONG).await);
    delivery.shutdown(LONG).await;
    let mut evens: Vec<String> = (0..100).step_by(2).map(|number| number.to_string()).collect();
    evens.push("fresh".to_owned());
    assert_eq!(server.accepted('a'), evens);
    assert_eq!(server.accepted('b').len(), 50);
    let stats = spool.stats().await.unwrap();
    assert_eq!((stats.delivered, stats.queued, stats.queued_bytes, stats.oldest), (101, 0, 0, None));
}

/// A day on a clock that a test moves: the schedule of the delivery and the real poster, with nobody waiting for anything in between.
struct Day {
    scheduler: QueueScheduler,
    now: Instant,
    end: Instant,
    posts: usize,
}

impl Day {
    fn begin(scheduler: impl IntoIterator<Item = QueueId>) -> Self {
        let now = Instant::now();
        let mut day = Self {
            scheduler: QueueScheduler::new(|| 0.5, settings().longest_wait),
            now,
            end: now + Duration::from_hours(24),
            posts: 0,
        };
        scheduler.into_iter().for_each(|queue| day.scheduler.offer(queue));
        day
    }

    /// Lets the next queue have its turn, whenever that is; whether there is one today.
    async fn turn(&mut self, sender: &Sender) -> bool {
        loop {
            if let Some(queue) = self.scheduler.next(self.now) {
                let turn = sender.work(&queue).await;
                self.posts += 1;
                self.scheduler.ended(queue, &turn, self.now);
                return true;
            }
            match self.scheduler.wake_at() {
                Some(at) if at < self.end => self.now = at,
                _ => return false,
            }
        }
    }
}

#[tokio::test]
async fn a_day_of_500s_and_a_day_of_404s_quarantine_nothing_and_lose_nothing() {
    for status in [500, 404] {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
        let spool = open(folder.path());
        server.answers(move |_, _| status);
        let queue_of = |digit| queue(&server.url, &agent(digit));
        let mut day = Day::begin(['a', 'b', 'c'].map(queue_of));
        // After an hour of it what is behind is tried as well.
        let senders = [Duration::from_hours(1), Duration::ZERO]
            .map(|lonely_after| Sender::new(spool.clone(), DeliverySettings { lonely_after, ..settings() }));
        let (begin, mut stored) = (day.now, 0u32);
        loop {
            // A collection of each every ten minutes, all day long.
            while begin + Duration::from_mins(10) * stored <= day.now {
                for digit in ['a', 'b', 'c'] {
                    put(&spool, &server.url, digit, format!("{stored}")).await;
                    day.scheduler.offer(queue_of(digit));
                }
                stored += 1;
            }
            let [first_hour, later] = &senders;
            let sender = if day.now - begin < Duration::from_hours(1) { first_hour } else { later };
            if !day.turn(sender).await {
                break;
            }
        }
        assert!(day.now - begin > Duration::from_hours(23) && stored > 130, "{stored} by the end of the day");
        // Each is tried about every two and a half minutes: neither forgotten nor hammered at.
        assert!((3 * 300..3 * 1000).contains(&day.posts), "{} tries in a day", day.posts);
        let stats = spool.stats().await.unwrap();
        assert_eq!((stats.queued, stats.quarantined, stats.dropped), (u64::from(stored) * 3, 0, 0));

        server.answers(|_, _| 200);
        day.end += Duration::from_hours(1);
        while day.turn(&senders[1]).await {}
        for digit in ['a', 'b', 'c'] {
            assert_eq!(server.accepted(digit), (0..stored).map(|number| number.to_string()).collect::<Vec<_>>());
        }
        assert_eq!(spool.stats().await.unwrap().queued, 0);
    }
}

#[tokio::test]
async fn one_poison_body_among_good_ones_is_quarantined_alone() {
    for status in [500, 404, 400, 413] {
        let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
        let spool = open(folder.path());
        server.answers(move |_, body| if body == "poison" { status } else { 200 });
        let sender = Sender::new(spool.clone(), settings());
        let queue_of = |digit| queue(&server.url, &agent(digit));
        put(&spool, &server.url, 'a', "poison").await;
        put(&spool, &server.url, 'a', "behind it").await;
        for round in 0..4 {
            assert!(matches!(sender.work(&queue_of('a')).await.end, End::Refused { .. }), "{status} {round}");
            assert!(
                matches!(sender.work(&queue_of('a')).await.end, End::Refused { .. }),
                "without company it does not count"
            );
            put(&spool, &server.url, 'b', "company").await;
            assert_eq!(sender.work(&queue_of('b')).await.end, End::More);
        }
        assert_eq!(sender.work(&queue_of('a')).await.end, End::More);
        assert_eq!(server.accepted('a'), ["behind it"]);
        let kept = spool.list(Selection::default(), 10).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].quarantined && kept[0].refusal.as_ref().unwrap().contains(&status.to_string()));

        // A person fixes the server and retries the payload.
        server.answers(|_, _| 200);
        let quarantined_one = Selection { quarantined: Some(true), ..Selection::default() };
        assert_eq!(spool.retry(quarantined_one).await.unwrap(), Retried { queued: 1, damaged: Vec::new() });
        assert_eq!(sender.work(&queue_of('a')).await.end, End::More);
        assert_eq!(server.accepted('a'), ["behind it", "poison"]);
    }
}

#[tokio::test]
async fn poison_without_company_gets_it_from_behind_after_an_hour() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers(|_, body| if body == "poison" { 500 } else { 200 });
    let queue = queue(&server.url, &agent('a'));
    put(&spool, &server.url, 'a', "poison").await;
    for number in 0..6 {
        put(&spool, &server.url, 'a', number.to_string()).await;
    }
    let patient = Sender::new(spool.clone(), settings());
    for _ in 0..20 {
        assert!(matches!(patient.work(&queue).await.end, End::Refused { .. }));
    }
    assert_eq!(server.accepted('a'), [""; 0], "nothing overtakes it before its time");
    // An hour later, as it were.
    let lonely = Sender::new(spool.clone(), DeliverySettings { lonely_after: Duration::ZERO, ..settings() });
    for _ in 0..4 {
        lonely.work(&queue).await;
    }
    let stats = spool.stats().await.unwrap();
    assert_eq!((stats.queued, stats.quarantined), (0, 1));
    assert_eq!(server.accepted('a'), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn answers_of_an_unavailable_server_never_count_against_a_payload() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    let sender = Sender::new(spool.clone(), DeliverySettings { strikes: 1, ..settings() });
    let queue = queue(&server.url, &agent('a'));
    put(&spool, &server.url, 'a', "good").await;
    for status in [408, 429, 502, 503, 504, 401, 403] {
        server.answers(move |_, _| status);
        let means = if status > 403 { Doubt::Busy } else { Doubt::Unauthorised };
        let end = sender.work(&queue).await.end;
        assert!(matches!(end, End::Doubtful { what, .. } if what == means), "{status}");
    }
    server.answers_with(429, "retry-after", "77");
    let end = sender.work(&queue).await.end;
    assert!(matches!(end, End::Doubtful { retry_after: Some(wait), .. } if wait == Duration::from_secs(77)), "{end:?}");
    server.answers_with(307, "location", "/elsewhere");
    assert!(matches!(Sender::new(spool.clone(), settings()).work(&queue).await.end, End::Refused { .. }));
    assert_eq!(spool.stats().await.unwrap().quarantined, 0);
}

#[tokio::test]
async fn a_token_is_shown_to_its_server_and_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Server::start().await, Server::start().await);
    let spool = open(folder.path());
    put(&spool, &ours.url, 'a', "1").await;
    put(&spool, &other.url, 'a', "2").await;
    let token = Some(Secret::new("s3cret").unwrap());
    let output = Output::Pattoo(pattoo::Settings::new(ours.url.clone()).with_token(token));
    let outputs = vec![NamedOutput { name: "ours".parse().unwrap(), output }];
    let delivery = Delivery::start(spool.clone(), DeliverySettings { outputs, ..settings() });
    assert!(delivery.drain(LONG).await);
    assert_eq!(ours.header("authorization").as_deref(), Some("Bearer s3cret"));
    assert_eq!(other.header("authorization"), None);
    assert_eq!(other.header("content-type").as_deref(), Some("application/json"));
}

#[tokio::test]
async fn a_command_delivers_what_came_before_and_says_what_it_could_not() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers(|_, _| 503);
    let first = put(&spool, &server.url, 'a', "first").await;
    let id = agent('a');
    let deliver = |stored| deliver_now(&spool, settings(), &id, server.url.id(), stored, LONG);
    let error = deliver(first).await.unwrap_err();
    assert!(matches!(&error, NotDelivered::Refused { text, .. } if text.contains("503")), "{error}");
    server.answers(|_, _| 200);
    let second = put(&spool, &server.url, 'a', "second").await;
    deliver(second).await.unwrap();
    assert_eq!(server.accepted('a'), ["first", "second"]);
    // Another process works on the queue, and does not come to an end.
    let third = put(&spool, &server.url, 'a', "third").await;
    let other = open(folder.path());
    let held = other.lock(&queue(&server.url, &agent('a'))).unwrap();
    let bound = Duration::from_millis(200);
    let error = deliver_now(&spool, settings(), &id, server.url.id(), third, bound).await.unwrap_err();
    assert!(matches!(error, NotDelivered::Time), "{error}");
    drop(held);
    deliver(third).await.unwrap();
}

#[tokio::test]
async fn the_backlog_of_pattoos_own_agent_goes_out_before_fresh_data() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let (spool, id) = (open(folder.path()), agent('a'));
    let cache = folder.path().join("cache");
    let of_agent = cache.join(id.as_str());
    std::fs::create_dir_all(&of_agent).unwrap();
    let body = |stamp: u64, agent: &str| {
        format!(
            r#"{{"pattoo_agent_timestamp": {stamp}, "pattoo_agent_id": "{agent}", "pattoo_agent_polling_interval": 20000,
                "pattoo_datapoints": {{"key_value_pairs": {{"0": ["pattoo_key", "x"], "1": ["pattoo_value", 1.5]}}, "datapoint_pairs": [[0, 1]]}}}}"#
        )
    };
    let file = |name: String, text: &str| std::fs::write(of_agent.join(name), text).unwrap();
    // By number, and not by name: 999 comes before 1000.
    for stamp in [1000, 999, 1001] {
        file(format!("{stamp}_{id}.json"), &body(stamp, id.as_str()));
    }
    file(format!("1002_{id}.json"), &body(1002, id.as_str())[..60]);
    file(format!("1003_{id}.json"), &body(1003, agent('b').as_str()));
    file(format!("1004_{id}.json"), &body(1004, id.as_str()).replace("1.5", "NaN"));
    file(format!("1005_{id}.json"), &body(1005, id.as_str()).replace("[[0, 1]]", "[[0, 7]]"));
    file("notes.txt".to_owned(), "not ours");
    let takeover = take_over(&spool, &cache, &id, &program(), &server.url).await.unwrap();
    assert_eq!((takeover.taken, takeover.left.len()), (3, 4), "{takeover:?}");
    assert_eq!(std::fs::read_dir(&of_agent).unwrap().count(), 5);
    // Killed between the commit and the removal of a file: it is not stored twice.
    file(format!("999_{id}.json"), &body(999, id.as_str()));
    take_over(&spool, &cache, &id, &program(), &server.url).await.unwrap();
    put(&spool, &server.url, 'a', "fresh").await;
    let delivery = Delivery::start(spool.clone(), settings());
    assert!(delivery.drain(LONG).await);
    let expected: Vec<_> =
        [999, 1000, 1001].map(|stamp| body(stamp, id.as_str())).into_iter().chain(["fresh".to_owned()]).collect();
    assert_eq!(server.accepted('a'), expected);
    let nothing = take_over(&spool, &folder.path().join("missing"), &id, &program(), &server.url).await.unwrap();
    assert_eq!((nothing.taken, nothing.left.len()), (0, 0));
}

#[tokio::test]
async fn a_daemon_picks_up_what_others_leave_and_comes_back_after_an_outage() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let spool = open(folder.path());
    server.answers(|_, _| 500);
    let delivery = Delivery::start(spool.clone(), settings());
    put(&spool, &server.url, 'a', "own").await;
    while server.asked() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let other = open(folder.path());
    put(&other, &server.url, 'b', "left by another process").await;
    server.answers(|_, _| 200);
    assert!(delivery.drain(LONG).await);
    assert_eq!((server.accepted('a').len(), server.accepted('b').len()), (1, 1));
    delivery.shutdown(LONG).await;
}
