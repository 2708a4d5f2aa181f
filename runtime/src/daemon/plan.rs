//! From a configuration to a plan: the collectors, their grants, and the destination of payloads.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::{Agent, AgentId, AgentIdError, Program};
use pattoo_modbus::Endpoints;
use pattoo_output::pattoo::{Budget, Memory};
use pattoo_output::{Delivery, DeliverySettings, ServerUrl, Spool, store_body, take_over};
use pattoo_sandbox::{
    capability::{Assignment, GrantError},
    state::StateStore,
};
use tokio::sync::Mutex;

use super::{DesiredCollector, Plan, StorePayload};
use crate::config::{CollectorSettings, Configuration, Server};

/// The time for a running post to finish when delivery stops.
const POST_WITHIN: Duration = Duration::from_secs(5);

/// Why a configuration cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no server for payloads.
    #[error(
        "no pattoo server is configured; set `server: {{ url: \"http://192.0.2.5:20201\" }}` in pattoo_wasm.yaml, or ip_address in pattoo.yaml"
    )]
    NoServer,
    /// A collector has no agent id.
    #[error("{program}: {error}")]
    AgentId {
        /// The collector.
        program: Program,
        /// Why.
        error: AgentIdError,
    },
    /// The grants of a collector cannot be used.
    #[error("{program}: {error}")]
    Grant {
        /// The collector.
        program: Program,
        /// Why.
        error: GrantError,
    },
}

/// What outlives a reload: the spool, the connections to devices, the state of collectors, and the
/// delivery.
pub struct DaemonResources {
    spool: Spool,
    endpoints: Endpoints,
    state: StateStore,
    /// For what all collectors remember of their series, together.
    memory: Budget,
    status: Option<SocketAddr>,
    delivery: Mutex<Option<(Server, Delivery)>>,
}

impl DaemonResources {
    /// Resources that post nothing yet. `status` is our own address, which no collector may reach.
    pub fn new(spool: Spool, state: StateStore, endpoints: Endpoints, status: Option<SocketAddr>) -> Self {
        Self {
            spool,
            endpoints,
            state,
            memory: Budget::within(pattoo_sandbox::available_memory()),
            status,
            delivery: Mutex::new(None),
        }
    }

    /// Delivers the spool to `server` from now on. A delivery to the same server continues.
    async fn deliver_to(&self, server: &Server) {
        let mut delivery = self.delivery.lock().await;
        if delivery.as_ref().is_some_and(|(before, _)| before == server) {
            return;
        }
        if let Some((_, before)) = delivery.take() {
            before.shutdown(POST_WITHIN).await;
        }
        let token = server.token.clone().map(|token| (server.url.clone(), token));
        let settings = DeliverySettings { token, ..DeliverySettings::default() };
        *delivery = Some((server.clone(), Delivery::start(self.spool.clone(), settings)));
    }

    /// Stops the delivery. A running post gets some time to finish; other payloads stay in the
    /// spool.
    pub async fn close(&self) {
        if let Some((_, delivery)) = self.delivery.lock().await.take() {
            delivery.shutdown(POST_WITHIN).await;
        }
    }

    /// Makes payloads for `server` durable.
    fn store(&self, server: &Server) -> StorePayload {
        let (spool, url) = (self.spool.clone(), server.url.clone());
        Arc::new(move |body, program| {
            let (spool, url) = (spool.clone(), url.clone());
            Box::pin(async move {
                store_body(&spool, &body, &program, &url).await.map(|_| ()).map_err(|error| error.to_string())
            })
        })
    }
}

/// Makes the plan of a configuration: creates or reads agent ids, takes over backlogs of pattoo's
/// Python agents, and delivers to the configured server.
///
/// # Errors
///
/// When something in it cannot be used. Then nothing has changed, except that agent ids were
/// created.
pub async fn plan(resources: &DaemonResources, configuration: &Configuration) -> Result<Plan, PlanError> {
    let server = configuration.server.as_ref().ok_or(PlanError::NoServer)?;
    let own = OwnEndpoints::of_all(configuration.known_servers.iter().map(ServerUrl::url), resources.status).await;
    let ids = configuration.directories.daemon.agent_ids();
    let collectors = configuration
        .collectors
        .iter()
        .map(|settings| {
            let program = settings.program.clone();
            let id = AgentId::load_or_create(&ids, &program)
                .map_err(|error| PlanError::AgentId { program: program.clone(), error })?;
            let agent = Agent {
                program,
                id,
                hostname: configuration.hostname.clone(),
                polling_interval: settings.polling_interval,
            };
            desired(settings, agent, resources, &own)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(cache) = &configuration.directories.cache {
        for collector in &collectors {
            let agent = &collector.assignment.agent;
            if let Err(error) = take_over(&resources.spool, cache, &agent.id, &agent.program, &server.url).await {
                tracing::error!("{}: its backlog in {} is left there: {error}", agent.program, cache.display());
            }
        }
    }
    resources.deliver_to(server).await;
    resources.endpoints.deny_addresses(move |address| own.has_address(address.ip(), address.port()));
    Ok(Plan { collectors, store: resources.store(server) })
}

fn desired(
    settings: &CollectorSettings,
    agent: Agent,
    resources: &DaemonResources,
    own: &OwnEndpoints,
) -> Result<DesiredCollector, PlanError> {
    let program = agent.program.clone();
    let assignment = Assignment::builder(Arc::new(agent))
        .settings(settings.settings.clone())
        .grants(settings.grants.clone())
        .limits(settings.limits.collection.clone())
        .endpoints(resources.endpoints.clone())
        .own(own.clone())
        .state(resources.state.clone())
        .sinks(Arc::new(Memory::new(&resources.memory)))
        .build()
        .map_err(|error| PlanError::Grant { program, error })?;
    Ok(DesiredCollector {
        module: settings.module.clone(),
        pin: settings.sha256,
        compile: settings.limits.module,
        assignment: Arc::new(assignment),
    })
}
