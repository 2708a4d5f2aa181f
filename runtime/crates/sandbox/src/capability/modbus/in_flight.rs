//! How many spans of one call are read at the same time.

use pattoo_modbus::{Endpoint, ReadError, Span, Words};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::DeviceGrant;

/// The spans of one call that are being read. All others wait.
pub(super) struct InFlight {
    free: Semaphore,
    limit: u32,
    deadline: Instant,
}

impl InFlight {
    /// At most `limit` spans at the same time, and none after the deadline.
    pub(super) fn new(limit: u32, deadline: Instant) -> Self {
        let limit = limit.max(1);
        Self { free: Semaphore::new(limit as usize), limit, deadline }
    }

    /// Reads spans of a device, each with its index: all at once if they are not more than the limit,
    /// otherwise those with the lowest addresses first.
    pub(super) async fn read(
        &self,
        grant: &DeviceGrant,
        endpoint: &Endpoint,
        mut wanted: Vec<(usize, Span)>,
    ) -> Vec<(usize, Result<Words, ReadError>)> {
        let at_once = self.limit as usize;
        if wanted.len() > at_once {
            // Neighbours share requests.
            wanted.sort_by_key(|(_, span)| (span.unit(), span.table(), span.address()));
        }
        let mut results = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(at_once) {
            let _places = self.places(wanted.len()).await;
            let spans: Vec<_> = wanted.iter().map(|(_, span)| *span).collect();
            let read = endpoint.read_until(&spans, &grant.readable, self.deadline).await;
            results.extend(wanted.iter().map(|(index, _)| *index).zip(read));
        }
        results
    }

    /// Waits for places; after the deadline nothing is sent, so there are none.
    async fn places(&self, count: usize) -> Option<SemaphorePermit<'_>> {
        let count = u32::try_from(count).unwrap_or(self.limit).min(self.limit);
        // The semaphore is never closed.
        timeout_at(self.deadline, self.free.acquire_many(count)).await.ok()?.ok()
    }
}
