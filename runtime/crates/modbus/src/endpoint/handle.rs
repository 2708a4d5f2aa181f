//! The handle of an endpoint in use: it sends what the request queue returns.
//!
//! There is one handle for each endpoint in use. Callers submit their jobs to it and get the
//! replies from it. Usually one caller at a time needs an endpoint, and a connection is open: then
//! this caller itself sends its requests, one after the other, without waking a task. In all other
//! cases the task of the endpoint sends them: when several callers take turns, when a connection
//! has to be opened, when something has to be waited for, or when several connections are used at
//! once. The task also ends itself and the connections after an idle time.
//!
//! Both follow the same queue, and no connection is used by both: a request in progress owns its
//! connection.
//!
//! A caller that no longer waits for its replies costs at most the request in progress: the task
//! completes it, so that the connection stays usable.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use pattoo_base::lock::lock;
use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    connection_log::ConnectionLog,
    job::Job,
    request_queue::{ActiveRequest, FinishedRequest, Next, Outcome, RequestQueue},
};
use crate::{
    address::EndpointAddress,
    endpoint_settings::EndpointSettings,
    error::ReadError,
    model::Unit,
    transport::{Attempts, Connection, DeniedAddresses, Opening, after},
};

/// A request in progress. Either the caller or the task can complete it.
type RequestFuture = Pin<Box<dyn Future<Output = FinishedRequest> + Send>>;

/// The state that an endpoint's callers and its task share, from the first job to the end of the
/// task.
pub(super) struct EndpointHandle {
    address: Arc<EndpointAddress>,
    /// The addresses to which no connection is opened.
    denied: Arc<Mutex<Option<DeniedAddresses>>>,
    log: Arc<ConnectionLog>,
    /// The tokio runtime of the task, on which the connections depend.
    runtime: Id,
    state: Mutex<State>,
    /// Wakes the task.
    wake: Notify,
}

struct State {
    queue: RequestQueue,
    /// Requests in progress whose callers no longer wait.
    abandoned: Vec<RequestFuture>,
    /// When the task checks for idle connections. Without it the task has to be woken.
    checks_idle_at: Option<Instant>,
    /// Whether no caller holds the endpoint any more.
    is_closing: bool,
    /// Whether the task and its connections have ended.
    has_ended: bool,
}

impl EndpointHandle {
    /// A handle without a task: [`EndpointHandle::run`] is the task.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(
        address: EndpointAddress,
        denied: Arc<Mutex<Option<DeniedAddresses>>>,
        log: Arc<ConnectionLog>,
    ) -> Self {
        let address = Arc::new(address);
        let state = State {
            queue: RequestQueue::new(Arc::clone(&address), Arc::clone(&log)),
            abandoned: Vec::new(),
            checks_idle_at: None,
            is_closing: false,
            has_ended: false,
        };
        Self { address, denied, log, runtime: Handle::current().id(), state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes a job and returns its ID. Nothing is sent before [`EndpointHandle::drive`].
    ///
    /// # Errors
    /// The job, if the handle has ended.
    pub(super) fn submit(&self, job: Job) -> Result<u64, Job> {
        let mut state = self.state();
        if state.has_ended { Err(job) } else { Ok(state.queue.push(job)) }
    }

    /// Has the job done: its requests are sent here as long as it is the only job, otherwise by the
    /// task.
    ///
    /// The future may be dropped at any time.
    pub(super) async fn drive(&self, id: u64) {
        while let Some(request) = self.begin_if_only_job(id) {
            let finished = CallerRequest { handle: self, request: Some(request) }.await;
            self.state().queue.settle(finished);
        }
    }

    /// Ends a job at the deadline of its caller, who gets the replies that have arrived.
    pub(super) fn cut(&self, id: u64) {
        self.state().queue.cut(id);
    }

    /// The unit has answered nothing of a read, for which this number of requests was sent.
    pub(super) fn unit_is_silent(&self, unit: Unit, requests: u32, settings: &EndpointSettings) {
        self.state().queue.unit_is_silent(unit, requests, settings);
    }

    /// The next request of the job, if its caller sends it; otherwise wakes the task if that has
    /// something to do.
    fn begin_if_only_job(&self, id: u64) -> Option<RequestFuture> {
        let mut state = self.state();
        let is_in_runtime = || Handle::try_current().is_ok_and(|current| current.id() == self.runtime);
        if state.queue.is_only_job(id)
            && is_in_runtime()
            && let Next::Send(request) = state.queue.next()
        {
            return Some(self.begin(request));
        }
        let checks_too_late = |at| state.queue.idle_due() < at;
        if !state.queue.is_idle() || state.checks_idle_at.is_none_or(checks_too_late) {
            self.wake.notify_one();
        }
        None
    }

    fn begin(&self, request: ActiveRequest) -> RequestFuture {
        Box::pin(send(Arc::clone(&self.address), Arc::clone(&self.denied), request))
    }

    /// Ends the task as soon as no request is in progress: no caller can submit another job.
    pub(super) fn close(&self) {
        self.state().is_closing = true;
        self.wake.notify_one();
    }

    /// Ends the handle if there is nothing to do. Returns whether it has ended.
    pub(super) fn end_if_idle(&self) -> bool {
        let mut state = self.state();
        state.has_ended |= state.queue.is_idle();
        state.has_ended
    }

    /// The task of the endpoint. It runs until no caller holds the endpoint, or until `end`, called
    /// after an idle time, returns that the handle has ended.
    pub(super) async fn run(&self, end: impl Fn() -> bool) {
        let _end = TaskEnd(self);
        let mut requests = FuturesUnordered::new();
        let mut idle = std::pin::pin!(sleep_until(Instant::now()));
        loop {
            let (wake, checks_idle) = {
                let mut state = self.state();
                requests.extend(state.abandoned.drain(..));
                let wake = loop {
                    match state.queue.next() {
                        Next::Send(request) => requests.push(self.begin(request)),
                        Next::Wait(wake) => break wake,
                    }
                };
                if state.queue.is_idle() {
                    if state.is_closing {
                        return;
                    }
                    // The timer is moved only when it would fire too late: most idle times end long
                    // before.
                    let due = state.queue.idle_due();
                    if state.checks_idle_at.is_none_or(|at| due < at) {
                        idle.as_mut().reset(due);
                        state.checks_idle_at = Some(due);
                    }
                }
                (wake, state.checks_idle_at.is_some())
            };
            tokio::select! {
                biased;
                Some(finished) = requests.next(), if !requests.is_empty() => self.state().queue.settle(finished),
                () = self.wake.notified() => {}
                () = async { sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {}
                () = &mut idle, if checks_idle => {
                    let is_due = {
                        let mut state = self.state();
                        state.checks_idle_at = None;
                        state.queue.is_idle() && state.queue.idle_due() <= Instant::now()
                    };
                    if is_due && end() {
                        return;
                    }
                }
            }
        }
    }
}

/// Ends the handle however its task ends, also with its runtime or by a panic: nothing of it is
/// used any more, and callers that still wait get an error.
struct TaskEnd<'a>(&'a EndpointHandle);

impl Drop for TaskEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_ended = true;
        let empty = RequestQueue::new(Arc::clone(&self.0.address), Arc::clone(&self.0.log));
        let queue = std::mem::replace(&mut state.queue, empty);
        let abandoned = std::mem::take(&mut state.abandoned);
        drop(state);
        drop((queue, abandoned));
    }
}

