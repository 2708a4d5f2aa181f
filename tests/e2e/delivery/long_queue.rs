//! A long queue: the start time and memory of a daemon that finds it, and how fast it is drained.
//!
//! `QUEUE_BODIES` is the number of queued payloads; `cargo xtask soak queue` sets it to a million.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_cmp,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use pattoo_measurement::{Agent, AgentId, Candidate, Hostname, PollingInterval, Program, Value};
use pattoo_output::ServerUrl;
use pattoo_output::pattoo::{Batch, Body};
use pattoo_spool::{Spool, SpoolLimits};
use pattoo_tests::storing::store_body;
use pattoo_tests::{Cli, Daemon, ReadyLine, Running, Site, resident_kib};
use serde_json::json;

/// How many agents share a queue.
const AGENTS: u64 = 20;
/// How many payloads of an agent are stored at the same time.
const AT_ONCE: u64 = 32;

/// The timestamp before that of the first payload, in Unix milliseconds.
pub(crate) const STAMP: u64 = 1_700_000_000_000;

/// The agent with this number.
fn agent(number: u64) -> Arc<Agent> {
    Arc::new(Agent {
        program: format!("QUEUE_{number}").parse::<Program>().expect("a name"),
        id: format!("{number:064x}").parse::<AgentId>().expect("64 digits"),
        hostname: "gateway-7".parse::<Hostname>().expect("a name"),
        polling_interval: PollingInterval::default(),
    })
}

/// The agent that has this id.
pub(crate) fn agent_of(id: &str) -> Arc<Agent> {
    agent(u64::from_str_radix(id, 16).expect("a small number"))
}

/// A body with one datapoint, the integer `number`.
pub(crate) fn body(agent: &Arc<Agent>, number: u64) -> Body {
    let mut batch = Batch::new(Arc::clone(agent), Duration::from_mins(5));
    let value = Value::Integer(i64::try_from(number).expect("a small number"));
    let candidate = Candidate { key: "number".to_owned(), value, timestamp: None, metadata: Vec::new() };
    let rejected = batch.emit("target", vec![candidate], STAMP + number).expect("a target");
    assert!(rejected.is_empty(), "{rejected:?}");
    batch.into_body(STAMP + number).expect("a datapoint")
}

/// Stores `bodies` bodies in the spool at `path`, those of each agent numbered from 1 in their
/// order.
pub(crate) fn fill(path: &Path, server: &ServerUrl, bodies: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        let spool = Spool::open(path, SpoolLimits { bytes: 1 << 40, ..SpoolLimits::default() }).expect("a spool");
        let agents = (0..AGENTS).map(|number| {
            let (spool, server, agent) = (spool.clone(), server.clone(), agent(number));
            tokio::spawn(async move {
                let mut next = 1;
                while next <= bodies / AGENTS {
                    // They are stored in this order, and committed together.
                    let end = (next + AT_ONCE).min(bodies / AGENTS + 1);
                    let these: Vec<Body> = (next..end).map(|number| body(&agent, number)).collect();
                    let storing = these.iter().map(|body| store_body(&spool, body, &agent.program, &server));
                    join_all(storing).await;
                    next = end;
                }
            })
        });
        for agent in agents.collect::<Vec<_>>() {
            agent.await.expect("it stores");
        }
        spool.close();
    });
}

/// Polls all of them, first to last, until each is done.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The progress by the lines that `receive` prints: the next expected number of each program, and
/// unexpected lines.
#[derive(Debug, Default)]
struct Heard {
    next: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

/// A receiver without a store, with the scenario of `scenario.yaml`, and its progress; the thread
/// ends when all its output is read.
fn receiver(cli: &Cli) -> (Running, Arc<Mutex<Heard>>, JoinHandle<()>) {
    let mut command = cli.command(&["receive", "--listen", "127.0.0.1:0", "--scenario", "scenario.yaml"]);
    command.stdout(Stdio::piped());
    let mut receiver = Running::start(&mut command, ReadyLine::OnStderr, |line| {
        line.split_once("receiving on http://")?.1.trim().parse().ok()
    });
    let lines = BufReader::new(receiver.take_stdout()).lines();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let hearing = Arc::clone(&heard);
    let hears = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut heard = hearing.lock().expect("no thread panics while it holds the lock");
            let mut cells = line.split('\t').skip(1);
            let program = cells.next().expect("a program").to_owned();
            let next = heard.next.entry(program).or_insert(1);
            let expected = *next;
            *next += 1;
            if cells.last() != Some(&expected.to_string()) {
                heard.wrong.push(line);
            }
        }
    });
    (receiver, heard, hears)
}

