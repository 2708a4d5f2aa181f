//! The request queue of an endpoint: which request goes out next, and what its outcome means for
//! the others.
//!
//! Callers submit lists of requests. The next request is one of the caller that has used the
//! endpoint for the shortest time; several lists of one caller take turns. So no caller waits for
//! the long list of another, nor for its many lists, nor for its devices that do not answer: a
//! caller whose requests take longer waits longer for its next turn. Usually there is one
//! connection; where the settings allow more, each has one request in progress. Nothing here waits
//! or does I/O: that is the job of the endpoint handle.
//!
//! # Errors
//!
//! - An exception is a reply like any other. After codes 5 and 6, by which a device says that it is
//!   busy, the request is delayed, and others are sent meanwhile.
//! - A wrong reply fails its own request, and the connection is closed.
//! - After a timeout, a lost connection, or an exception by which a gateway says that a unit does
//!   not answer, the rest of the caller's list *for this unit* is skipped: the caller decides whether
//!   it was an address or the unit that is silent (`plan/unit.rs`). Requests to other units, which
//!   may be alive behind the same gateway, are still sent.
//! - After several of these in a row, if it is the unit, its circuit breaker opens: requests to it
//!   fail at once, until a single request probes it again.
//! - If no connection can be opened, all requests of all callers fail at once, and continue to do
//!   so until the backoff of the endpoint is over. Then the next request tries again. If one
//!   connection is open and only a further one is refused, the open one serves all callers.
//! - If the device turns out to have closed the connection when the next request goes out (devices
//!   close idle connections), the connection is opened again and the request is sent again, once;
//!   no caller sees an error.
//!
//! A caller that no longer waits for its replies costs at most the request in progress.
use std::{collections::VecDeque, sync::Arc, time::Duration};

use pattoo_base::invariant::Invariant as _;
use tokio::time::Instant;

use super::{
    circuit_breaker::CircuitBreakers,
    connection_log::ConnectionLog,
    fairness::{Caller, UsageAccounts},
    job::{Job, JobProgress, PendingRequest},
};
use crate::{
    address::EndpointAddress,
    endpoint_settings::{ConnectionSettings, EndpointSettings},
    error::{NotSent, ReadError, RequestError},
    model::{ExceptionCode, Unit, Words},
    tolerance::Deviation,
    transport::{Connection, LineLock, LostConnection, Resend, after},
};

/// A place for one connection to the endpoint.
#[derive(Default)]
pub(super) struct ConnectionSlot {
    pub(super) connection: Option<Box<Connection>>,
    /// The earliest time of the next request.
    pub(super) ready_at: Option<Instant>,
    /// Whether the next connection has to discard late bytes that belong to this one.
    pub(super) discard_late: bool,
    /// Whether the last connection that was opened here delivered a reply, as far as is known: a
    /// device that refuses the next one may only need a moment.
    pub(super) has_replied: bool,
    pub(super) lock: Option<LineLock>,
}

/// The outcome of a request.
pub(super) enum Outcome {
    Reply(Result<Words, ExceptionCode>),
    Lost(LostConnection),
    /// With the reason for the operator.
    NoConnection {
        error: ReadError,
        why: String,
    },
}

/// A request that has ended.
pub(super) struct FinishedRequest {
    pub(super) request: ActiveRequest,
    pub(super) started: Instant,
    pub(super) outcome: Outcome,
}

/// A request that is to be sent now.
pub(super) struct ActiveRequest {
    job_id: u64,
    caller: Caller,
    /// When it left the queue, and the time that its caller was charged for it.
    dequeued: Instant,
    charged: Duration,
    pub(super) pending: PendingRequest,
    pub(super) slot: ConnectionSlot,
    pub(super) settings: Arc<EndpointSettings>,
    pub(super) connection_settings: ConnectionSettings,
}

/// What to do next.
pub(super) enum Next {
    Send(ActiveRequest),
    /// Wait until something happens, or until this time.
    Wait(Option<Instant>),
}

/// The requests of an endpoint, its connections that are not in use, and the state of its units.
pub(super) struct RequestQueue {
    address: Arc<EndpointAddress>,
    log: Arc<ConnectionLog>,
    /// The combined settings of all callers so far.
    settings: Option<ConnectionSettings>,
    jobs: VecDeque<JobProgress>,
    accounts: UsageAccounts,
    next_id: u64,
    /// Connections that are not in use.
    slots: Vec<ConnectionSlot>,
    /// The number of requests in progress.
    active: usize,
    breakers: CircuitBreakers,
    /// Attempts to connect that failed in a row.
    pub(super) failures: u32,
    /// The error of the last one, and until when there is no other attempt.
    backoff: Option<(ReadError, Instant)>,
    /// Until when late replies may arrive that have no numbers.
    late_until: Option<Instant>,
    /// Until when no further connection is tried while one is open.
    single_until: Option<Instant>,
    last_used: Instant,
}

