//! What is known of an endpoint while it is in use, and what that makes the next request.
//!
//! Callers hand in lists of requests, and what goes out next is of the caller that has used the endpoint for the shortest time; of
//! several lists of one caller, of each in turn. So nobody waits for another's long list, nor for its many lists, nor for
//! its devices that do not answer: whoever costs the endpoint a time limit waits that much longer for its next request. As a rule there is one connection; where the settings allow more,
//! each has one request under way. Nothing here waits or talks: the module `task` does.
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
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    address::EndpointAddress,
    alarm::after,
    connection::{Again, Connection, LineLock, Lost},
    error::ReadError,
    settings::{EndpointSettings, Terms},
    span::{Span, Words},
    table::ExceptionCode,
    units::Units,
};

/// Who shares an endpoint's time with others: as a rule a collector, whatever devices it reads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(u64);

impl Caller {
    /// Another one.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::new()
    }
}

/// How long each caller has used an endpoint, on a clock that is that of whoever was served last. A caller that comes back begins
/// there, unless it has used more already.
#[derive(Debug, Default)]
struct Accounts {
    now: Duration,
    used: HashMap<Caller, Account>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    used: Duration,
    /// What its last request took, which is what its next one is expected to take.
    last: Duration,
}

impl Accounts {
    /// A caller has something to ask. The endpoint was idle for so long before.
    fn enter(&mut self, caller: Caller, idle: Duration) {
        self.now = self.now.saturating_add(idle);
        let now = self.now;
        // Who has used no more than others is as good as new.
        self.used.retain(|known, account| *known == caller || account.used > now);
        let account = self.used.entry(caller).or_insert(Account { used: now, last: Duration::ZERO });
        account.used = account.used.max(now);
    }

    fn used(&self, caller: Caller) -> Duration {
        self.used.get(&caller).map_or(self.now, |account| account.used.max(self.now))
    }

    /// A request of this caller goes out; returns what it is expected to take, and is charged.
    fn begin(&mut self, caller: Caller) -> Duration {
        let now = self.now;
        let account = self.used.entry(caller).or_insert(Account { used: now, last: Duration::ZERO });
        account.used = account.used.max(now);
        self.now = account.used;
        account.used = account.used.saturating_add(account.last);
        account.last
    }

    /// It has taken so long, where it was expected to take `charged`.
    fn end(&mut self, caller: Caller, charged: Duration, took: Duration) {
        if let Some(account) = self.used.get_mut(&caller) {
            account.used = account.used.saturating_sub(charged).saturating_add(took);
            account.last = took;
        }
    }
}

/// What an owner is asked to do: these requests.
pub(super) struct Job {
    /// Each one that a single request can ask for.
    pub(super) requests: Vec<Span>,
    pub(super) settings: Arc<EndpointSettings>,
    /// For whom.
    pub(super) caller: Caller,
    /// Takes one answer for each request, in order.
    pub(super) answer: oneshot::Sender<Vec<Result<Words, ReadError>>>,
}

/// A request that is still to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Todo {
    /// Its place in the job.
    index: usize,
    pub(super) span: Span,
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
#[derive(Default)]
pub(super) struct Link {
    pub(super) connection: Option<Connection>,
    /// When the next request may go out.
    pub(super) ready_at: Option<Instant>,
    /// Whether the next connection has to hear out what belongs to this one.
    pub(super) heed: bool,
    pub(super) lock: Option<LineLock>,
}

/// What a request came to.
pub(super) enum Outcome {
    Answer(Result<Words, ExceptionCode>),
    Lost(Lost),
    NoConnection(ReadError),
}

/// A request that has come to something.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) started: Instant,
    pub(super) outcome: Outcome,
}

/// A request that goes out now.
pub(super) struct Question {
    /// Of the job that it belongs to.
    id: u64,
    caller: Caller,
    /// When it was given out, and what its caller was charged for it.
    given_out: Instant,
    charged: Duration,
    pub(super) todo: Todo,
    pub(super) link: Link,
    pub(super) settings: Arc<EndpointSettings>,
    /// What holds for the connection.
    pub(super) terms: Terms,
}

