//! The owner of a connection.
//!
//! One task for each endpoint in use. Callers hand it lists of requests; it takes the first of one caller, then the first
//! of the next, and so on in turn, so that nobody waits for another's long list. It connects when there is something to
//! ask, and ends, with the connection, when nobody asked for a while.
//!
//! # When things go wrong
//!
//! - An exception is an answer like any other.
//! - A reply that is wrong costs its own request, and the connection.
//! - A reply that does not come, or a connection that breaks, fails the rest of what this caller asks of *that unit*: a
//!   dead unit costs a caller one timeout, not one for each request. Other units, which may be alive behind the same
//!   gateway, are still asked, over a new connection.
//! - When there is no connection to be had, all that callers ask fails at once, and goes on failing at once until the
//!   endpoint's backoff has passed. Then the next caller's request tries again.
//! - A connection that turns out to be closed when the next request goes out (devices close what is idle) is opened anew
//!   and asked again once; nobody notices.
//!
//! A caller that no longer waits for its answer costs at most the request that is just under way.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::address::EndpointAddress;
use super::connection::Connection;
use super::error::ReadError;
use super::settings::EndpointSettings;
use super::span::{Span, Words};

/// What an owner is asked to do: these requests, in this order.
pub(super) struct Job {
    /// Each one that a single request can ask for.
    pub(super) requests: Vec<Span>,
    pub(super) settings: Arc<EndpointSettings>,
    /// Takes one answer for each request, in order.
    pub(super) answer: oneshot::Sender<Vec<Result<Words, ReadError>>>,
}

/// A job and how far it has come.
struct Progress {
    job: Job,
    answers: Vec<Result<Words, ReadError>>,
    /// Units that are not asked again for this job, with the reason.
    silent: Vec<(u8, ReadError)>,
}

impl Progress {
    fn new(job: Job) -> Self {
        Self { answers: Vec::with_capacity(job.requests.len()), silent: Vec::new(), job }
    }

    fn next(&self) -> Option<Span> {
        self.job.requests.get(self.answers.len()).copied()
    }

    fn fail_rest(&mut self, error: &ReadError) {
        self.answers.resize(self.job.requests.len(), Err(error.clone()));
    }
}

/// Owns the connection of one endpoint until `jobs` is closed or `may_end` allows it to end after an idle while.
pub(super) async fn own(
    address: EndpointAddress,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    may_end: impl Fn(&mut mpsc::UnboundedReceiver<Job>) -> bool,
) {
    let mut link = Link::new(address);
    let mut waiting: VecDeque<Progress> = VecDeque::new();
    let mut idle_close = EndpointSettings::default().idle_close;
    loop {
        if waiting.is_empty() {
            match timeout(idle_close, jobs.recv()).await {
                Ok(Some(job)) => {
                    idle_close = job.settings.idle_close;
                    waiting.push_back(Progress::new(job));
                }
                Ok(None) => return,
                Err(_) if may_end(&mut jobs) => return,
                Err(_) => continue,
            }
        }
        while let Ok(job) = jobs.try_recv() {
            waiting.push_back(Progress::new(job));
        }
        let Some(mut progress) = waiting.pop_front() else {
            continue;
        };
        if progress.job.answer.is_closed() {
            continue;
        }
        if let Some(span) = progress.next() {
            link.serve(span, &mut progress).await;
        }
        if progress.next().is_some() {
            waiting.push_back(progress);
        } else {
            // Whoever no longer listens has no use for the answers.
            let _ = progress.job.answer.send(progress.answers);
        }
    }
}

/// The way to the endpoint: a connection, or since when and why there is none.
struct Link {
    address: EndpointAddress,
    connection: Option<Connection>,
    /// Attempts to connect that failed in a row.
    failures: u32,
    /// Why the last one failed, and until when there is no other.
    closed: Option<(ReadError, Instant)>,
}

impl Link {
    fn new(address: EndpointAddress) -> Self {
        Self { address, connection: None, failures: 0, closed: None }
    }

    /// Answers the next request of a job, and those that can be answered with it.
    async fn serve(&mut self, span: Span, progress: &mut Progress) {
        let unit = span.unit();
        if let Some((_, error)) = progress.silent.iter().find(|(silent, _)| *silent == unit) {
            progress.answers.push(Err(error.clone()));
            return;
        }
        let mut asked_before = false;
        loop {
            let connection = match self.connection(&progress.job.settings).await {
                Ok(connection) => connection,
                Err(error) => return progress.fail_rest(&error),
            };
            match connection.ask(span, progress.job.settings.request_timeout).await {
                Ok((connection, answer)) => {
                    self.connection = Some(connection);
                    progress.answers.push(answer.map_err(ReadError::Exception));
                    return;
                }
                Err(lost) if lost.ask_again && !asked_before => {
                    tracing::debug!(endpoint = %self.address, error = %lost.error, "reconnecting");
                    asked_before = true;
                }
                Err(lost) => {
                    tracing::debug!(endpoint = %self.address, %span, error = %lost.error, "connection dropped");
                    if matches!(lost.error, ReadError::Timeout(_) | ReadError::Connection(_)) {
                        progress.silent.push((unit, lost.error.clone()));
                    }
                    progress.answers.push(Err(lost.error));
                    return;
                }
            }
        }
    }

    /// Takes the connection, opening one if there is none and it is time for a try.
    async fn connection(&mut self, settings: &EndpointSettings) -> Result<Connection, ReadError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        if let Some((error, until)) = &self.closed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match Connection::open(&self.address, settings.connect_timeout).await {
            Ok(connection) => {
                tracing::debug!(endpoint = %self.address, "connected");
                self.failures = 0;
                self.closed = None;
                Ok(connection)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let backoff = settings.backoff(self.failures);
                tracing::debug!(endpoint = %self.address, %error, ?backoff, "cannot connect");
                let now = Instant::now();
                self.closed = Some((error.clone(), now.checked_add(backoff).unwrap_or(now)));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::{DeviceUrl, Table};

    #[tokio::test]
    async fn a_job_of_many_requests_tries_a_dead_endpoint_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: DeviceUrl = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let mut link = Link::new(url.endpoint().clone());
        let settings = EndpointSettings { first_backoff: std::time::Duration::ZERO, ..EndpointSettings::default() };
        let (answer, _answers) = oneshot::channel();
        let requests: Vec<_> = (1..=3).map(|unit| Span::new(unit, Table::Coils, 0, 1).unwrap()).collect();
        let mut progress = Progress::new(Job { requests, settings: Arc::new(settings), answer });
        while let Some(span) = progress.next() {
            link.serve(span, &mut progress).await;
        }
        assert_eq!((progress.answers.len(), link.failures), (3, 1));
        assert!(progress.answers.iter().all(|answer| matches!(answer, Err(ReadError::Connection(_)))));
    }
}
