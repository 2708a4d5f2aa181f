//! The owner of an endpoint's connections.
//!
//! One task for each endpoint in use. Callers hand it lists of requests; it takes the first of one caller, then the first
//! of the next, and so on in turn, so that nobody waits for another's long list. It connects when there is something to
//! ask, and ends, with its connections, when nobody asked for a while. As a rule there is one connection; where the
//! settings allow more, each has one request under way.
//!
//! # When things go wrong
//!
//! - An exception is an answer like any other; but after 5 and 6, by which a device says that it is busy, the request is
//!   put back for a while, and others go on.
//! - A reply that is wrong costs its own request, and the connection.
//! - A reply that does not come, a connection that breaks, or exception 11, by which a gateway says that a unit is
//!   silent, fails the rest of what this caller asks of *that unit*: a dead unit costs a caller one timeout, not one for
//!   each request. Other units, which may be alive behind the same gateway, are still asked.
//! - A unit that is silent several times in a row is set aside: what is asked of it fails at once, until after a while a
//!   single request tries it (the module `units`).
//! - When there is no connection to be had, all that callers ask fails at once, and goes on failing at once until the
//!   endpoint's backoff has passed. Then the next caller's request tries again. Where one connection stands and only a
//!   further one is refused, the one serves all.
//! - A connection that turns out to be closed when the next request goes out (devices close what is idle) is opened anew
//!   and asked again once; nobody notices.
//!
//! A caller that no longer waits for its answer costs at most the request that is just under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::address::EndpointAddress;
use super::connection::{Again, Connection, LineLock, Lost};
use super::error::ReadError;
use super::settings::{EndpointSettings, Terms};
use super::span::{Span, Words};
use super::table::ExceptionCode;
use super::units::Units;

/// What an owner is asked to do: these requests.
pub(super) struct Job {
    /// Each one that a single request can ask for.
    pub(super) requests: Vec<Span>,
    pub(super) settings: Arc<EndpointSettings>,
    /// Takes one answer for each request, in order.
    pub(super) answer: oneshot::Sender<Vec<Result<Words, ReadError>>>,
}

/// A request that is still to be answered.
#[derive(Debug, Clone, Copy)]
struct Todo {
    /// Its place in the job.
    index: usize,
    span: Span,
    retries: u32,
    busy: u32,
    /// Whether it was asked again for nothing that it is to blame for.
    asked_again: bool,
    not_before: Option<Instant>,
}

/// A job and how far it has come.
struct Progress {
    id: u64,
    job: Job,
    answers: Vec<Option<Result<Words, ReadError>>>,
    todo: VecDeque<Todo>,
}

impl Progress {
    fn new(id: u64, job: Job) -> Self {
        let todo = job.requests.iter().enumerate().map(|(index, span)| Todo {
            index,
            span: *span,
            retries: 0,
            busy: 0,
            asked_again: false,
            not_before: None,
        });
        Self { id, todo: todo.collect(), answers: vec![None; job.requests.len()], job }
    }

    fn answer(&mut self, todo: &Todo, answer: Result<Words, ReadError>) {
        if let Some(slot) = self.answers.get_mut(todo.index) {
            *slot = Some(answer);
        }
    }

    /// Answers what is still to be asked and of which `which` has an error.
    fn fail(&mut self, which: impl Fn(&Todo) -> Option<ReadError>) {
        let Self { todo, answers, .. } = self;
        todo.retain(|todo| match (which(todo), answers.get_mut(todo.index)) {
            (Some(error), Some(slot)) => {
                *slot = Some(Err(error));
                false
            }
            _ => true,
        });
    }

    /// Hands all answers over, if they are all there.
    fn finish(self) -> Option<Self> {
        if !self.todo.is_empty() || self.answers.iter().any(Option::is_none) {
            return Some(self);
        }
        // Whoever no longer listens has no use for the answers.
        let _ = self.job.answer.send(self.answers.into_iter().flatten().collect());
        None
    }
}

/// A way to the endpoint, on which there is or can be a connection.
struct Link {
    connection: Option<Connection>,
    /// When the next request may go out.
    ready_at: Option<Instant>,
    /// Whether the next connection has to hear out what belongs to this one.
    heed: bool,
    lock: Option<LineLock>,
}

