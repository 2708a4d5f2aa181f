//! One collection's way to the web: counted, bounded, and the same whichever interface the guest
//! takes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use pattoo_base::{invariant::Invariant as _, lock::lock};
use pattoo_fetch::{Cap, Error, Exhausted, Limits, Meter, Origin, Request, Response, Wait};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Level;

use super::{denied::denial_of, requested_origins};
use crate::capability::{Account, Calls, Charge, Context, LimitReached, PeerCalls};

/// What a fetch takes while it is under way, beside the texts of its request and its response: the
/// HTTP library's buffer for one connection, at its largest, and what it keeps of one request.
const PER_FETCH: usize = 448 << 10;

/// What a collection can do on the web, and what it has done. Clones are the same one: a request
/// that is under way has its own.
#[derive(Debug, Clone)]
pub(super) struct Web(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    context: Context,
    /// Places for requests under way.
    places: Semaphore,
    used: Mutex<Used>,
    /// The origins whose addresses were reported, since they could not be reached.
    unreachable: Mutex<BTreeSet<String>>,
    /// The limit that ends the collection, if a request reached one that no call of the guest waits
    /// for.
    ended: OnceLock<LimitReached>,
}

/// How much of the web one collection has used.
#[derive(Debug, Default)]
struct Used {
    fetches: u32,
    bytes: usize,
    calls: Calls,
}

/// A response, and what it holds of the collection's account.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) response: Response,
    pub(super) charge: Charge,
}

/// Why a guest gets no response.
#[derive(Debug)]
pub(super) enum WebRefusal {
    /// A limit of the collection.
    Quota(LimitReached),
    /// A limit that ends the collection.
    End(LimitReached),
    /// Anything about the request or the site.
    Fault(Error),
}

impl From<Error> for WebRefusal {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

/// Counts one fetch, against what the collection may fetch and what the host may hold for it.
struct FetchMeter<'a> {
    web: &'a Web,
    charge: Mutex<Charge>,
    /// Which limit ended it.
    stopped: Mutex<Option<WebRefusal>>,
}

impl FetchMeter<'_> {
    fn stop(&self, refusal: WebRefusal) -> Exhausted {
        *lock(&self.stopped) = Some(refusal);
        Exhausted
    }
}

impl Meter for FetchMeter<'_> {
    fn arrived(&self, bytes: usize) -> Result<(), Exhausted> {
        let limit = self.web.0.context.assignment.limits.http.bytes;
        let mut used = self.web.used();
        used.bytes = used.bytes.saturating_add(bytes);
        if used.bytes <= limit {
            return Ok(());
        }
        drop(used);
        Err(self.stop(WebRefusal::Quota(fetched_bytes(limit))))
    }

    fn held(&self, bytes: usize) -> Result<(), Exhausted> {
        let mut charge = lock(&self.charge);
        charge.resize(bytes.saturating_add(PER_FETCH)).map_err(|reached| self.stop(WebRefusal::End(reached)))
    }

    fn unreachable(&self, origin: &Origin, addresses: &[SocketAddr], error: &Error) {
        let origin = origin.to_string();
        // Once in each collection: the guest decides how often it fetches.
        if !lock(&self.web.0.unreachable).insert(origin.clone()) {
            return;
        }
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let resolved = if addresses.is_empty() { "none".to_owned() } else { addresses.join(", ") };
        let error = error.to_string();
        let error = error.strip_prefix(&format!("{origin}: ")).unwrap_or(&error);
        self.web.log(Level::WARN, &format!("{origin}: {error} (addresses of the name: {resolved})"));
    }
}

/// The limit on all responses together.
fn fetched_bytes(limit: usize) -> LimitReached {
    LimitReached::of_bytes("the responses of one collection", limit, "fetched_bytes")
}

impl Web {
    pub(super) fn new(context: &Context) -> Self {
        let context = context.clone();
        let places = Semaphore::new(context.assignment.limits.http.concurrent.max(1));
        Self(Arc::new(Shared {
            context,
            places,
            used: Mutex::default(),
            unreachable: Mutex::default(),
            ended: OnceLock::new(),
        }))
    }

