//! Reading spans through an endpoint that many share.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    address::{EndpointAddress, Place},
    connection::Refused,
    error::ReadError,
    memory::Memory,
    owner::{Caller, Job},
    ranges::Readable,
    reading::Reading,
    settings::EndpointSettings,
    span::{Span, Words},
    task::Desk,
};

/// All endpoints of the process. Clones are the same register: whoever asks one of them for an address shares the
/// connection of that address with all others.
///
/// Connections are opened by the first read that needs them, and closed [`EndpointSettings::idle_close`] after the last;
/// or when the last clone, and the last [`Endpoint`], is gone.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    by_place: Arc<Mutex<ByPlace>>,
    refused: Arc<Mutex<Option<Refused>>>,
}

/// Endpoints by their places; those that may be at a refused address by themselves.
type ByPlace = HashMap<(Place, bool), Arc<Shared>>;

/// What all who use an endpoint share.
struct Shared {
    address: EndpointAddress,
    /// Where it does not connect to.
    refused: Arc<Mutex<Option<Refused>>>,
    /// Where jobs are handed in, while the endpoint is in use.
    desk: Mutex<Option<Arc<Desk>>>,
    /// What was learned of its units.
    memory: Mutex<Memory>,
}

/// Nothing that panics runs under these locks, and what they guard is whole at any moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Hands the job in at the endpoint's desk, at a new one with a new task where there is none; says where, and by what
    /// number it goes there.
    ///
    /// This happens under the lock, as does the end of an idle desk: a job is never handed in at one that has just ended.
    fn submit(self: &Arc<Self>, job: Job) -> Option<(Arc<Desk>, u64)> {
        let mut current = lock(&self.desk);
        let job = match &*current {
            None => job,
            Some(desk) => match desk.accept(job) {
                Ok(id) => return Some((Arc::clone(desk), id)),
                // Its task panicked, or its tokio runtime has ended.
                Err(job) => job,
            },
        };
        let desk = Arc::new(Desk::new(self.address.clone(), Arc::clone(&self.refused)));
        let id = desk.accept(job).ok()?;
        let shared = Arc::downgrade(self);
        let task = Arc::clone(&desk);
        tokio::spawn(async move {
            let end = || {
                let Some(shared) = shared.upgrade() else { return true };
                let mut current = lock(&shared.desk);
                let has_ended = task.end_if_quiet();
                if has_ended {
                    *current = None;
                }
                has_ended
            };
            task.run(end).await;
        });
        *current = Some(Arc::clone(&desk));
        Some((desk, id))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(desk) = &*lock(&self.desk) {
            desk.close();
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

    /// From now on no connection is opened to an address of which `refused` says so, but for endpoints whose settings say
    /// [`own`](EndpointSettings::own). Connections that stand go on.
    pub fn refusing(&self, refused: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) {
        *lock(&self.refused) = Some(Refused(Arc::new(refused)));
    }

    /// The endpoint with this address. Nothing is connected before the first read.
    ///
    /// A serial line has one speed and one parity: while somebody holds an endpoint of a line, every read through another
    /// that names the same line with other settings fails, and says so.
    pub fn endpoint(&self, address: &EndpointAddress, settings: &EndpointSettings) -> Endpoint {
        let mut by_place = lock(&self.by_place);
        let is_network = !matches!(address, EndpointAddress::Serial(_));
        let place = (address.place(), is_network && settings.own);
        let known = by_place.get(&place);
        let conflict = known.filter(|known| known.address != *address && Arc::strong_count(known) > 1).map(|known| {
            tracing::warn!(line = %address, already = %known.address, "one serial line is granted with different settings");
            ReadError::Connection("the serial line is in use with other settings (speed, parity or stop bits)".to_owned())
        });
        let shared = known.filter(|known| known.address == *address).cloned().unwrap_or_else(|| {
            let (desk, memory) = (Mutex::default(), Mutex::default());
            let refused = if settings.own { Arc::default() } else { Arc::clone(&self.refused) };
            Arc::new(Shared { address: address.clone(), refused, desk, memory })
        });
        if conflict.is_none() {
            by_place.insert(place, Arc::clone(&shared));
        }
        Endpoint { shared, settings: Arc::new(settings.clone()), caller: Caller::new(), conflict }
    }
}

/// One endpoint, with the settings of one of those who use it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    settings: Arc<EndpointSettings>,
    /// Who uses it.
    caller: Caller,
    /// Why nothing can be read through it.
    conflict: Option<ReadError>,
}

impl Endpoint {
    /// The same for a caller who may use others as well: what is asked through all of them takes turns with others as one.
    #[must_use]
    pub fn used_by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// Reads spans in the fewest requests that the settings allow; one result for each span, in order.
    ///
    /// - A span outside `readable`, or of a unit that the endpoint cannot have, fails with [`ReadError::Denied`], and nothing is sent for it. Every address on the
    ///   wire is one that a span wants or that lies in a gap which is in `readable` too.
    /// - A span of at most `max_registers` (or `max_bits`) is read by one request, so its values belong together. A longer
    ///   one is read in pieces of that size, and fails if one of them does.
    /// - A request that serves several spans and is answered with exception 2, 3 or 4 is halved until the spans that it
    ///   fails for are found: they fail, the others are read. A bad span among n costs about 2 log2 n more requests,
    ///   once: what was found out is kept, and the next reads ask for it alone (the module `memory`).
    /// - What a timeout or a broken connection means for the other spans is told in the module `owner`: the rest of that
    ///   unit fails with it, other units do not.
    ///
    /// To drop the future is fine at any moment: a request that is on the wire is finished, the rest is forgotten.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network.
    pub async fn read(&self, spans: &[Span], readable: &Readable) -> Vec<Result<Words, ReadError>> {
        if let Some(error) = &self.conflict {
            return vec![Err(error.clone()); spans.len()];
        }
        let shared = &self.shared;
        let refuse = |span: &Span| shared.address.check_unit(span.unit().into()).is_err();
        let mut reading = {
            let mut memory = lock(&shared.memory);
            memory.forget_old(Instant::now());
            Reading::new(spans, readable, self.settings.limits(), &memory, refuse)
        };
        loop {
            let requests = reading.requests();
            if requests.is_empty() {
                return reading.finish();
            }
            let answers = self.ask(requests).await;
            reading.take(&answers, &mut lock(&shared.memory), Instant::now());
        }
    }

    async fn ask(&self, requests: Vec<Span>) -> Vec<Result<Words, ReadError>> {
        let count = requests.len();
        let (answer, answers) = oneshot::channel();
        let job = Job { requests, settings: Arc::clone(&self.settings), caller: self.caller, answer };
        if let Some((desk, id)) = self.shared.submit(job) {
            desk.drive(id).await;
        }
        answers.await.unwrap_or_else(|_| {
            let error = ReadError::Connection("the endpoint's task ended before the device answered".to_owned());
            vec![Err(error); count]
        })
    }
}
