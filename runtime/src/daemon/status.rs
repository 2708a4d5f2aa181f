//! The status address: how the daemon is, for people, for probes and for Prometheus.
//!
//! It answers three questions and takes nothing: `/metrics`, `/healthz` and `/status`. On loopback it answers to `localhost` and to
//! addresses only, so that a web page somewhere cannot have a browser read it under a name of its own (DNS rebinding): see
//! [`listen`]. How much it does at once is bounded; what is beyond waits, but for `/healthz`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use pattoo_output::Spool;
use serde::Serialize;
use tokio::{net::TcpListener, sync::Semaphore};

use super::{board::Board, ledger::Skip, metrics};
use crate::listen::{self, Replaced};

/// How long one request may take to arrive and be answered.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many pages are made at the same time.
const AT_ONCE: usize = 4;

/// A status server that is bound to its address.
#[derive(Debug)]
pub struct StatusServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the pages are made of.
#[derive(Clone)]
struct Source {
    board: Arc<Board>,
    spool: Spool,
    seats: Arc<Semaphore>,
}

impl StatusServer {
    /// Binds `address`; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// When the address is not free or not ours.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let (listener, address) = listen::bind(address).await?;
        Ok(Self { listener, address })
    }

    /// The address that is bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, board: Arc<Board>, spool: Spool) {
        let source = Source { board, spool, seats: Arc::new(Semaphore::new(AT_ONCE)) };
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/status", get(status_page))
            .layer(middleware::from_fn_with_state(Arc::clone(&source.seats), bounded))
            // A probe waits for no page: it is answered from memory.
            .route("/healthz", get(health_page))
            .layer(DefaultBodyLimit::max(0))
            .layer(middleware::from_fn_with_state(self.address, only_for_us))
            .with_state(source);
        listen::serve(self.listener, router, Replaced::Any, std::future::pending()).await;
    }
}

async fn bounded(State(seats): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let answer = async {
        // Never closed.
        let _seat = seats.acquire().await;
        next.run(request).await
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn only_for_us(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    listen::only_for_us(address, request, next).await
}

async fn metrics_page(State(source): State<Source>) -> Response {
    let stats = source.spool.stats().await;
    if let Err(error) = &stats {
        tracing::warn!("the spool does not say how it is: {error}");
    }
    let page = metrics::page(&source.board, stats.as_ref().ok());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}

async fn health_page(State(source): State<Source>) -> Response {
    if source.board.is_alive() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the schedule stands still\n").into_response()
    }
}

async fn status_page(State(source): State<Source>) -> Response {
    let spool = match source.spool.stats().await {
        Ok(stats) => Some(SpoolStatus {
            queued: stats.queued,
            queued_bytes: stats.queued_bytes,
            oldest_seconds: stats.oldest.map(|age| age.as_secs()),
            quarantined: stats.quarantined,
            delivered: stats.delivered,
            dropped: stats.dropped,
        }),
        Err(_) => None,
    };
    let collectors = source.board.ledgers().into_iter().map(|(program, ledger)| CollectorStatus::of(&program, &ledger));
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        started: source.board.started,
        under_way: source.board.under_way(),
        spool,
        collectors: collectors.collect(),
    };
    match serde_json::to_vec_pretty(&status) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    /// Unix milliseconds.
    started: u64,
    under_way: u64,
    spool: Option<SpoolStatus>,
    collectors: Vec<CollectorStatus>,
}

#[derive(Serialize)]
struct SpoolStatus {
    queued: u64,
    queued_bytes: u64,
    oldest_seconds: Option<u64>,
    quarantined: u64,
    delivered: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct CollectorStatus {
    program: String,
    state: &'static str,
    interval_seconds: u32,
    sha256: Option<String>,
    /// Why it does not run as configured.
    trouble: Option<String>,
    last: Option<LastStatus>,
    last_completed: Option<u64>,
    collections: u64,
    overruns: u64,
    /// Departures that will be let pass, since it failed.
    resting: u32,
}

#[derive(Serialize)]
struct LastStatus {
    /// Unix milliseconds.
    at: u64,
    outcome: &'static str,
    words: String,
    milliseconds: u64,
}

impl CollectorStatus {
    fn of(program: &pattoo_measurement::Program, ledger: &super::ledger::Ledger) -> Self {
        let figures = ledger.figures();
        Self {
            program: program.to_string(),
            state: metrics::State::of(&figures).name(),
            interval_seconds: figures.interval.seconds(),
            collections: figures.ended(),
            overruns: figures.skipped(Skip::Overrun),
            resting: figures.resting,
            last_completed: figures.last_completed,
            last: figures.last.map(|last| LastStatus {
                at: last.at,
                outcome: last.reason.name(),
                words: last.words,
                milliseconds: u64::try_from(last.duration.as_millis()).unwrap_or(u64::MAX),
            }),
            sha256: figures.sha256,
            trouble: figures.trouble,
        }
    }
}