    /// What it used, once the collection has ended.
    pub(super) fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.used().calls)
    }

    /// The limits of one fetch.
    pub(super) fn limits(&self) -> &Limits {
        self.0.context.assignment.resources.http.limits()
    }

    /// A line about the collection, for its operator.
    pub(super) fn log(&self, level: Level, text: &str) {
        self.0.context.log.runtime(level, text);
    }

    /// The limit that ends the collection at the next call that is about a response.
    pub(super) fn ended(&self) -> Option<&LimitReached> {
        self.0.ended.get()
    }

    /// Ends the collection as soon as it asks for a response.
    pub(super) fn end(&self, reached: LimitReached) {
        // The first one is said.
        let _ = self.0.ended.set(reached);
    }

    /// The account of the collection.
    pub(super) fn account(&self) -> &Account {
        &self.0.context.account
    }

    /// Counts one more fetch, or says that there were too many.
    pub(super) fn count(&self) -> Result<(), WebRefusal> {
        let limit = self.0.context.assignment.limits.http.count;
        let mut used = self.used();
        if used.fetches >= limit {
            let what = "the HTTP requests of one collection";
            return Err(self.reached(LimitReached { what, value: limit.to_string(), setting: "fetches" }));
        }
        used.fetches = used.fetches.saturating_add(1);
        let (bytes, limit) = (used.bytes, self.0.context.assignment.limits.http.bytes);
        drop(used);
        // Whatever came, nothing more would be taken.
        if bytes >= limit { Err(self.reached(fetched_bytes(limit))) } else { Ok(()) }
    }

    /// Waits for a place among the requests under way. Nothing of a request is held in memory
    /// before it has one.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.0.places.try_acquire() {
            return Some(place);
        }
        self.wait();
        let place = self.0.places.acquire().await;
        place.map(Some).or_broken("the places of requests are never closed", None)
    }

    /// Says that there are more requests than may be under way. Nothing is lost by that, so it is
    /// for those who ask why it takes so long.
    pub(super) fn wait(&self) {
        let (what, value) =
            ("HTTP requests at the same time", self.0.context.assignment.limits.http.concurrent.to_string());
        self.0.context.reached.note(&LimitReached { what, value, setting: "concurrent_fetches" });
    }

    /// Sends a request that was counted and has a place. What was denied is remembered for the
    /// operator.
    pub(super) async fn send(&self, request: Request) -> Result<Received, WebRefusal> {
        let http = &self.0.context.assignment.resources.http;
        let origin = http.granted_origin(&request.url);
        let recorder = self.0.context.assignment.recorder.as_ref();
        let charge = self.0.context.account.charge(PER_FETCH).map_err(WebRefusal::End)?;
        let meter = FetchMeter { web: self, charge: Mutex::new(charge), stopped: Mutex::default() };
        let mut counting = Counting {
            web: self,
            began: Instant::now(),
            origin,
            repeated: AtomicU64::new(0),
            end: FetchEnd::NoResponse,
        };
        let repeated = &counting.repeated;
        let watch = |visit: pattoo_fetch::Visit<'_>| {
            if visit.again {
                repeated.fetch_add(1, Ordering::Relaxed);
            } else if let Some(recorder) = recorder {
                requested_origins::visit(recorder, &visit);
            }
        };
        let result = http.fetch_watched(request, &watch, &meter).await;
        let FetchMeter { charge, stopped, .. } = meter;
        counting.end = match &result {
            Ok(response) => FetchEnd::Response(response.status),
            Err(Error::TooLarge { cap, .. }) if !cap.is_of_request() => FetchEnd::Unusable,
            Err(Error::Redirects(_) | Error::Exhausted) => FetchEnd::Unusable,
            Err(Error::Denied(_) | Error::Invalid(_) | Error::TooLarge { .. }) => FetchEnd::NotSent,
            Err(Error::Timeout { .. } | Error::Connection(_) | Error::Tls(_)) => FetchEnd::NoResponse,
        };
        drop(counting);
        match result {
            Ok(response) => {
                let mut charge = charge.into_inner().unwrap_or_else(PoisonError::into_inner);
                charge.resize(size(&response)).map_err(WebRefusal::End)?;
                Ok(Received { response, charge })
            }
            Err(Error::Exhausted) => Err(match stopped.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(WebRefusal::Quota(reached)) => self.reached(reached),
                Some(other) => other,
                None => Error::Exhausted.into(),
            }),
            Err(error) => {
                if let Error::Denied(denied) = &error {
                    if let Some(recorder) = recorder {
                        requested_origins::denied(recorder, denied);
                    }
                    self.0.context.denials.add(denial_of(denied));
                }
                Err(self.refused(error).into())
            }
        }
    }

    /// Says which limit of one fetch an error is about, if it is about one: the errors of the
    /// contract have no room for names.
    pub(super) fn refused(&self, error: Error) -> Error {
        let reached = match &error {
            Error::TooLarge { cap, limit } => Some(too_large(*cap, *limit)),
            Error::Timeout { wait, after } => wait.setting().map(|setting| {
                let value = humantime::format_duration(*after).to_string();
                LimitReached { what: time_of(*wait), value, setting }
            }),
            Error::Redirects(limit) => Some(LimitReached {
                what: "the redirects of one fetch",
                value: limit.to_string(),
                setting: "redirects",
            }),
            Error::Denied(_) | Error::Invalid(_) | Error::Connection(_) | Error::Tls(_) | Error::Exhausted => None,
        };
        if let Some(reached) = reached {
            self.0.context.reached.say(reached);
        }
        error
    }

    fn reached(&self, reached: LimitReached) -> WebRefusal {
        WebRefusal::Quota(self.0.context.reached.say(reached))
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        lock(&self.0.used)
    }
}

