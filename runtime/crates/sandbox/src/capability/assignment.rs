//! What an operator decided about a collector.

use std::sync::Arc;

use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::{Agent, Collected, SinkFactory};

use super::{
    CollectionLimits, GrantError, Grants, LineSink, Recorder, Resources, SharedResources, Usage, log::EachLine,
};
use crate::state_store::StateStore;

/// Who a collector is, what it was granted and how much it may use: everything about it that
/// outlives a collection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assignment {
    /// Its identity towards its outputs.
    pub agent: Arc<Agent>,
    /// What the operator set for it: a JSON object, given to the guest as it stands.
    pub settings: String,
    /// How much one collection may use.
    pub limits: CollectionLimits,
    /// The devices and origins that it may ask, of which nothing was asked yet.
    pub granted: Usage,
    /// Makes what takes the datapoints of each of its collections.
    pub(in crate::capability) sinks: Arc<dyn SinkFactory>,
    /// Where what a collection asks for is recorded, if it is recorded at all.
    pub(in crate::capability) recorder: Option<Recorder>,
    /// Takes the lines about its collections.
    pub(in crate::capability) lines: Arc<dyn LineSink>,
    /// What was made of its grants.
    pub(in crate::capability) resources: Resources,
}

/// An [`Assignment`] that is being put together.
///
/// What is not said is empty and safe: nothing is granted, the settings are an empty object, the
/// limits are the defaults, nothing is kept from one collection to the next, and nothing is
/// recorded.
#[derive(Debug)]
pub struct AssignmentBuilder {
    pub(in crate::capability) agent: Arc<Agent>,
    pub(in crate::capability) settings: String,
    pub(in crate::capability) grants: Grants,
    pub(in crate::capability) limits: CollectionLimits,
    pub(in crate::capability) own: OwnEndpoints,
    pub(in crate::capability) state: StateStore,
    shared: Option<SharedResources>,
    sinks: Arc<dyn SinkFactory>,
    recorder: Option<Recorder>,
    lines: Arc<dyn LineSink>,
}

impl Assignment {
    /// An assignment of this agent that grants nothing yet.
    pub fn builder(agent: Arc<Agent>) -> AssignmentBuilder {
        AssignmentBuilder {
            agent,
            settings: "{}".to_owned(),
            grants: Grants::default(),
            limits: CollectionLimits::default(),
            own: OwnEndpoints::default(),
            state: StateStore::forgetful(),
            shared: None,
            sinks: Arc::new(Collected::default()),
            recorder: None,
            lines: Arc::new(EachLine),
        }
    }
}

impl AssignmentBuilder {
    /// With these settings: the text of a JSON object.
    #[must_use]
    pub fn settings(self, settings: String) -> Self {
        Self { settings, ..self }
    }

    /// With these grants.
    #[must_use]
    pub fn grants(self, grants: Grants) -> Self {
        Self { grants, ..self }
    }

    /// With these limits.
    #[must_use]
    pub fn limits(self, limits: CollectionLimits) -> Self {
        Self { limits, ..self }
    }

    /// With connections that it shares with other collectors. Without, it has its own, which lead
    /// to none of our [`own`](Self::own) endpoints.
    #[must_use]
    pub fn shared(self, shared: SharedResources) -> Self {
        Self { shared: Some(shared), ..self }
    }

    /// With endpoints of this program that no collector may use, unless a grant says `own: true`.
    #[must_use]
    pub fn own(self, own: OwnEndpoints) -> Self {
        Self { own, ..self }
    }

    /// With a place where values are kept from one collection to the next.
    #[must_use]
    pub fn state(self, state: StateStore) -> Self {
        Self { state, ..self }
    }

    /// With what takes the datapoints of its collections. Without, they are only collected.
    #[must_use]
    pub fn sinks(self, sinks: Arc<dyn SinkFactory>) -> Self {
        Self { sinks, ..self }
    }

    /// Recording what its collections ask for.
    #[must_use]
    pub fn recorder(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// With what takes the lines about its collections. Without, each is logged.
    #[must_use]
    pub fn lines(self, lines: Arc<dyn LineSink>) -> Self {
        Self { lines, ..self }
    }

    /// The assignment.
    ///
    /// # Errors
    ///
    /// When something that is granted cannot be used.
    pub fn build(self) -> Result<Assignment, GrantError> {
        let shared = self.shared.clone().unwrap_or_else(|| {
            let shared = SharedResources::default();
            shared.deny_own(&self.own);
            shared
        });
        let resources = Resources::new(&self, &shared)?;
        let Self { agent, settings, grants, limits, sinks, recorder, lines, .. } = self;
        let granted = Usage::of_grants(&grants);
        Ok(Assignment { agent, settings, limits, granted, sinks, recorder, lines, resources })
    }
}
