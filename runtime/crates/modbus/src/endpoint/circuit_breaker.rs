//! Circuit breakers: units that do not answer must not slow the others down.
//!
//! After several requests in a row without a reply, the circuit breaker of a unit *opens*: requests
//! to the unit fail at once. When its time is over, a single request goes out as a *probe*, and
//! other requests to the unit wait for its outcome. A reply closes the breaker; no reply opens it
//! again.
//!
//! A request without a reply counts only when it is known that the unit answers nothing, not even a
//! request for another address: the read that sent it finds that out.
//!
//! On a serial line a unit is also *held* after a fault, until its late reply can no longer arrive.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::{endpoint_settings::EndpointSettings, model::Unit};

/// The circuit breakers of an endpoint. Units without a fault have no entry.
#[derive(Debug, Default)]
pub(super) struct CircuitBreakers {
    units: BTreeMap<Unit, CircuitBreaker>,
}

#[derive(Debug, Default)]
struct CircuitBreaker {
    /// Requests in a row without a reply.
    failures: u32,
    /// Until when the breaker is open.
    open_until: Option<Instant>,
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

    /// Whether the breaker of the unit is open.
    pub(super) fn is_open(&self, unit: Unit, now: Instant) -> bool {
        self.units.get(&unit).and_then(|breaker| breaker.open_until).is_some_and(|until| now < until)
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
            breaker.probing = breaker.open_until.is_some();
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

    /// The unit did not reply to this number of requests.
    pub(super) fn failed(&mut self, unit: Unit, requests: u32, settings: &EndpointSettings, now: Instant) {
        let breaker = self.units.entry(unit).or_default();
        breaker.failures = breaker.failures.saturating_add(requests);
        if breaker.failures >= settings.breaker_threshold.max(1) && !settings.breaker_duration.is_zero() {
            tracing::debug!(%unit, failures = breaker.failures, "circuit breaker open");
            breaker.open_until = now.checked_add(settings.breaker_duration);
        }
    }

    /// No request goes to the unit before `until`.
    pub(super) fn hold(&mut self, unit: Unit, until: Instant) {
        let breaker = self.units.entry(unit).or_default();
        breaker.held_until = breaker.held_until.max(Some(until));
    }
}