/// What a request came to.
enum Outcome {
    Answer(Result<Words, ExceptionCode>),
    Lost(Lost),
    NoConnection(ReadError),
}

/// A request that has come to something.
struct Asked {
    id: u64,
    todo: Todo,
    link: Link,
    started: Instant,
    outcome: Outcome,
}

/// What the owner does next.
enum Next {
    Ask {
        id: u64,
        todo: Todo,
        link: Link,
        settings: Arc<EndpointSettings>,
    },
    /// Nothing, before something comes in or that moment has come.
    Wait(Option<Instant>),
}

/// All that is known of an endpoint while it is in use.
pub(super) struct Owner {
    address: Arc<EndpointAddress>,
    terms: Option<Terms>,
    jobs: VecDeque<Progress>,
    next_id: u64,
    /// Links that are not in use.
    links: Vec<Link>,
    /// How many are.
    out: usize,
    units: Units,
    /// Attempts to connect that failed in a row.
    failures: u32,
    /// Why the last one failed, and until when there is no other.
    closed: Option<(ReadError, Instant)>,
    /// Until when no further connection is tried beside those that stand.
    crowded: Option<Instant>,
    last_used: Instant,
}

impl Owner {
    pub(super) fn new(address: EndpointAddress) -> Self {
        Self {
            address: Arc::new(address),
            terms: None,
            jobs: VecDeque::new(),
            next_id: 0,
            links: Vec::new(),
            out: 0,
            units: Units::default(),
            failures: 0,
            closed: None,
            crowded: None,
            last_used: Instant::now(),
        }
    }

    /// Serves `jobs` until there can be no more, or until `may_end` allows it to end after an idle while.
    pub(super) async fn run(
        &mut self,
        mut jobs: mpsc::UnboundedReceiver<Job>,
        may_end: impl Fn(&mut mpsc::UnboundedReceiver<Job>) -> bool,
    ) {
        let mut asking = FuturesUnordered::new();
        let mut idle = std::pin::pin!(sleep_until(self.idle_due()));
        let mut open = true;
        loop {
            while let Ok(job) = jobs.try_recv() {
                self.accept(job);
            }
            let wake = loop {
                match self.next() {
                    Next::Ask { id, todo, link, settings } => {
                        self.out = self.out.saturating_add(1);
                        asking.push(ask(Arc::clone(&self.address), self.terms, id, todo, link, settings));
                    }
                    Next::Wait(wake) => break wake,
                }
            };
            let quiet = self.jobs.is_empty() && asking.is_empty();
            if quiet && !open {
                return;
            }
            // The timer is moved only when it would be late: most idle whiles end long before.
            if quiet && self.idle_due() < idle.deadline() {
                idle.as_mut().reset(self.idle_due());
            }
            tokio::select! {
                biased;
                Some(asked) = asking.next(), if !asking.is_empty() => {
                    self.out = self.out.saturating_sub(1);
                    self.settle(asked);
                }
                job = jobs.recv(), if open => match job {
                    Some(job) => self.accept(job),
                    None => open = false,
                },
                () = sleep_until(wake.unwrap_or(self.last_used)), if wake.is_some() => {}
                () = &mut idle, if quiet => {
                    let now = Instant::now();
                    if self.idle_due() <= now && may_end(&mut jobs) {
                        return;
                    }
                    idle.as_mut().reset(self.idle_due().max(now));
                }
            }
        }
    }

    fn idle_due(&self) -> Instant {
        let idle_close = self.terms.map_or(EndpointSettings::default().idle_close, |terms| terms.idle_close);
        after(self.last_used, idle_close)
    }

    fn accept(&mut self, job: Job) {
        let terms = Terms::of(&job.settings);
        self.terms = Some(self.terms.map_or(terms, |known| known.gentlest(terms)));
        self.next_id = self.next_id.wrapping_add(1);
        self.jobs.extend(Progress::new(self.next_id, job).finish());
    }

    /// How many connections there may be now.
    fn allowed(&self, now: Instant) -> usize {
        let one = matches!(*self.address, EndpointAddress::Serial(_)) || self.crowded.is_some_and(|until| now < until);
        if one { 1 } else { self.terms.map_or(1, |terms| usize::from(terms.connections)) }
    }