/// A request under way. It is counted when this is dropped, however it ended: it may have been given up at a deadline.
struct Counting<'a> {
    web: &'a Web,
    began: Instant,
    /// One of an origin that was not granted is counted for none.
    origin: Option<String>,
    repeated: AtomicU64,
    end: FetchEnd,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
enum FetchEnd {
    /// It was refused before it was sent.
    NotSent,
    /// There was no response.
    NoResponse,
    /// A response came, of which the guest gets nothing.
    Unusable,
    /// The guest gets a response of this status.
    Response(u16),
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let mut used = self.web.used();
        used.calls.time = used.calls.time.saturating_add(self.began.elapsed());
        let Some(origin) = self.origin.take() else { return };
        let (asked, status) = match self.end {
            FetchEnd::NotSent => (PeerCalls::default(), None),
            FetchEnd::NoResponse => (PeerCalls::asked(false), None),
            FetchEnd::Unusable => (PeerCalls::asked(true), None),
            FetchEnd::Response(status) => (PeerCalls::asked(true), Some(status)),
        };
        let calls = PeerCalls {
            requests: 1,
            failures: u64::from(status.is_none()),
            repeated: *self.repeated.get_mut(),
            responses: status.map(|status| (status_class(status), 1)).into_iter().collect(),
            ..asked
        };
        used.calls.count(origin, calls);
    }
}

/// The classes of statuses.
pub(super) const STATUS_CLASSES: &[&str] = &["2xx", "3xx", "4xx", "5xx", "other"];

/// The class of a status (RFC 9110 section 15).
fn status_class(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

/// What a response takes in memory.
fn size(response: &Response) -> usize {
    let fields = response.headers.iter().map(|(name, value)| field(name.capacity(), value.capacity()));
    fields.fold(response.body.capacity(), usize::saturating_add)
}

/// What a header field takes in memory, in whatever form it is kept: its texts, and what holds them
/// in a map that has grown.
pub(super) fn field(name: usize, value: usize) -> usize {
    const FRAME: usize = 320;
    name.saturating_add(value).saturating_add(FRAME)
}

/// A size or count of one fetch.
fn too_large(cap: Cap, limit: u64) -> LimitReached {
    if cap.is_count() {
        LimitReached { what: cap.words(), value: limit.to_string(), setting: cap.setting() }
    } else {
        LimitReached::of_bytes(cap.words(), limit, cap.setting())
    }
}

/// What a time limit is on.
fn time_of(wait: Wait) -> &'static str {
    match wait {
        Wait::Total | Wait::Guest => "the time of one fetch",
        Wait::Connect => "the time of one connection",
        Wait::Idle => "the time without data from a site",
    }
}
