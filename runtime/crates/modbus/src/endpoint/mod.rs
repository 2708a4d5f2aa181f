//! Endpoints: reading spans over a connection that many callers share.

mod circuit_breaker;
mod connection_log;
mod fairness;
mod handle;
mod job;
mod request_queue;
mod retry;

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use pattoo_base::lock::lock;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

pub use self::fairness::Caller;
use self::{connection_log::ConnectionLog, handle::EndpointHandle, job::Job};
use crate::{
    address::{EndpointAddress, EndpointKey},
    endpoint_settings::EndpointSettings,
    error::{ReadError, RequestError},
    model::{Readable, Span, Words},
    plan::{Learned, Reading},
    tls::TlsSettings,
    transport::DeniedAddresses,
};

/// The register of all endpoints of the process. Clones are the same register: all callers that get
/// an address from it share the connection to this address.
///
/// The first read that needs a connection opens it. It is closed [`EndpointSettings::idle_close`]
/// after the last read, or when the last clone of the register and of the [`Endpoint`] is dropped.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    by_key: Arc<Mutex<ByKey>>,
    denied: Arc<Mutex<Option<DeniedAddresses>>>,
}

/// Endpoints by key. Those that may connect to denied addresses are separate, and so are those with
/// different settings of TLS.
type ByKey = HashMap<(EndpointKey, bool, TlsSettings), Arc<Shared>>;

/// The state that all users of an endpoint share.
struct Shared {
    address: EndpointAddress,
    /// The addresses to which no connection is opened.
    denied: Arc<Mutex<Option<DeniedAddresses>>>,
    /// Present while the endpoint is in use.
    handle: Mutex<Option<Arc<EndpointHandle>>>,
    /// What earlier reads showed of its units.
    learned: Mutex<Learned>,
    /// What was logged about its connections.
    log: Arc<ConnectionLog>,
}

impl Shared {
    /// Submits the job to the handle of the endpoint, or to a new one with a new task if there is
    /// none. Returns the handle and the ID of the job.
    ///
    /// This happens under the lock, as does the end of an idle handle: no job is submitted to a
    /// handle that has just ended.
    fn submit(self: &Arc<Self>, job: Job) -> Option<(Arc<EndpointHandle>, u64)> {
        let mut current = lock(&self.handle);
        let job = match &*current {
            None => job,
            Some(handle) => match handle.submit(job) {
                Ok(id) => return Some((Arc::clone(handle), id)),
                // Its task has panicked, or its tokio runtime has ended.
                Err(job) => job,
            },
        };
        let handle =
            Arc::new(EndpointHandle::new(self.address.clone(), Arc::clone(&self.denied), Arc::clone(&self.log)));
        let id = handle.submit(job).ok()?;
        let shared = Arc::downgrade(self);
        let task = Arc::clone(&handle);
        tokio::spawn(async move {
            let end = || {
                let Some(shared) = shared.upgrade() else { return true };
                let mut current = lock(&shared.handle);
                let has_ended = task.end_if_idle();
                if has_ended {
                    *current = None;
                }
                has_ended
            };
            task.run(end).await;
        });
        *current = Some(Arc::clone(&handle));
        Some((handle, id))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(handle) = &*lock(&self.handle) {
            handle.close();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.address).finish()
    }
}

impl Endpoints {
    /// A register without any connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on no connection is opened to an address for which `denied` returns true, except
    /// for endpoints with [`own`](EndpointSettings::own) in their settings. Open connections stay
    /// open.
    pub fn deny_addresses(&self, denied: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) {
        *lock(&self.denied) = Some(DeniedAddresses::new(denied));
    }

    /// The endpoint with this address. The first read connects.
    ///
    /// A serial line has one set of parameters. While one endpoint of a line is held, every read
    /// through another endpoint of the same line with other parameters fails with an error that
    /// says so.
    pub fn endpoint(&self, address: &EndpointAddress, settings: &EndpointSettings) -> Endpoint {
        let mut by_key = lock(&self.by_key);
        let is_network = !matches!(address, EndpointAddress::Serial(_));
        let key = (address.key(), is_network && settings.own, settings.tls.clone());
        let known = by_key.get(&key);
        let conflict = known.filter(|known| known.address != *address && Arc::strong_count(known) > 1).map(|known| {
            tracing::warn!(line = %address, already = %known.address, "one serial line is granted with different parameters");
            ReadError::Connection("the serial line is in use with other parameters (mode, speed, data bits, parity or stop bits)".to_owned())
        });
        let shared = known.filter(|known| known.address == *address).cloned().unwrap_or_else(|| {
            let (handle, learned, log) = (Mutex::default(), Mutex::default(), Arc::default());
            let denied = if settings.own { Arc::default() } else { Arc::clone(&self.denied) };
            Arc::new(Shared { address: address.clone(), denied, handle, learned, log })
        });
        if conflict.is_none() {
            by_key.insert(key, Arc::clone(&shared));
        }
        Endpoint { shared, settings: Arc::new(settings.clone()), caller: Caller::new(), conflict }
    }
}