    fn next(&mut self) -> Next {
        if self.jobs.is_empty() {
            return Next::Wait(None);
        }
        let now = Instant::now();
        if let Some((error, until)) = &self.closed
            && now < *until
        {
            for mut progress in std::mem::take(&mut self.jobs) {
                progress.fail(|_| Some(error.clone()));
                self.jobs.extend(progress.finish());
            }
            return Next::Wait(None);
        }
        if self.out >= self.allowed(now) {
            return Next::Wait(None);
        }
        let mut wake: Option<Instant> = None;
        for _ in 0..self.jobs.len() {
            let Some(mut progress) = self.jobs.pop_front() else { break };
            if progress.job.answer.is_closed() {
                continue;
            }
            let units = &self.units;
            if units.any() {
                progress.fail(|todo| units.set_aside(todo.span.unit(), now));
            }
            let Some(mut progress) = progress.finish() else { continue };
            let mut chosen = None;
            for (place, todo) in progress.todo.iter().enumerate() {
                let free_at = todo.not_before.max(units.not_before(todo.span.unit()));
                match free_at.filter(|free_at| now < *free_at) {
                    Some(free_at) => wake = Some(wake.map_or(free_at, |wake| wake.min(free_at))),
                    None if units.is_probing(todo.span.unit()) => {}
                    None => {
                        chosen = Some(place);
                        break;
                    }
                }
            }
            let chosen = chosen.and_then(|place| progress.todo.remove(place));
            let (id, settings) = (progress.id, Arc::clone(&progress.job.settings));
            self.jobs.push_back(progress);
            if let Some(todo) = chosen {
                self.units.asked(todo.span.unit());
                let link =
                    self.links.pop().unwrap_or(Link { connection: None, ready_at: None, heed: false, lock: None });
                return Next::Ask { id, todo, link, settings };
            }
        }
        Next::Wait(wake)
    }

    fn settle(&mut self, asked: Asked) {
        let Asked { id, mut todo, mut link, started, outcome } = asked;
        let now = Instant::now();
        self.last_used = now;
        let unit = todo.span.unit();
        let place = self.jobs.iter().position(|progress| progress.id == id);
        let mut progress = place.and_then(|place| self.jobs.get_mut(place));
        let settings = progress.as_ref().map(|progress| Arc::clone(&progress.job.settings)).unwrap_or_default();
        let is_probe = self.units.is_probing(unit);
        // What comes of it: an answer, or the request once more.
        let mut answer = None;
        let mut silent = None;
        match outcome {
            Outcome::Answer(Ok(words)) => {
                self.units.answered(unit);
                answer = Some(Ok(words));
            }
            Outcome::Answer(Err(code)) => {
                let busy = code == ExceptionCode::ACKNOWLEDGE || code == ExceptionCode::SERVER_DEVICE_BUSY;
                if code == ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND {
                    silent = Some(ReadError::Exception(code));
                } else {
                    self.units.answered(unit);
                }
                if busy && todo.busy < settings.busy_retries {
                    todo.busy = todo.busy.saturating_add(1);
                    todo.not_before = Some(after(now, settings.busy_delay));
                } else {
                    answer = Some(Err(ReadError::Exception(code)));
                }
            }
            Outcome::Lost(Lost { error, again }) => {
                if self.address.is_rtu() && again != Again::NotSent {
                    // On a line nothing tells a late reply from the next one: it has to have come, or never to come.
                    let late = if matches!(error, ReadError::Timeout(_)) { 2 } else { 1 };
                    self.units.hold(unit, after(started, settings.request_timeout.saturating_mul(late)));
                    link.heed = true;
                }
                if again != Again::No && !todo.asked_again {
                    tracing::debug!(endpoint = %self.address, %error, "asking again");
                    todo.asked_again = true;
                } else if todo.retries < settings.retries && !is_probe {
                    tracing::debug!(endpoint = %self.address, span = %todo.span, %error, "trying again");
                    todo.retries = todo.retries.saturating_add(1);
                } else {
                    tracing::debug!(endpoint = %self.address, span = %todo.span, %error, "connection dropped");
                    if matches!(error, ReadError::Timeout(_) | ReadError::Connection(_)) {
                        silent = Some(error.clone());
                    }
                    answer = Some(Err(error));
                }
            }
            Outcome::NoConnection(error) => {
                let stands = self.out > 0 || self.links.iter().any(|link| link.connection.is_some());
                self.failures = self.failures.saturating_add(1);
                let backoff = settings.backoff(self.failures);
                tracing::debug!(endpoint = %self.address, %error, ?backoff, stands, "cannot connect");
                if stands {
                    self.crowded = Some(after(now, backoff.max(Duration::from_secs(1))));
                } else {
                    self.closed = Some((error.clone(), after(now, backoff)));
                    if let Some(progress) = &mut progress {
                        progress.fail(|_| Some(error.clone()));
                    }
                    answer = Some(Err(error));
                }
            }
        }
        if let Some(error) = silent {
            self.units.silent(unit, &error, &settings, now);
            if let Some(progress) = &mut progress {
                progress.fail(|todo| (todo.span.unit() == unit).then(|| error.clone()));
            }
        }
        // Whatever came of a probe, the next request is one again, or none is needed.
        self.units.settled(unit);
        if link.connection.is_some() {
            self.failures = 0;
            self.closed = None;
        }
        self.links.push(link);
        match (progress, answer) {
            (Some(progress), Some(answer)) => progress.answer(&todo, answer),
            (Some(progress), None) => progress.todo.push_front(todo),
            (None, _) => {}
        }
        if let Some(progress) = place.and_then(|place| self.jobs.remove(place))
            && let (Some(progress), Some(place)) = (progress.finish(), place)
        {
            self.jobs.insert(place, progress);
        }
    }
}