/// What there is to do next.
pub(super) enum Next {
    Ask(Question),
    /// Nothing, before something comes in or that moment has come.
    Wait(Option<Instant>),
}

/// All that is known of an endpoint while it is in use.
pub(super) struct Owner {
    address: Arc<EndpointAddress>,
    /// Of all who have asked.
    terms: Option<Terms>,
    jobs: VecDeque<Progress>,
    accounts: Accounts,
    next_id: u64,
    /// Links that are not in use.
    links: Vec<Link>,
    /// How many are.
    out: usize,
    units: Units,
    /// Attempts to connect that failed in a row.
    pub(super) failures: u32,
    /// Why the last one failed, and until when there is no other.
    closed: Option<(ReadError, Instant)>,
    /// Until when no further connection is tried beside those that stand.
    crowded: Option<Instant>,
    last_used: Instant,
}

impl Owner {
    pub(super) fn new(address: Arc<EndpointAddress>) -> Self {
        Self {
            address,
            terms: None,
            jobs: VecDeque::new(),
            accounts: Accounts::default(),
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

    /// When connections that nobody uses are to be closed.
    pub(super) fn idle_due(&self) -> Instant {
        let idle_close = self.terms.map_or(EndpointSettings::default().idle_close, |terms| terms.idle_close);
        after(self.last_used, idle_close)
    }

    /// Takes a job; says by what number it goes.
    pub(super) fn accept(&mut self, job: Job) -> u64 {
        let terms = Terms::of(&job.settings);
        self.terms = Some(self.terms.map_or(terms, |known| known.gentlest(terms)));
        self.next_id = self.next_id.wrapping_add(1);
        let idle = if self.is_quiet() { self.last_used.elapsed() } else { Duration::ZERO };
        self.accounts.enter(job.caller, idle);
        self.jobs.extend(Progress::new(self.next_id, job).finish());
        self.next_id
    }

    /// Whether there is nothing to do, and nothing under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.jobs.is_empty() && self.out == 0
    }

    /// Whether this job is all that there is to do, and can be done over one connection that stands.
    pub(super) fn is_alone(&self, id: u64) -> bool {
        let stands = self.links.last().is_some_and(|link| link.connection.is_some());
        let only = self.jobs.len() == 1 && self.out == 0 && stands;
        let several = self.terms.is_some_and(|terms| terms.connections > 1);
        only && self.jobs.front().is_some_and(|progress| progress.id == id && (!several || progress.todo.len() <= 1))
    }

    /// How many connections there may be now.
    fn allowed(&self, now: Instant) -> usize {
        let one = matches!(*self.address, EndpointAddress::Serial(_)) || self.crowded.is_some_and(|until| now < until);
        if one { 1 } else { self.terms.map_or(1, |terms| usize::from(terms.connections)) }
    }

    /// The request that goes out next, if one can.
    pub(super) fn next(&mut self) -> Next {
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
        if self.jobs.len() > 1 {
            let accounts = &self.accounts;
            // Those of one caller stay in their order.
            self.jobs.make_contiguous().sort_by_key(|progress| accounts.used(progress.job.caller));
        }
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
            let (id, caller, settings) = (progress.id, progress.job.caller, Arc::clone(&progress.job.settings));
            self.jobs.push_back(progress);
            if let Some(todo) = chosen {
                self.units.asked(todo.span.unit());
                self.out = self.out.saturating_add(1);
                let link = self.links.pop().unwrap_or_default();
                let terms = self.terms.unwrap_or_else(|| Terms::of(&settings));
                let charged = self.accounts.begin(caller);
                return Next::Ask(Question { id, caller, given_out: now, charged, todo, link, settings, terms });
            }
        }
        Next::Wait(wake)
    }

    /// Takes what a request has come to: its caller is answered when that was the last, or it is asked once more.
    pub(super) fn settle(&mut self, asked: Asked) {
        let Asked { question, started, outcome } = asked;
        let Question { id, caller, given_out, charged, mut todo, mut link, .. } = question;
        self.out = self.out.saturating_sub(1);
        let now = Instant::now();
        self.accounts.end(caller, charged, now.saturating_duration_since(given_out));
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
