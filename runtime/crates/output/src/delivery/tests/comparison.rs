//! Answers that seem to be about the server, and are about one body.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pattoo_measurement::AgentId;
use pattoo_spool::{Selection, Spool};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{open, queue, store};
use crate::{
    ServerUrl,
    delivery::{Delivery, DeliverySettings, sender::Sender, turn::End},
};

/// What the server does with a body.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// A status and a header.
    Status(u16, &'static str),
    /// The connection is reset once the body is there.
    Reset,
}

const TAKEN: Answer = Answer::Status(200, "x: y");

type Rule = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// A server of raw connections, and when it took which body.
struct Raw {
    url: ServerUrl,
    taken: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Raw {
    async fn start(rule: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let taken = Arc::new(Mutex::default());
        let (rule, took): (Rule, _) = (Arc::new(rule), Arc::clone(&taken));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // It may end in any way.
                tokio::spawn(serve(stream, Arc::clone(&rule), Arc::clone(&took)));
            }
        });
        Self { url, taken }
    }

    fn took(&self, text: &str) -> Option<Instant> {
        self.taken.lock().unwrap().get(text).copied()
    }
}

async fn serve(stream: TcpStream, rule: Rule, taken: Arc<Mutex<BTreeMap<String, Instant>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body).unwrap();
        match rule(&body) {
            Answer::Status(status, header) => {
                if status == 200 {
                    taken.lock().unwrap().insert(body, Instant::now());
                }
                let answer = format!("HTTP/1.1 {status} So\r\n{header}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await?;
            }
            Answer::Reset => {
                stream.into_inner().set_zero_linger()?;
                return Ok(());
            }
        }
    }
}

fn agent(number: usize) -> AgentId {
    format!("{number:064x}").parse().unwrap()
}

async fn put(spool: &Spool, server: &ServerUrl, number: usize, text: String) {
    store(spool, server, &agent(number), text).await;
}

/// Waits are short, so that minutes are moments.
fn hasty() -> DeliverySettings {
    let moment = Duration::from_millis(50);
    DeliverySettings { longest_wait: moment, busy_for: 4 * moment, ..super::settings() }
}

const GOOD: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn payload_that_is_answered_as_if_the_server_were_unavailable_affects_its_own_queue_only_and_is_quarantined() {
    for answer in [
        Answer::Status(401, "x: y"),
        Answer::Status(403, "x: y"),
        Answer::Status(429, "retry-after: 99999999"),
        Answer::Status(502, "x: y"),
        Answer::Status(503, "retry-after: Fri, 01 Jan 2117 00:00:00 GMT"),
        Answer::Status(504, "x: y"),
        Answer::Reset,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = Raw::start(move |body| if body.contains("DROP TABLE") { answer } else { TAKEN }).await;
        let spool = open(folder.path());
        put(&spool, &server.url, 0, "bad: DROP TABLE".to_owned()).await;
        for number in 0..5 {
            put(&spool, &server.url, 0, format!("later {number}")).await;
        }
        let delivery = Delivery::start(spool.clone(), hasty());
        let (begun, mut stored, mut round) = (Instant::now(), Vec::new(), 0);
        // Each of the good ones emits now and then, until the bad one's queue has moved on.
        while server.took("later 4").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{answer:?}: the queue behind the bad body is stuck");
            for number in 1..=GOOD {
                let text = format!("good {number} {round}");
                put(&spool, &server.url, number, text.clone()).await;
                stored.push((text, Instant::now()));
            }
            round += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(delivery.drain(Duration::from_secs(10)).await, "{answer:?}");
        delivery.shutdown(Duration::from_secs(5)).await;
        let waited = |(text, stored): &(String, Instant)| {
            server
                .took(text)
                .unwrap_or_else(|| panic!("{answer:?}: {text} did not arrive"))
                .saturating_duration_since(*stored)
        };
        let longest = stored.iter().map(waited).max().unwrap();
        assert!(longest < Duration::from_secs(2), "{answer:?}: a good body waited for {longest:?}");
        let kept = spool.list(Selection::default(), 10).await.unwrap();
        assert_eq!(kept.len(), 1, "{answer:?}");
        assert!(kept[0].quarantined && kept[0].agent == agent(0).as_str(), "{answer:?}: {kept:?}");
        assert!(
            (0..4)
                .all(|number| server.took(&format!("later {number}")) < server.took(&format!("later {}", number + 1)))
        );
    }
}

#[tokio::test]
async fn server_that_is_busy_now_and_then_puts_no_body_into_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    // Each agent in turn is refused three times of four, as by a server that has too much to do.
    let asked = Mutex::new(0u32);
    let server = Raw::start(move |_| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        if asked.is_multiple_of(4) { TAKEN } else { Answer::Status(503, "x: y") }
    })
    .await;
    let spool = open(folder.path());
    for round in 0..10 {
        for number in 0..5 {
            put(&spool, &server.url, number, format!("{number} {round}")).await;
        }
    }
    let settings = DeliverySettings { longest_wait: Duration::from_millis(5), busy_for: Duration::ZERO, ..hasty() };
    let delivery = Delivery::start(spool.clone(), settings);
    let drained = delivery.drain(Duration::from_secs(30)).await;
    let stats = spool.stats().await.unwrap();
    assert_eq!((drained, stats.delivered, stats.quarantined), (true, 50, 0));
    delivery.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn bad_body_of_an_agent_alone_is_found_by_the_one_behind_it() {
    for answer in [Answer::Status(403, "x: y"), Answer::Status(502, "x: y"), Answer::Reset] {
        let folder = tempfile::tempdir().unwrap();
        let server = Raw::start(move |body| if body == "bad" { answer } else { TAKEN }).await;
        let spool = open(folder.path());
        let queue = queue(&server.url, &agent(0));
        put(&spool, &server.url, 0, "bad".to_owned()).await;
        for number in 0..8 {
            put(&spool, &server.url, 0, format!("later {number}")).await;
        }
        let patient = Sender::new(spool.clone(), hasty());
        for _ in 0..10 {
            assert!(matches!(patient.work(&queue).await.end, End::Doubtful { .. }));
        }
        assert!(server.took("later 0").is_none(), "nothing overtakes it before its time");
        // An hour later, as it were.
        let lonely = DeliverySettings { lonely_after: Duration::ZERO, busy_for: Duration::ZERO, ..hasty() };
        let lonely = Sender::new(spool.clone(), lonely);
        for _ in 0..10 {
            lonely.work(&queue).await;
        }
        let stats = spool.stats().await.unwrap();
        assert_eq!((stats.queued, stats.quarantined), (0, 1), "{answer:?}");
    }
}
