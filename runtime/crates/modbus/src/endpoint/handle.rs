//! Who puts an endpoint's requests on the wire.
//!
//! What is to be asked next, the module `owner` knows. There is one for each endpoint in use, and a *desk* where
//! callers hand in their jobs and where the answers come from. Usually one caller at a time wants something of an endpoint, and
//! over a connection that stands already: then the caller itself asks, one request after the other, and nobody else is
//! woken for it. In all other cases the endpoint's task does: where several callers wait for their turn, where a
//! connection has to be opened, where something is to be waited for, or several connections are to be used at once. The
//! task also ends, with the connections, when nobody asked for a while.
//!
//! Both go by the same rules, and a connection is never in two hands: who asks over it has taken it out of the owner.
//!
//! A caller that no longer waits for its answer costs at most the request that is just under way: the task finishes it, so
//! that the connection can be used further.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    address::EndpointAddress,
    alarm::after,
    connection::{Connection, Refused},
    endpoint::lock,
    error::ReadError,
    owner::{Asked, Job, Next, Outcome, Owner, Question},
};

/// A request under way. It can be finished by whoever polls it.
type Asking = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// Where an endpoint's callers and its task meet, from the first job to the end of the task.
pub(super) struct Desk {
    address: Arc<EndpointAddress>,
    /// Where it does not connect to.
    refused: Arc<Mutex<Option<Refused>>>,
    /// The runtime of the task, by which connections live.
    runtime: Id,
    state: Mutex<State>,
    /// Calls the task.
    call: Notify,
}

struct State {
    owner: Owner,
    /// Requests under way whose callers have gone.
    left: Vec<Asking>,
    /// When the task looks after idle connections by itself; if it does not, it is to be called.
    looks_at: Option<Instant>,
    /// Nobody holds the endpoint any more.
    is_closing: bool,
    /// The task is no more, and its connections neither.
    has_ended: bool,
}

impl Desk {
    /// A desk without a task: [`Desk::run`] is that.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(address: EndpointAddress, refused: Arc<Mutex<Option<Refused>>>) -> Self {
        let address = Arc::new(address);
        let state = State {
            owner: Owner::new(Arc::clone(&address)),
            left: Vec::new(),
            looks_at: None,
            is_closing: false,
            has_ended: false,
        };
        Self { address, refused, runtime: Handle::current().id(), state: Mutex::new(state), call: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes a job and says by what number it goes. Nothing is asked before [`Desk::drive`]; a desk that has ended gives
    /// the job back.
    pub(super) fn accept(&self, job: Job) -> Result<u64, Job> {
        let mut state = self.state();
        if state.has_ended { Err(job) } else { Ok(state.owner.accept(job)) }
    }

    /// Sees to it that the job is done: by asking here, as long as nobody else wants anything, else by the task.
    ///
    /// To drop the future is fine at any moment.
    pub(super) async fn drive(&self, id: u64) {
        while let Some(asking) = self.begin_alone(id) {
            let asked = Driving { desk: self, asking: Some(asking) }.await;
            self.state().owner.settle(asked);
        }
    }

    /// The job's next request, if it is for its caller to ask; else the task is called if there is anything to do.
    fn begin_alone(&self, id: u64) -> Option<Asking> {
        let mut state = self.state();
        let is_here = || Handle::try_current().is_ok_and(|here| here.id() == self.runtime);
        if state.owner.is_alone(id)
            && is_here()
            && let Next::Ask(question) = state.owner.next()
        {
            return Some(self.begin(question));
        }
        let sleeps_too_long = |at| state.owner.idle_due() < at;
        if !state.owner.is_quiet() || state.looks_at.is_none_or(sleeps_too_long) {
            self.call.notify_one();
        }
        None
    }

    fn begin(&self, question: Question) -> Asking {
        Box::pin(ask(Arc::clone(&self.address), Arc::clone(&self.refused), question))
    }

    /// Has the task end as soon as nothing is under way: nobody can hand in anything any more.
    pub(super) fn close(&self) {
        self.state().is_closing = true;
        self.call.notify_one();
    }

    /// Has the desk end, if there is nothing to do; says whether that is so.
    pub(super) fn end_if_quiet(&self) -> bool {
        let mut state = self.state();
        state.has_ended |= state.owner.is_quiet();
        state.has_ended
    }

    /// The endpoint's task. It runs until nobody holds the endpoint, or until `end` says, after an idle while, that the
    /// desk has ended.
    pub(super) async fn run(&self, end: impl Fn() -> bool) {
        let _tenure = Tenure(self);
        let mut asking = FuturesUnordered::new();
        let mut idle = std::pin::pin!(sleep_until(Instant::now()));
        loop {
            let (wake, looks) = {
                let mut state = self.state();
                asking.extend(state.left.drain(..));
                let wake = loop {
                    match state.owner.next() {
                        Next::Ask(question) => asking.push(self.begin(question)),
                        Next::Wait(wake) => break wake,
                    }
                };
                if state.owner.is_quiet() {
                    if state.is_closing {
                        return;
                    }
                    // The timer is moved only when it would be late: most idle whiles end long before.
                    let due = state.owner.idle_due();
                    if state.looks_at.is_none_or(|at| due < at) {
                        idle.as_mut().reset(due);
                        state.looks_at = Some(due);
                    }
                }
                (wake, state.looks_at.is_some())
            };
            tokio::select! {
                biased;
                Some(asked) = asking.next(), if !asking.is_empty() => self.state().owner.settle(asked),
                () = self.call.notified() => {}
                () = async { sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {}
                () = &mut idle, if looks => {
                    let is_due = {
                        let mut state = self.state();
                        state.looks_at = None;
                        state.owner.is_quiet() && state.owner.idle_due() <= Instant::now()
                    };
                    if is_due && end() {
                        return;
                    }
                }
            }
        }
    }
}

/// The time of an endpoint's task. However it ends, also with its runtime or by a panic, nothing of it is used further, and
/// callers that still wait learn of it.
struct Tenure<'a>(&'a Desk);

impl Drop for Tenure<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.has_ended = true;
        let owner = std::mem::replace(&mut state.owner, Owner::new(Arc::clone(&self.0.address)));
        let left = std::mem::take(&mut state.left);
        drop(state);
        drop((owner, left));
    }
}