impl RequestQueue {
    pub(super) fn new(address: Arc<EndpointAddress>, log: Arc<ConnectionLog>) -> Self {
        Self {
            address,
            log,
            settings: None,
            jobs: VecDeque::new(),
            accounts: UsageAccounts::default(),
            next_id: 0,
            slots: Vec::new(),
            active: 0,
            breakers: CircuitBreakers::default(),
            failures: 0,
            backoff: None,
            late_until: None,
            single_until: None,
            last_used: Instant::now(),
        }
    }

    /// When idle connections are due to be closed.
    pub(super) fn idle_due(&self) -> Instant {
        let idle_close = self.settings.map_or(EndpointSettings::default().idle_close, |settings| settings.idle_close);
        after(self.last_used, idle_close)
    }

    /// Adds a job, and returns its ID.
    pub(super) fn push(&mut self, job: Job) -> u64 {
        let settings = ConnectionSettings::of(&job.settings);
        self.settings = Some(self.settings.map_or(settings, |known| known.combined_with(settings)));
        self.next_id = self.next_id.wrapping_add(1);
        let idle = if self.is_idle() { self.last_used.elapsed() } else { Duration::ZERO };
        self.accounts.enter(job.caller, idle);
        self.jobs.extend(JobProgress::new(self.next_id, job).finish());
        self.next_id
    }

    /// Ends a job at the deadline of its caller. Its request in progress is completed.
    pub(super) fn cut(&mut self, id: u64) {
        let index = self.jobs.iter().position(|job| job.id == id);
        if let Some(job) = index.and_then(|index| self.jobs.remove(index)) {
            job.cut();
        }
    }

