//! Units that are in trouble, so that they don't slow the others: a circuit breaker for each.
//!
//! A unit that was silent several times in a row is *set aside*: what is asked of it fails at once. When its time is over,
//! one request goes out as a *probe*, and what else is asked of it waits for what that comes to: an answer, and the unit
//! is as if nothing had been; silence, and it is set aside again.
//!
//! On a serial line a unit is also *held* after a fault, until its late reply can no longer come.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{error::ReadError, settings::EndpointSettings};

/// The units of an endpoint that are in trouble; others are not listed.
#[derive(Debug, Default)]
pub(super) struct Units {
    troubled: BTreeMap<u8, Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Silences in a row.
    silences: u32,
    /// The last one, and until when nothing is asked.
    aside: Option<(ReadError, Instant)>,
    /// Whether the one request is under way that tries the unit.
    probing: bool,
    /// When it may be asked again.
    held: Option<Instant>,
}

impl Units {
    /// Whether any unit is in trouble.
    pub(super) fn any(&self) -> bool {
        !self.troubled.is_empty()
    }

    /// Why nothing is asked of the unit now, if it is set aside.
    pub(super) fn set_aside(&self, unit: u8, now: Instant) -> Option<ReadError> {
        let (error, until) = self.troubled.get(&unit)?.aside.as_ref()?;
        (now < *until).then(|| error.clone())
    }

    /// When the unit may be asked again, if it is held.
    pub(super) fn not_before(&self, unit: u8) -> Option<Instant> {
        self.troubled.get(&unit)?.held
    }

    /// Whether a request is under way that tries the unit, so that others wait.
    pub(super) fn is_probing(&self, unit: u8) -> bool {
        self.troubled.get(&unit).is_some_and(|trouble| trouble.probing)
    }

    /// A request to the unit goes out.
    pub(super) fn asked(&mut self, unit: u8) {
        if let Some(trouble) = self.troubled.get_mut(&unit) {
            trouble.held = None;
            trouble.probing = trouble.aside.is_some();
        }
    }

    /// The request that was under way is no more.
    pub(super) fn settled(&mut self, unit: u8) {
        if let Some(trouble) = self.troubled.get_mut(&unit) {
            trouble.probing = false;
        }
    }

    /// The unit answered, be it with an exception.
    pub(super) fn answered(&mut self, unit: u8) {
        self.troubled.remove(&unit);
    }

    /// The unit was silent.
    pub(super) fn silent(&mut self, unit: u8, error: &ReadError, settings: &EndpointSettings, now: Instant) {
        let trouble = self.troubled.entry(unit).or_default();
        trouble.silences = trouble.silences.saturating_add(1);
        if trouble.silences >= settings.set_aside_after.max(1) && !settings.set_aside.is_zero() {
            tracing::debug!(unit, %error, silences = trouble.silences, "unit set aside");
            trouble.aside = now.checked_add(settings.set_aside).map(|until| (error.clone(), until));
        }
    }

    /// The unit is not to be asked before that moment.
    pub(super) fn hold(&mut self, unit: u8, until: Instant) {
        let trouble = self.troubled.entry(unit).or_default();
        trouble.held = trouble.held.max(Some(until));
    }
}
