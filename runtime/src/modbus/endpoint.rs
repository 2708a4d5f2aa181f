//! Reading spans through an endpoint that many share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::address::EndpointAddress;
use super::error::ReadError;
use super::plan::{self, Piece, Request};
use super::ranges::Readable;
use super::settings::EndpointSettings;
use super::span::{Span, Words};
use super::task::{self, Job};

/// All endpoints of the process. Clones are the same register: whoever asks one of them for an address shares the
/// connection of that address with all others.
///
/// Connections are opened by the first read that needs them, and closed [`EndpointSettings::idle_close`] after the last;
/// or when the last clone, and the last [`Endpoint`], is gone.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    owners: Arc<Owners>,
}

#[derive(Default)]
struct Owners {
    /// How to reach the task that owns an endpoint's connection. A task takes its own entry out when it ends.
    by_address: Mutex<HashMap<EndpointAddress, mpsc::UnboundedSender<Job>>>,
}

impl Owners {
    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointAddress, mpsc::UnboundedSender<Job>>> {
        // Nothing that panics runs under the lock, and a map of senders is whole at any moment.
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the job to the endpoint's owner, with a new one where there is none.
    ///
    /// This happens under the lock, as does the end of an idle owner: a job is never handed to one that has just ended.
    fn submit(self: &Arc<Self>, address: &EndpointAddress, job: Job) {
        let mut by_address = self.lock();
        let job = match by_address.get(address) {
            None => job,
            Some(owner) => match owner.send(job) {
                Ok(()) => return,
                // Its task has gone without a word, so it panicked or its tokio runtime has ended.
                Err(mpsc::error::SendError(job)) => job,
            },
        };
        let (sender, jobs) = mpsc::unbounded_channel();
        let owners = Arc::downgrade(self);
        let own_address = address.clone();
        let may_end = move |jobs: &mut mpsc::UnboundedReceiver<Job>| {
            let Some(owners) = owners.upgrade() else { return true };
            let mut by_address = owners.lock();
            let idle = jobs.is_empty();
            if idle {
                by_address.remove(&own_address);
            }
            idle
        };
        tokio::spawn(task::own(address.clone(), jobs, may_end));
        // The receiver is alive: it was moved into the task a line above.
        let _ = sender.send(job);
        by_address.insert(address.clone(), sender);
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Endpoints {
    /// A register without any connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// The endpoint with this address. Nothing is connected before the first read.
    pub fn endpoint(&self, address: &EndpointAddress, settings: &EndpointSettings) -> Endpoint {
        Endpoint { owners: Arc::clone(&self.owners), address: address.clone(), settings: Arc::new(settings.clone()) }
    }
}

/// One endpoint, with the settings of one of those who use it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    owners: Arc<Owners>,
    address: EndpointAddress,
    settings: Arc<EndpointSettings>,
}

impl Endpoint {
    /// Reads spans in the fewest requests that the settings allow; one result for each span, in order.
    ///
    /// - A span outside `readable` fails with [`ReadError::Denied`], and nothing is sent for it. Every address on the
    ///   wire is one that a span wants or that lies in a gap which is in `readable` too.
    /// - A span of at most `max_registers` (or `max_bits`) is read by one request, so its values belong together. A longer
    ///   one is read in pieces of that size, and fails if one of them does.
    /// - A request that serves several spans and is answered with exception 2, 3 or 4 is halved until the spans that it
    ///   fails for are found: they fail, the others are read. A bad span among n costs about 2 log2 n more requests,
    ///   each time; what was found out is not kept for the next read.
    /// - What a timeout or a broken connection means for the other spans is told in the module `task`: the rest of that
    ///   unit fails with it, other units do not.
    ///
    /// To drop the future is fine at any moment: a request that is on the wire is finished, the rest is forgotten.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network.
    pub async fn read(&self, spans: &[Span], readable: &Readable) -> Vec<Result<Words, ReadError>> {
        let limits = self.settings.limits();
        let mut results: Vec<_> = spans
            .iter()
            .map(|span| {
                let allowed = readable.contains(span);
                allowed.then(|| Words::blank(*span)).ok_or(ReadError::Denied(*span))
            })
            .collect();
        let mut pieces = plan::pieces(spans, limits);
        pieces.retain(|piece| results.get(piece.index).is_some_and(Result::is_ok));
        let mut requests = plan::plan(&pieces, readable, limits);
        while !requests.is_empty() {
            let answers = self.ask(&requests).await;
            let silent: Vec<_> = requests.iter().zip(&answers).filter_map(silence).collect();
            let mut again = Vec::new();
            for (request, answer) in requests.iter().zip(&answers) {
                let halves = match answer {
                    Err(ReadError::Exception(code)) if code.blames_addresses() => request.halves(),
                    _ => None,
                };
                let Some((left, right)) = halves else {
                    settle(&mut results, spans, request, answer);
                    continue;
                };
                let halves = [left, right].map(|half| plan::plan(half, readable, limits));
                for half in halves.into_iter().flatten() {
                    match silent.iter().find(|(unit, _)| *unit == half.span.unit()) {
                        Some((_, error)) => settle(&mut results, spans, &half, &Err(error.clone())),
                        None => again.push(half),
                    }
                }
            }
            requests = again;
        }
        results
    }

    async fn ask(&self, requests: &[Request]) -> Vec<Result<Words, ReadError>> {
        let (answer, answers) = oneshot::channel();
        let job = Job {
            requests: requests.iter().map(|request| request.span).collect(),
            settings: Arc::clone(&self.settings),
            answer,
        };
        self.owners.submit(&self.address, job);
        answers.await.unwrap_or_else(|_| {
            let error = ReadError::Connection("the connection's owner ended before it answered".to_owned());
            vec![Err(error); requests.len()]
        })
    }
}

/// The unit that fell silent with this answer, if it did.
fn silence((request, answer): (&Request, &Result<Words, ReadError>)) -> Option<(u8, ReadError)> {
    match answer {
        Err(error @ (ReadError::Timeout(_) | ReadError::Connection(_))) => Some((request.span.unit(), error.clone())),
        _ => None,
    }
}

/// Gives each span that the request serves its part of the answer.
fn settle(
    results: &mut [Result<Words, ReadError>],
    spans: &[Span],
    request: &Request,
    answer: &Result<Words, ReadError>,
) {
    for Piece { index, span: piece } in &request.pieces {
        let (Some(result), Some(span)) = (results.get_mut(*index), spans.get(*index)) else {
            continue;
        };
        // The first failure of a span stays.
        let Ok(words) = result else { continue };
        let failure = match answer {
            Err(error) => Some(error.clone()),
            Ok(values) => {
                let at = piece.address().saturating_sub(span.address());
                let offset = piece.address().saturating_sub(request.span.address());
                let copied = words.copy(at.into(), values, offset.into(), piece.count().into());
                (!copied).then(|| ReadError::Protocol("the reply lacks values".to_owned()))
            }
        };
        if let Some(error) = failure {
            *result = Err(error);
        }
    }
}