/// A request that its caller asks. If the caller goes away, it is left to the task.
struct Driving<'a> {
    desk: &'a Desk,
    asking: Option<Asking>,
}

impl Future for Driving<'_> {
    type Output = Asked;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Asked> {
        let Some(asking) = &mut self.asking else { return Poll::Pending };
        let asked = asking.as_mut().poll(context);
        if asked.is_ready() {
            self.asking = None;
        }
        asked
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        let Some(asking) = self.asking.take() else { return };
        let mut state = self.desk.state();
        if !state.has_ended {
            state.left.push(asking);
            self.desk.call.notify_one();
        }
    }
}

/// Asks one request over a link, with a connection of its own if the link has none.
async fn ask(address: Arc<EndpointAddress>, refused: Arc<Mutex<Option<Refused>>>, mut question: Question) -> Asked {
    let Question { todo, link, settings, terms, .. } = &mut question;
    if let Some(ready_at) = link.ready_at {
        sleep_until(ready_at).await;
    }
    let connection = if let Some(connection) = link.connection.take() {
        Ok(connection)
    } else {
        let refused = lock(&refused).clone();
        let limit = settings.connect_timeout;
        let opened = Connection::open(&address, limit, link.heed, &mut link.lock, refused.as_ref()).await;
        if opened.is_ok() && !terms.pause_after_connect.is_zero() {
            tokio::time::sleep(terms.pause_after_connect).await;
        }
        opened
    };
    let started = Instant::now();
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return Asked { question, started, outcome: Outcome::NoConnection(error) },
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
    let gap = terms.min_gap.max(silence);
    link.ready_at = (!gap.is_zero()).then(|| after(Instant::now(), gap));
    Asked { question, started, outcome }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Caller, DeviceUrl, EndpointSettings, Span, Table};

    #[tokio::test]
    async fn a_job_of_many_requests_tries_a_dead_endpoint_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: DeviceUrl = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let desk = Desk::new(url.endpoint().clone(), Arc::default());
        let settings = EndpointSettings { first_backoff: Duration::ZERO, ..EndpointSettings::default() };
        let (answer, answers) = oneshot::channel();
        let requests: Vec<_> = (1..=3).map(|unit| Span::new(unit, Table::Coils, 0, 1).unwrap()).collect();
        assert!(desk.accept(Job { requests, settings: Arc::new(settings), caller: Caller::new(), answer }).is_ok());
        let failures = async {
            let answers: Vec<_> = answers.await.unwrap();
            assert!(answers.len() == 3 && answers.iter().all(|answer| matches!(answer, Err(ReadError::Connection(_)))));
            let failures = desk.state().owner.failures;
            desk.close();
            failures
        };
        assert_eq!(tokio::join!(failures, desk.run(|| true)).0, 1);
    }
}
