//! How often a request is sent again.
//!
//! - After exception 5 or 6, by which a device says that it is busy:
//!   [`busy_retries`](EndpointSettings::busy_retries) times.
//! - After a fault that the request did not cause ([`Resend`]): once.
//! - After any other fault: [`retries`](EndpointSettings::retries) times, unless the request is the
//!   probe of a circuit breaker.

use crate::{endpoint_settings::EndpointSettings, model::ExceptionCode, transport::Resend};

/// How often a request was sent again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Retries {
    after_faults: u32,
    while_busy: u32,
    was_resent: bool,
}

impl Retries {
    /// Whether the request was sent before.
    pub(super) fn any(&self) -> bool {
        self.after_faults > 0 || self.while_busy > 0 || self.was_resent
    }

    /// Whether the request is sent again after this exception. Counts it if it is.
    pub(super) fn after_exception(&mut self, code: ExceptionCode, settings: &EndpointSettings) -> bool {
        let is_busy = code == ExceptionCode::ACKNOWLEDGE || code == ExceptionCode::SERVER_DEVICE_BUSY;
        let again = is_busy && self.while_busy < settings.busy_retries;
        self.while_busy = self.while_busy.saturating_add(u32::from(again));
        again
    }

    /// Whether the request is sent again because it did not cause the fault. Counts it if it is.
    pub(super) fn after_foreign_fault(&mut self, resend: Resend) -> bool {
        let again = resend != Resend::No && !self.was_resent;
        self.was_resent |= again;
        again
    }

    /// Whether the request is sent again after a fault. Counts it if it is.
    pub(super) fn after_fault(&mut self, settings: &EndpointSettings, is_probe: bool) -> bool {
        let again = self.after_faults < settings.retries && !is_probe;
        self.after_faults = self.after_faults.saturating_add(u32::from(again));
        again
    }
}
