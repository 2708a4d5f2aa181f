//! The status address: the state of the daemon for people, for probes and for Prometheus.
//!
//! It serves `/metrics`, `/healthz` and `/status`, and accepts no data. On loopback it responds
//! only to `localhost` and to addresses, so that a web page cannot make a browser read it under a
//! name of its own (DNS rebinding): see [`listen`]. The number of pages that are made at once is
//! limited; further requests wait, except those for `/healthz`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use pattoo_base::{lock::lock, log_folding::FaultLog};
use pattoo_measurement::Program;
use pattoo_output::ObservedOutput;
use pattoo_sandbox::{ModuleDigest, capability::PeerCalls};
use pattoo_spool::{OutputId, Spool, SpoolStats};
use serde::Serialize;
use tokio::{net::TcpListener, sync::Semaphore};

use super::{
    collector_state::CollectorState,
    collector_stats::{CollectorStats, SkipReason},
    daemon_status::DaemonStatus,
    metrics,
};
use crate::listen::{self, Evictable};

/// The time for receiving and answering one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many pages are made at the same time.
const AT_ONCE: usize = 4;

/// A status server that is bound to its address.
#[derive(Debug)]
pub struct StatusServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// The data of the pages.
#[derive(Clone)]
struct Source {
    status: Arc<DaemonStatus>,
    spool: Spool,
    permits: Arc<Semaphore>,
    /// Whether the spool can be read, for the log.
    spool_log: Arc<Mutex<FaultLog>>,
}

impl Source {
    /// What is in the spool; none if it cannot be read.
    async fn spool_stats(&self) -> Option<SpoolStats> {
        let stats = self.spool.stats().await;
        let mut log = lock(&self.spool_log);
        match &stats {
            Err(error) => {
                if let Some(line) = log.failed(Instant::now(), &format!("cannot read the state of the spool: {error}"))
                {
                    tracing::warn!("{line}");
                }
            }
            Ok(_) => {
                if let Some(over) = log.works(Instant::now()) {
                    tracing::info!("the state of the spool can be read again; over: {over}");
                }
            }
        }
        stats.ok()
    }
}

impl StatusServer {
    /// Binds `address`; port 0 means any free port.
    ///
    /// # Errors
    ///
    /// When the address is in use, or is not one of this machine.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let (listener, address) = listen::bind(address).await?;
        Ok(Self { listener, address })
    }

    /// The bound address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, status: Arc<DaemonStatus>, spool: Spool) {
        let source = Source { status, spool, permits: Arc::new(Semaphore::new(AT_ONCE)), spool_log: Arc::default() };
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/status", get(status_page))
            .layer(middleware::from_fn_with_state(Arc::clone(&source.permits), bounded))
            // A probe waits for no page: its response comes from memory.
            .route("/healthz", get(health_page))
            .layer(DefaultBodyLimit::max(0))
            .layer(middleware::from_fn_with_state(self.address, only_for_us))
            .with_state(source);
        listen::serve(self.listener, router, Evictable::Any, std::future::pending()).await;
    }
}