    /// Whether there are no jobs and no requests in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.active == 0
    }

    /// Whether this is the only job, and one open connection is enough for it.
    pub(super) fn is_only_job(&self, id: u64) -> bool {
        let is_open = self.slots.last().is_some_and(|slot| slot.connection.is_some());
        let is_only = self.jobs.len() == 1 && self.active == 0 && is_open;
        let several = self.settings.is_some_and(|settings| settings.connections > 1);
        is_only && self.jobs.front().is_some_and(|job| job.id == id && (!several || job.pending.len() <= 1))
    }

    /// The maximum number of connections at this time.
    fn allowed(&self, now: Instant) -> usize {
        let is_serial = matches!(*self.address, EndpointAddress::Serial(_));
        if is_serial || self.single_until.is_some_and(|until| now < until) {
            1
        } else {
            self.settings.map_or(1, |settings| usize::from(settings.connections))
        }
    }

    /// The unit has answered nothing of a read, for which this number of requests was sent.
    pub(super) fn unit_is_silent(&mut self, unit: Unit, requests: u32, settings: &EndpointSettings) {
        self.breakers.failed(unit, requests, settings, Instant::now());
    }

    /// The request to send next, if one can be sent.
    pub(super) fn next(&mut self) -> Next {
        if self.jobs.is_empty() {
            return Next::Wait(None);
        }
        let now = Instant::now();
        if let Some((error, until)) = &self.backoff
            && now < *until
        {
            for mut job in std::mem::take(&mut self.jobs) {
                job.fail(|_| Some(error.clone().into()));
                self.jobs.extend(job.finish());
            }
            return Next::Wait(None);
        }
        if self.active >= self.allowed(now) {
            return Next::Wait(None);
        }
        let mut wake: Option<Instant> = None;
        if self.jobs.len() > 1 {
            let accounts = &self.accounts;
            // Stable: jobs of one caller keep their order.
            self.jobs.make_contiguous().sort_by_key(|job| accounts.used(job.job.caller));
        }
        for _ in 0..self.jobs.len() {
            let Some(mut job) = self.jobs.pop_front() else { break };
            if job.job.reply.is_closed() {
                continue;
            }
            let breakers = &self.breakers;
            if breakers.any() {
                let unit_silent = || ReadError::NotSent(NotSent::UnitSilent).into();
                job.fail(|pending| breakers.is_open(pending.span.unit(), now).then(unit_silent));
            }
            let Some(mut job) = job.finish() else { continue };
            // Without its unit, nothing tells the late reply of another unit from that of this one.
            let late_until = self.late_until.filter(|_| job.job.settings.tolerance.contains(Deviation::WrongUnit));
            let mut chosen = None;
            for (index, pending) in job.pending.iter().enumerate() {
                let free_at = pending.not_before.max(breakers.held_until(pending.span.unit())).max(late_until);
                match free_at.filter(|free_at| now < *free_at) {
                    Some(free_at) => wake = Some(wake.map_or(free_at, |wake| wake.min(free_at))),
                    None if breakers.is_probing(pending.span.unit()) => {}
                    None => {
                        chosen = Some(index);
                        break;
                    }
                }
            }
            let chosen = chosen.and_then(|index| job.pending.remove(index));
            let (job_id, caller, settings) = (job.id, job.job.caller, Arc::clone(&job.job.settings));
            self.jobs.push_back(job);
            if let Some(pending) = chosen {
                self.breakers.request_sent(pending.span.unit());
                self.active = self.active.saturating_add(1);
                let slot = self.slots.pop().unwrap_or_default();
                let connection_settings = self.settings.unwrap_or_else(|| ConnectionSettings::of(&settings));
                let charged = self.accounts.begin(caller);
                let dequeued = now;
                return Next::Send(ActiveRequest {
                    job_id,
                    caller,
                    dequeued,
                    charged,
                    pending,
                    slot,
                    settings,
                    connection_settings,
                });
            }
        }
        Next::Wait(wake)
    }

    /// Processes the outcome of a request: it has a reply now, or is sent once more. A job with all
    /// replies ends.
    pub(super) fn settle(&mut self, finished: FinishedRequest) {
        let FinishedRequest { request, started, outcome } = finished;
        let ActiveRequest { job_id, caller, dequeued, charged, mut pending, mut slot, settings, .. } = request;
        self.active = self.active.checked_sub(1).or_broken("a request that ended was in progress", 0);
        let now = Instant::now();
        self.accounts.end(caller, charged, now.saturating_duration_since(dequeued));
        self.last_used = now;
        let unit = pending.span.unit();
        let index = self.jobs.iter().position(|job| job.id == job_id);
        let mut job = index.and_then(|index| self.jobs.get_mut(index));
        let is_probe = self.breakers.is_probing(unit);
        // Without a reply the request is sent once more.
        let mut reply = None;
        let mut has_answered = false;
        match outcome {
            Outcome::Reply(Ok(words)) => {
                has_answered = true;
                reply = Some(Ok(words));
            }
            Outcome::Reply(Err(code)) => {
                let is_silent = code.says_unit_is_silent();
                has_answered = !is_silent;
                if pending.retries.after_exception(code, &settings) {
                    pending.not_before = Some(after(now, settings.busy_delay));
                } else if is_silent {
                    reply = Some(Err(RequestError::NoReply(ReadError::Exception(code))));
                } else {
                    reply = Some(Err(ReadError::Exception(code).into()));
                }
            }
            Outcome::Lost(LostConnection { error, resend }) => {
                let is_unnumbered = self.address.is_line() || settings.tolerance.contains(Deviation::WrongTransaction);
                if is_unnumbered && resend != Resend::NotSent {
                    // Nothing in a frame tells a late reply from the next one: wait until it can no
                    // longer arrive.
                    let late = if matches!(error, ReadError::Timeout(_)) { 2 } else { 1 };
                    let until = after(started, settings.request_timeout.saturating_mul(late));
                    self.breakers.hold(unit, until);
                    self.late_until = self.late_until.max(Some(until));
                    slot.discard_late = true;
                }
                if pending.retries.after_foreign_fault(resend) {
                    tracing::debug!(endpoint = %self.address, %error, "sending the request again");
                } else if pending.retries.after_fault(&settings, is_probe) {
                    tracing::debug!(endpoint = %self.address, span = %pending.span, %error, "retrying");
                } else {
                    tracing::debug!(endpoint = %self.address, span = %pending.span, %error, "connection closed");
                    reply = Some(Err(match error {
                        ReadError::Timeout(_) | ReadError::Connection(_) => RequestError::NoReply(error),
                        _ => error.into(),
                    }));
                }
            }
            Outcome::NoConnection { error, why } => {
                let has_other = self.active > 0 || self.slots.iter().any(|slot| slot.connection.is_some());
                self.failures = self.failures.saturating_add(1);
                let backoff = settings.backoff(self.failures);
                if has_other {
                    // The device has fewer connections than are configured, which is no fault.
                    tracing::debug!(endpoint = %self.address, ?backoff, "no further connection: {why}");
                    self.single_until = Some(after(now, backoff.max(Duration::from_secs(1))));
                } else {
                    self.log.failed(&self.address, &why);
                    self.backoff = Some((error.clone(), after(now, backoff)));
                    if let Some(job) = &mut job {
                        job.fail(|_| Some(error.clone().into()));
                    }
                    reply = Some(Err(error.into()));
                }
            }
        }
        if has_answered {
            self.log.works(&self.address);
            self.breakers.replied(unit);
        }
        if matches!(reply, Some(Err(RequestError::NoReply(_)))) {
            // Otherwise the caller finds out whether it is the unit.
            if is_probe || job.is_none() {
                self.breakers.failed(unit, 1, &settings, now);
            }
            if let Some(job) = &mut job {
                job.fail(|pending| (pending.span.unit() == unit).then_some(RequestError::Skipped));
            }
        }
        self.breakers.request_ended(unit);
        if slot.connection.is_some() {
            self.failures = 0;
            self.backoff = None;
        }
        self.slots.push(slot);
        match (job, reply) {
            (Some(job), Some(reply)) => job.set_reply(&pending, reply),
            (Some(job), None) => job.pending.push_front(pending),
            (None, _) => {}
        }
        if let Some(job) = index.and_then(|index| self.jobs.remove(index))
            && let (Some(job), Some(index)) = (job.finish(), index)
        {
            self.jobs.insert(index, job);
        }
    }
}
