//! Where the bytes of a response are counted while they come.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{error::Error, origin::Origin};

/// Counts the bytes of a fetch as they arrive, for the caller. A limit on all fetches together cannot wait until a response is complete.
///
/// An error ends the fetch with [`Error::Exhausted`]; the meter itself keeps why.
pub trait Meter: Send + Sync {
    /// So many bytes more came: over the wire, or out of a decoder if that made more of them.
    ///
    /// # Errors
    ///
    /// When that is more than may come.
    fn arrived(&self, bytes: usize) -> Result<(), Exhausted>;

    /// So many bytes of the response are held in memory now.
    ///
    /// # Errors
    ///
    /// When that is more than may be held.
    fn held(&self, bytes: usize) -> Result<(), Exhausted>;

    /// An origin with a name could not be reached at the addresses of that name. This is for the operator: a guest may not
    /// learn addresses.
    fn unreachable(&self, _origin: &Origin, _addresses: &[SocketAddr], _error: &Error) {}
}

/// No more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl From<Exhausted> for Error {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// A meter that allows everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn arrived(&self, _: usize) -> Result<(), Exhausted> {
        Ok(())
    }

    fn held(&self, _: usize) -> Result<(), Exhausted> {
        Ok(())
    }
}

/// The bytes of one body: as many as came over the wire, or as were decoded, whichever are more.
pub(super) struct BodyMeter<'a> {
    meter: &'a dyn Meter,
    wire: AtomicUsize,
    counted: AtomicUsize,
}

impl<'a> BodyMeter<'a> {
    pub(super) fn new(meter: &'a dyn Meter) -> Self {
        Self { meter, wire: AtomicUsize::new(0), counted: AtomicUsize::new(0) }
    }

    /// So many bytes more came over the wire.
    pub(super) fn came(&self, bytes: usize) -> Result<(), Exhausted> {
        self.count(self.wire.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes))
    }

    /// There are so many decoded bytes now, and they take so much memory.
    pub(super) fn decoded(&self, bytes: usize, memory: usize) -> Result<(), Exhausted> {
        self.count(bytes)?;
        self.meter.held(memory)
    }

    fn count(&self, bytes: usize) -> Result<(), Exhausted> {
        let before = self.counted.fetch_max(bytes, Ordering::Relaxed);
        match bytes.checked_sub(before) {
            Some(more) if more > 0 => self.meter.arrived(more),
            _ => Ok(()),
        }
    }
}