async fn bounded(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let answer = async {
        // Never closed.
        let _permit = permits.acquire().await;
        next.run(request).await
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn only_for_us(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    listen::only_for_us(address, request, next).await
}

async fn metrics_page(State(source): State<Source>) -> Response {
    let stats = source.spool_stats().await;
    let queued = source.spool.queued_by_output().await.ok();
    let page = metrics::page(&source.status, stats.as_ref(), queued.as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

async fn health_page(State(source): State<Source>) -> Response {
    if source.status.is_alive() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the schedule has stopped\n").into_response()
    }
}

async fn status_page(State(source): State<Source>) -> Response {
    let spool = source.spool_stats().await.map(|stats| SpoolPage {
        queued: stats.queued,
        queued_bytes: stats.queued_bytes,
        oldest_seconds: stats.oldest.map(|age| age.as_secs()),
        quarantined: stats.quarantined,
        delivered: stats.delivered,
        dropped: stats.dropped,
    });
    let queued = source.spool.queued_by_output().await.unwrap_or_default();
    let outputs = OutputPage::all(source.status.outputs.all(), queued);
    let all = source.status.all_collectors();
    let running = source.status.running();
    let page = StatusPage {
        version: env!("CARGO_PKG_VERSION"),
        started: source.status.started,
        clock_behind_seconds: source.status.time_mark.behind().as_secs(),
        running,
        under_way: running,
        spool,
        configuration_valid: source.status.is_configuration_valid(),
        configured: source.status.configured.load(Ordering::Relaxed),
        outputs,
        collectors: all.into_iter().map(|(program, stats)| CollectorPage::of(&program, &stats)).collect(),
    };
    match serde_json::to_vec_pretty(&page) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Serialize)]
struct StatusPage {
    version: &'static str,
    /// Unix milliseconds.
    started: u64,
    /// How far the wall clock is behind the newest time at which payloads were stored.
    clock_behind_seconds: u64,
    running: u64,
    /// The previous name of `running`.
    under_way: u64,
    spool: Option<SpoolPage>,
    /// Whether the configuration could be used when it was last read. If not, the previous one is in
    /// effect.
    configuration_valid: bool,
    /// When the configuration in effect was read, in Unix milliseconds.
    configured: u64,
    /// The outputs that are configured, and others for which payloads wait.
    outputs: Vec<OutputPage>,
    collectors: Vec<CollectorPage>,
}

#[derive(Serialize)]
struct SpoolPage {
    queued: u64,
    queued_bytes: u64,
    oldest_seconds: Option<u64>,
    quarantined: u64,
    delivered: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct OutputPage {
    /// Its name; a pattoo server has the name of its URL.
    output: String,
    /// Its name and type in the configuration, if it is configured.
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    /// Payloads that wait for it.
    queued: u64,
    /// When it was last tried to send a payload, and when it last accepted one, in Unix milliseconds.
    last_attempt: Option<u64>,
    last_delivery: Option<u64>,
    /// Whether it could be reached at the last attempt, and whether it accepted the credentials.
    reachable: Option<bool>,
    authorised: Option<bool>,
    /// Why it accepts nothing at the moment.
    problem: Option<String>,
}

impl OutputPage {
    fn all(configured: Vec<ObservedOutput>, mut queued: BTreeMap<OutputId, u64>) -> Vec<Self> {
        let mut pages: Vec<_> = configured
            .into_iter()
            .map(|ObservedOutput { id, name, kind, status }| Self {
                output: id.to_string(),
                name: Some(name.to_string()),
                kind: Some(kind),
                queued: queued.remove(&id).unwrap_or_default(),
                last_attempt: status.last_attempt,
                last_delivery: status.last_delivery,
                reachable: status.reachable,
                authorised: status.authorised,
                problem: status.problem,
            })
            .collect();
        pages.extend(queued.into_iter().map(|(id, queued)| Self {
            output: id.to_string(),
            name: None,
            kind: None,
            queued,
            last_attempt: None,
            last_delivery: None,
            reachable: None,
            authorised: None,
            problem: None,
        }));
        pages
    }
}

#[derive(Serialize)]
struct CollectorPage {
    program: String,
    state: &'static str,
    interval_seconds: u32,
    sha256: Option<ModuleDigest>,
    /// Why its configured module does not run.
    load_error: Option<String>,
    /// The previous name of `load_error`.
    trouble: Option<String>,
    last: Option<LastCollectionPage>,
    last_completed: Option<u64>,
    collections: u64,
    overruns: u64,
    /// Scheduled runs that will be skipped, since it backs off.
    runs_to_skip: u32,
    /// The previous name of `runs_to_skip`.
    resting: u32,
    /// What became of requests since the daemon started, by interface and device or origin.
    peers: BTreeMap<&'static str, BTreeMap<String, PeerPage>>,
}

#[derive(Serialize)]
struct PeerPage {
    /// Whether it answered when it was last asked; null before.
    up: Option<bool>,
    #[serde(flatten)]
    calls: PeerCalls,
}

#[derive(Serialize)]
struct LastCollectionPage {
    /// Unix milliseconds.
    at: u64,
    outcome: &'static str,
    message: String,
    /// The previous name of `message`.
    words: String,
    milliseconds: u64,
}

impl CollectorPage {
    fn of(program: &Program, stats: &CollectorStats) -> Self {
        let mut stats = stats.snapshot();
        let usage = std::mem::take(&mut stats.totals.usage).into_calls();
        let page = |(peer, calls): (String, PeerCalls)| (peer, PeerPage { up: calls.is_up(), calls });
        let peers = usage.map(|(capability, calls)| (capability, calls.by_peer.into_iter().map(page).collect()));
        Self {
            peers: peers.filter(|(_, by_peer): &(_, BTreeMap<_, _>)| !by_peer.is_empty()).collect(),
            program: program.to_string(),
            state: CollectorState::of(&stats).name(),
            interval_seconds: stats.interval.seconds(),
            collections: stats.ended(),
            overruns: stats.skipped(SkipReason::Overrun),
            runs_to_skip: stats.runs_to_skip,
            resting: stats.runs_to_skip,
            last_completed: stats.last_completed,
            last: stats.last.map(|last| LastCollectionPage {
                at: last.at,
                outcome: last.reason.name(),
                words: last.message.clone(),
                message: last.message,
                milliseconds: u64::try_from(last.duration.as_millis()).unwrap_or(u64::MAX),
            }),
            sha256: stats.sha256,
            trouble: stats.load_error.clone(),
            load_error: stats.load_error,
        }
    }
}