/// A request that its caller sends. If it is dropped before its end, the task completes it.
struct CallerRequest<'a> {
    handle: &'a EndpointHandle,
    request: Option<RequestFuture>,
}

impl Future for CallerRequest<'_> {
    type Output = FinishedRequest;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<FinishedRequest> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        let finished = request.as_mut().poll(context);
        if finished.is_ready() {
            self.request = None;
        }
        finished
    }
}

impl Drop for CallerRequest<'_> {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else { return };
        let mut state = self.handle.state();
        if !state.has_ended {
            state.abandoned.push(request);
            self.handle.wake.notify_one();
        }
    }
}

/// Sends one request over the connection of its slot, or over a new one if the slot has none.
async fn send(
    address: Arc<EndpointAddress>,
    denied: Arc<Mutex<Option<DeniedAddresses>>>,
    mut request: ActiveRequest,
) -> FinishedRequest {
    let ActiveRequest { pending, slot, settings, connection_settings, .. } = &mut request;
    if let Some(ready_at) = slot.ready_at {
        sleep_until(ready_at).await;
    }
    let attempts = Attempts::default();
    let connection = if let Some(connection) = slot.connection.take() {
        Ok(connection)
    } else {
        let opening = Opening {
            address: &address,
            timeout: settings.connect_timeout,
            pause: connection_settings.pause_after_connect,
            discard_late: slot.discard_late,
            retries_refused: slot.has_replied && settings.retries > 0,
            denied: lock(&denied).clone(),
            tls: &settings.tls,
            attempts: &attempts,
        };
        let opened = Connection::open(&opening, &mut slot.lock).await;
        slot.has_replied = false;
        opened
    };
    let started = Instant::now();
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => {
            let why = attempts.describe(&error);
            return FinishedRequest { request, started, outcome: Outcome::NoConnection { error, why } };
        }
    };
    slot.discard_late = false;
    let outcome = match connection.read(pending.span, settings.request_timeout, settings.tolerance).await {
        Ok((connection, reply)) => {
            slot.connection = Some(connection);
            slot.has_replied = true;
            Outcome::Reply(reply)
        }
        Err(lost) => {
            if matches!(lost.error, ReadError::Connection(_)) {
                slot.lock = None;
            }
            Outcome::Lost(lost)
        }
    };
    let silence = match &*address {
        EndpointAddress::Serial(line) => line.silence(),
        _ => Duration::ZERO,
    };
    let gap = connection_settings.min_gap.max(silence);
    slot.ready_at = (!gap.is_zero()).then(|| after(Instant::now(), gap));
    FinishedRequest { request, started, outcome }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Caller, DeviceUrl, Span, Table, error::RequestError};

    #[tokio::test]
    async fn job_of_many_requests_tries_a_dead_endpoint_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: DeviceUrl = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let handle = EndpointHandle::new(url.endpoint().clone(), Arc::default(), Arc::default());
        let settings = EndpointSettings { first_backoff: Duration::ZERO, ..EndpointSettings::default() };
        let (reply, replies) = oneshot::channel();
        let requests: Vec<_> = (1..=3).map(|unit| Span::new(unit, Table::Coils, 0, 1).unwrap()).collect();
        let job = Job { requests, settings: Arc::new(settings), caller: Caller::new(), reply };
        assert!(handle.submit(job).is_ok());
        let failures = async {
            let replies: Vec<_> = replies.await.unwrap();
            assert!(
                replies.len() == 3
                    && replies.iter().all(|reply| matches!(reply, Err(RequestError::Failed(ReadError::Connection(_)))))
            );
            let failures = handle.state().queue.failures;
            handle.close();
            failures
        };
        assert_eq!(tokio::join!(failures, handle.run(|| true)).0, 1);
    }
}
