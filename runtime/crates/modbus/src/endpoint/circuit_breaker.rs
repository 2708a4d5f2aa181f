//! Circuit breakers: units that do not answer must not slow the others down.
//!
//! After several requests in a row without a reply, the circuit breaker of a unit *opens*: requests
//! to the unit fail at once. When its time is over, a single request goes out as a *probe*, and
//! other requests to the unit wait for its outcome. A reply closes the breaker; no reply opens it
//! again.
//!
//! On a serial line a unit is also *held* after a fault, until its late reply can no longer arrive.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::{endpoint_settings::EndpointSettings, error::ReadError, model::Unit};

/// The circuit breakers of an endpoint. Units without a fault have no entry.
#[derive(Debug, Default)]
pub(super) struct CircuitBreakers {
    units: BTreeMap<Unit, CircuitBreaker>,
}

#[derive(Debug, Default)]
struct CircuitBreaker {
    /// Requests in a row without a reply.
    failures: u32,
    /// The last error, and until when the breaker is open.
    open: Option<(ReadError, Instant)>,
    /// Whether the probe is in progress.
    probing: bool,
    /// The earliest time of the next request.
    held_until: Option<Instant>,
}

impl CircuitBreakers {
    /// Whether any unit has an entry.
    pub(super) fn any(&self) -> bool {
        !self.units.is_empty()
    }

    /// The error for requests to the unit, if its breaker is open.
    pub(super) fn open(&self, unit: Unit, now: Instant) -> Option<ReadError> {
        let (error, until) = self.units.get(&unit)?.open.as_ref()?;
        (now < *until).then(|| error.clone())
    }

    /// The earliest time of the next request to the unit, if it is held.
    pub(super) fn held_until(&self, unit: Unit) -> Option<Instant> {
        self.units.get(&unit)?.held_until
    }

    /// Whether a probe of the unit is in progress, so that other requests wait.
    pub(super) fn is_probing(&self, unit: Unit) -> bool {
        self.units.get(&unit).is_some_and(|breaker| breaker.probing)
    }

    /// A request to the unit goes out.
    pub(super) fn request_sent(&mut self, unit: Unit) {
        if let Some(breaker) = self.units.get_mut(&unit) {
            breaker.held_until = None;
            breaker.probing = breaker.open.is_some();
        }
    }

    /// The request in progress has ended.
    pub(super) fn request_ended(&mut self, unit: Unit) {
        if let Some(breaker) = self.units.get_mut(&unit) {
            breaker.probing = false;
        }
    }

    /// The unit replied, possibly with an exception.
    pub(super) fn replied(&mut self, unit: Unit) {
        self.units.remove(&unit);
    }

    /// The unit did not reply.
    pub(super) fn failed(&mut self, unit: Unit, error: &ReadError, settings: &EndpointSettings, now: Instant) {
        let breaker = self.units.entry(unit).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= settings.breaker_threshold.max(1) && !settings.breaker_duration.is_zero() {
            tracing::debug!(%unit, %error, failures = breaker.failures, "circuit breaker open");
            breaker.open = now.checked_add(settings.breaker_duration).map(|until| (error.clone(), until));
        }
    }

    /// No request goes to the unit before `until`.
    pub(super) fn hold(&mut self, unit: Unit, until: Instant) {
        let breaker = self.units.entry(unit).or_default();
        breaker.held_until = breaker.held_until.max(Some(until));
    }
}