/// Asks one request over a link, with a connection of its own if the link has none.
async fn ask(
    address: Arc<EndpointAddress>,
    terms: Option<Terms>,
    id: u64,
    todo: Todo,
    mut link: Link,
    settings: Arc<EndpointSettings>,
) -> Asked {
    if let Some(ready_at) = link.ready_at {
        sleep_until(ready_at).await;
    }
    let connection = if let Some(connection) = link.connection.take() {
        Ok(connection)
    } else {
        let opened = Connection::open(&address, settings.connect_timeout, link.heed, &mut link.lock).await;
        let pause = terms.map_or(Duration::ZERO, |terms| terms.pause_after_connect);
        if opened.is_ok() && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        opened
    };
    let started = Instant::now();
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return Asked { id, todo, link, started, outcome: Outcome::NoConnection(error) },
    };
    link.heed = false;
    let outcome = match connection.ask(todo.span, settings.request_timeout).await {
        Ok((connection, answer)) => {
            link.connection = Some(connection);
            Outcome::Answer(answer)
        }
        Err(lost) => {
            if matches!(lost.error, ReadError::Connection(_)) {
                link.lock = None;
            }
            Outcome::Lost(lost)
        }
    };
    let silence = match &*address {
        EndpointAddress::Serial(line) => line.silence(),
        _ => Duration::ZERO,
    };
    let gap = terms.map_or(silence, |terms| terms.min_gap.max(silence));
    link.ready_at = (!gap.is_zero()).then(|| after(Instant::now(), gap));
    Asked { id, todo, link, started, outcome }
}

/// That much later; the same moment for times that no clock shows.
fn after(moment: Instant, time: Duration) -> Instant {
    moment.checked_add(time).unwrap_or(moment)
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
        let mut owner = Owner::new(url.endpoint().clone());
        let settings = EndpointSettings { first_backoff: Duration::ZERO, ..EndpointSettings::default() };
        let (answer, answers) = oneshot::channel();
        let requests: Vec<_> = (1..=3).map(|unit| Span::new(unit, Table::Coils, 0, 1).unwrap()).collect();
        let (sender, jobs) = mpsc::unbounded_channel();
        let _ = sender.send(Job { requests, settings: Arc::new(settings), answer });
        drop(sender);
        owner.run(jobs, |_| true).await;
        let answers = answers.await.unwrap();
        assert_eq!((answers.len(), owner.failures), (3, 1));
        assert!(answers.iter().all(|answer| matches!(answer, Err(ReadError::Connection(_)))));
    }
}