/// An endpoint with the settings of one of its callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    settings: Arc<EndpointSettings>,
    caller: Caller,
    /// Why nothing can be read through it.
    conflict: Option<ReadError>,
}

impl Endpoint {
    /// The same endpoint for a caller that may use several: all its requests take turns with others
    /// as those of one caller.
    #[must_use]
    pub fn used_by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// Whether reads of both go over the same connections.
    #[cfg(test)]
    pub(crate) fn shares_connection_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Reads spans with the fewest requests that the settings allow. Returns one result for each
    /// span, in order.
    ///
    /// - A span outside `readable`, or of a unit that the endpoint cannot have, fails with
    ///   [`ReadError::Denied`], and nothing is sent for it. Every address on the wire is one of a
    ///   span, or one in a gap that is in `readable` too.
    /// - A span of at most `max_registers` (or `max_bits`) is read by one request, so its values
    ///   belong together. A longer span is read in pieces of that size, and fails if one of them
    ///   fails.
    /// - A request for several spans that gets exception 1, 2, 3 or 4 is halved until the spans that
    ///   cause it are found: they fail, the others are read. A bad span among n costs about 2 log2
    ///   n more requests, once: later reads request it alone.
    /// - A request for several spans that gets no reply, from a unit that answers, is divided until
    ///   the spans that cause it are found: they fail, the others are read. A silent span costs two
    ///   or three timeouts, once: later reads do not request it for ten minutes. At most 16 requests
    ///   to a unit get no reply in one read; then its other spans fail with
    ///   [`NotSent`](ReadError::NotSent).
    /// - A unit that answers nothing costs two timeouts, and one in the next reads. Its other spans
    ///   fail with [`NotSent`](ReadError::NotSent); those of other units do not.
    ///
    /// The future may be dropped at any time: a request on the wire is completed, the others are
    /// discarded.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network.
    pub async fn read(&self, spans: &[Span], readable: &Readable) -> Vec<Result<Words, ReadError>> {
        self.read_within(spans, readable, None).await
    }

    /// The same, but returns at the deadline with what has arrived. Spans whose reply had not arrived
    /// fail with [`ReadError::Deadline`], those for which nothing was sent with
    /// [`ReadError::NotSent`].
    ///
    /// # Panics
    /// As [`Endpoint::read`].
    pub async fn read_until(
        &self,
        spans: &[Span],
        readable: &Readable,
        deadline: Instant,
    ) -> Vec<Result<Words, ReadError>> {
        self.read_within(spans, readable, Some(deadline)).await
    }

    async fn read_within(
        &self,
        spans: &[Span],
        readable: &Readable,
        deadline: Option<Instant>,
    ) -> Vec<Result<Words, ReadError>> {
        if let Some(error) = &self.conflict {
            return vec![Err(error.clone()); spans.len()];
        }
        let shared = &self.shared;
        let refuse = |span: &Span| shared.address.check_unit(span.unit()).is_err();
        let mut reading = {
            let mut learned = lock(&shared.learned);
            learned.forget_old(Instant::now());
            Reading::new(spans, readable, self.settings.limits(), &learned, refuse)
        };
        loop {
            let requests = reading.requests();
            if requests.is_empty() {
                return reading.finish();
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return reading.stop();
            }
            let replies = self.send(requests, deadline).await;
            let silent = reading.take(&replies, &mut lock(&shared.learned), Instant::now());
            for (unit, requests) in silent {
                if let Some(handle) = &*lock(&shared.handle) {
                    handle.unit_is_silent(unit, requests, &self.settings);
                }
            }
        }
    }

    async fn send(&self, requests: Vec<Span>, deadline: Option<Instant>) -> Vec<Result<Words, RequestError>> {
        let count = requests.len();
        let (reply, mut replies) = oneshot::channel();
        let job = Job { requests, settings: Arc::clone(&self.settings), caller: self.caller, reply };
        let replies = match (self.shared.submit(job), deadline) {
            (None, _) => replies.await,
            (Some((handle, id)), None) => {
                handle.drive(id).await;
                replies.await
            }
            (Some((handle, id)), Some(deadline)) => {
                let work = async {
                    handle.drive(id).await;
                    (&mut replies).await
                };
                if let Ok(replies) = timeout_at(deadline, work).await {
                    replies
                } else {
                    handle.cut(id);
                    replies.await
                }
            }
        };
        replies.unwrap_or_else(|_| {
            let error = ReadError::Connection("the task of the endpoint ended before the device replied".to_owned());
            vec![Err(error.into()); count]
        })
    }
}