/// How many payloads a second a receiver accepts over one connection for each agent, from clients
/// without a spool.
fn pace(address: SocketAddr) -> f64 {
    let began = Instant::now();
    let posting = (0..AGENTS).map(|number| {
        std::thread::spawn(move || {
            let (agent, mut stream) = (agent(number), TcpStream::connect(address).expect("it listens"));
            stream.set_nodelay(true).expect("a stream");
            let mut answer = [0; 1000];
            let mut posted = 0u64;
            while began.elapsed() < Duration::from_secs(2) {
                let body = body(&agent, posted + 1).into_json();
                let head = format!(
                    "POST /pattoo/api/v1/agent/receive/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                    agent.id,
                    body.len()
                );
                stream.write_all(&[head.as_bytes(), &body].concat()).expect("it reads");
                let length = stream.read(&mut answer).expect("it answers");
                assert!(answer.get(..length).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")));
                posted += 1;
            }
            posted
        })
    });
    let posted: u64 = posting.collect::<Vec<_>>().into_iter().map(|thread| thread.join().expect("it posts")).sum();
    posted as f64 / began.elapsed().as_secs_f64()
}

#[test]
fn long_queue_needs_little_memory_and_drains_at_the_speed_of_the_receiver() {
    let bodies: u64 = std::env::var("QUEUE_BODIES")
        .map_or(30_000, |text| text.parse().unwrap_or_else(|_| panic!("QUEUE_BODIES is a number")));
    let cli = Cli::new();
    cli.file("scenario.yaml", "");
    let fast = pace(receiver(&cli).0.address());
    // A busy server: so slow that our processors are not the limit.
    cli.file("scenario.yaml", "delay: 120ms");
    let busy = pace(receiver(&cli).0.address());
    let (receiver, heard, hears) = receiver(&cli);
    let site = Site::new(receiver.address()).with("spool", json!({"size": "100 GiB"}));
    site.configure(&json!([]));
    let spool = site.folder().join("daemon/pattoo_wasm/spool/spool.sqlite3");
    let filling = Instant::now();
    fill(&spool, &format!("http://{}", receiver.address()).parse().expect("a URL"), bodies);
    let filling = filling.elapsed().as_secs_f64();
    let size = std::fs::metadata(&spool).expect("a spool").len() >> 20;

    let began = Instant::now();
    let daemon = site.start();
    let started = began.elapsed();
    daemon.wait_until("the first bodies", |_| {
        !heard.lock().expect("no thread panics while it holds the lock").next.is_empty()
    });
    let first = began.elapsed();
    let delivered = |daemon: &Daemon| daemon.metrics()["pattoo_wasm_spool_delivered_total"];
    let (before, window) = (delivered(&daemon), Instant::now());
    std::thread::sleep(Duration::from_secs(4));
    let kept_up = (delivered(&daemon) - before) / window.elapsed().as_secs_f64();
    cli.file("scenario.yaml", "");
    let (before, rest) = (delivered(&daemon), Instant::now());
    let time_limit = Duration::from_secs(300 + bodies / 200);
    let (mut resident, mut slowest_page) = (Vec::new(), Duration::ZERO);
    loop {
        let asked = Instant::now();
        let queued = daemon.metrics()["pattoo_wasm_spool_payloads"];
        slowest_page = slowest_page.max(asked.elapsed());
        resident.push(resident_kib(daemon.pid()));
        if queued == 0.0 {
            break;
        }
        assert!(rest.elapsed() < time_limit, "{queued} bodies still wait");
        std::thread::sleep(Duration::from_millis(200));
    }
    let drained = (bodies as f64 - before) / rest.elapsed().as_secs_f64();
    assert_eq!(daemon.metrics()["pattoo_wasm_spool_delivered_total"], bodies as f64);
    assert!(daemon.end("TERM").success());
    assert!(receiver.interrupt().success());
    // All its output is read.
    hears.join().expect("it hears");
    let most = resident.iter().max().copied().unwrap_or_default();
    println!(
        "{bodies} bodies of {AGENTS} agents, {size} MiB, stored at {:.0}/s: the daemon was ready after {started:.2?} and had posted after {first:.2?}; \
         a busy receiver took {kept_up:.0}/s of it and {busy:.0}/s of clients that store nothing, an idle one {drained:.0}/s and {fast:.0}/s; \
         at most {most} KiB of resident memory; metrics within {slowest_page:.2?}",
        bodies as f64 / filling
    );
    let heard = heard.lock().expect("no thread panics while it holds the lock");
    assert!(heard.wrong.is_empty(), "{:?}", heard.wrong.first());
    assert!(heard.next.len() as u64 == AGENTS && heard.next.values().all(|next| *next == bodies / AGENTS + 1));
    assert!(started < Duration::from_secs(10) && first < Duration::from_secs(15), "{started:?} {first:?}");
    assert!(most < 96 << 10, "{most} KiB");
    assert!(kept_up > busy / 2.0, "{kept_up} of {busy}");
}
