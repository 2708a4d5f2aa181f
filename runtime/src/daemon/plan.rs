//! From a configuration to a plan: the collectors, their grants, and the outputs of their payloads.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use pattoo_base::lock::lock;
use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::{Agent, AgentId, AgentIdError, Program};
use pattoo_output::{Delivery, DeliverySettings, Encodings, NamedOutput, OutputName};
use pattoo_sandbox::{
    capability::{Assignment, GrantError, SharedResources},
    state_store::StateStore,
};
use pattoo_spool::Spool;
use tokio::task::JoinSet;

use super::{CollectorLog, DaemonStatus, DesiredCollector, StorePayloads, health::HealthReporter};
use crate::config::{CollectorSettings, Configuration, HealthSettings};

/// The time for running requests to finish when delivery stops.
const POST_WITHIN: Duration = Duration::from_secs(5);

/// Why a configuration cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No output is configured.
    #[error("no output is configured")]
    NoOutput,
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

impl PlanError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoOutput => {
                let server = "`server: { url: \"http://192.0.2.5:20201\" }`";
                Some(format!("set {server} or `outputs:` in pattoo_wasm.yaml, or `ip_address` in pattoo.yaml"))
            }
            Self::AgentId { error, .. } => error.help(),
            Self::Grant { error, .. } => Some(error.help.to_owned()),
        }
    }
}

/// What outlives a reload: the spool, the connections that collectors share, their state and their
/// logs, and the delivery.
pub struct DaemonResources {
    spool: Spool,
    shared: SharedResources,
    state: StateStore,
    status: Option<SocketAddr>,
    delivery: Mutex<Option<Delivery>>,
    /// The reporter of the daemon's own health, stopped when it is dropped.
    health: Mutex<JoinSet<()>>,
    logs: Mutex<HashMap<Program, Arc<CollectorLog>>>,
    daemon: Arc<DaemonStatus>,
}

impl DaemonResources {
    /// Resources that deliver nothing yet. `status` is our own address, which no collector may reach.
    pub fn new(spool: Spool, state: StateStore, status: Option<SocketAddr>, daemon: Arc<DaemonStatus>) -> Self {
        let (shared, delivery, health) = (SharedResources::default(), Mutex::default(), Mutex::default());
        Self { spool, shared, state, status, delivery, health, logs: Mutex::default(), daemon }
    }

    /// Sends what is in the spool to `outputs` from now on, and at once. Outputs that did not change are not disturbed.
    fn deliver_to(&self, outputs: &[NamedOutput]) {
        let mut delivery = lock(&self.delivery);
        if let Some(delivery) = &*delivery {
            delivery.reload(outputs.to_vec());
        } else {
            let status = Arc::clone(&self.daemon.outputs);
            let settings = DeliverySettings { outputs: outputs.to_vec(), status, ..DeliverySettings::default() };
            *delivery = Some(Delivery::start(self.spool.clone(), settings));
        }
    }

    /// Stops the delivery. A running request gets some time to finish; other payloads stay in the
    /// spool.
    pub async fn close(&self) {
        *lock(&self.health) = JoinSet::new();
        let delivery = lock(&self.delivery).take();
        if let Some(delivery) = delivery {
            delivery.shutdown(POST_WITHIN).await;
        }
    }

    /// Makes the payloads of a collection durable, all of them in one transaction, and notes the
    /// time.
    pub fn store(&self) -> StorePayloads {
        let (spool, time_mark) = (self.spool.clone(), Arc::clone(&self.daemon.time_mark));
        Arc::new(move |payloads| {
            let (spool, time_mark) = (spool.clone(), Arc::clone(&time_mark));
            Box::pin(async move {
                let stored = spool.store(payloads).await.map(|_| time_mark.stored());
                stored.map_err(|error| error.to_string())
            })
        })
    }

    /// Files with this digest are in effect from now on.
    pub fn configured_by(&self, digest: String) {
        self.daemon.configured_by(digest);
    }

    /// Reports on the daemon itself from now on, or no longer.
    fn report_health(&self, reporter: Option<HealthReporter>) {
        let mut health = lock(&self.health);
        *health = JoinSet::new();
        if let Some(reporter) = reporter {
            health.spawn(reporter.run());
        }
    }

    /// Keeps the logs of these collectors and no others. Each logs its problems once more.
    fn keep_logs<T>(&self, collectors: &[(DesiredCollector, T)]) {
        let kept = collectors.iter().map(|(one, _)| (one.assignment.agent.program.clone(), Arc::clone(&one.log)));
        let logs: HashMap<_, _> = kept.collect();
        for log in logs.values() {
            log.repeat();
        }
        *lock(&self.logs) = logs;
    }

    /// Moves the backlog of pattoo's own agent of this name into the spool, for the first output of
    /// the collector that knows such agents.
    async fn take_over(&self, cache: &Path, agent: &Agent, outputs: &[&NamedOutput]) {
        let taking = outputs
            .iter()
            .find_map(|output| output.output.settings().take_over(&self.spool, cache, &agent.id, &agent.program));
        if let Some(taking) = taking
            && let Err(error) = taking.await
        {
            tracing::error!("{}: cannot import the backlog of {}: {error}", agent.program, cache.display());
        }
    }
}

/// Makes the plan of a configuration: the collectors to run, each with a program of its own. Agent
/// ids are made or read, backlogs of pattoo's Python agents taken over, and delivery goes to the
/// configured outputs.
///
/// # Errors
///
/// When something in it cannot be used. Nothing has changed then but that agent ids were made.
pub async fn plan(
    resources: &DaemonResources,
    configuration: &Configuration,
) -> Result<Vec<DesiredCollector>, PlanError> {
    if configuration.outputs.is_empty() {
        return Err(PlanError::NoOutput);
    }
    let own = OwnEndpoints::of_all(&configuration.output_urls, resources.status).await;
    let ids = configuration.directories.daemon.agent_ids();
    let agent = |program: &Program, polling_interval| {
        let id = AgentId::load_or_create(&ids, program)
            .map_err(|error| PlanError::AgentId { program: program.clone(), error })?;
        Ok(Agent { program: program.clone(), id, hostname: configuration.hostname.clone(), polling_interval })
    };
    let collectors = configuration
        .collectors
        .iter()
        .map(|settings| {
            let agent = agent(&settings.program, settings.polling_interval)?;
            let outputs = chosen(&configuration.outputs, &settings.outputs);
            let collector = desired(settings, agent, &outputs, resources, &own)?;
            Ok((collector, outputs))
        })
        .collect::<Result<Vec<_>, PlanError>>()?;
    let health = configuration.health.as_ref().map(|settings: &HealthSettings| {
        Ok(HealthReporter {
            agent: Arc::new(agent(&settings.program, settings.polling_interval)?),
            encodings: Encodings::new(chosen(&configuration.outputs, &settings.outputs)),
            status: Arc::clone(&resources.daemon),
            spool: resources.spool.clone(),
            store: resources.store(),
            directory: configuration.directories.daemon.own().to_owned(),
        })
    });
    let health = health.transpose()?;
    if let Some(cache) = &configuration.directories.cache {
        for (collector, outputs) in &collectors {
            resources.take_over(cache, &collector.assignment.agent, outputs).await;
        }
    }
    resources.deliver_to(&configuration.outputs);
    resources.shared.deny_own(&own);
    resources.report_health(health);
    resources.keep_logs(&collectors);
    Ok(collectors.into_iter().map(|(collector, _)| collector).collect())
}

/// The outputs with these names.
fn chosen<'o>(outputs: &'o [NamedOutput], names: &[OutputName]) -> Vec<&'o NamedOutput> {
    outputs.iter().filter(|output| names.contains(&output.name)).collect()
}

fn desired(
    settings: &CollectorSettings,
    agent: Agent,
    outputs: &[&NamedOutput],
    resources: &DaemonResources,
    own: &OwnEndpoints,
) -> Result<DesiredCollector, PlanError> {
    let program = agent.program.clone();
    let log = Arc::clone(lock(&resources.logs).entry(program.clone()).or_default());
    let assignment = Assignment::builder(Arc::new(agent))
        .settings(settings.settings.clone())
        .grants(settings.grants.clone())
        .limits(settings.limits.collection.clone())
        .shared(resources.shared.clone())
        .own(own.clone())
        .state(resources.state.clone())
        .sinks(Arc::new(Encodings::new(outputs.iter().copied())))
        .lines(Arc::<CollectorLog>::clone(&log))
        .build()
        .map_err(|error| PlanError::Grant { program, error })?;
    Ok(DesiredCollector {
        module: settings.module.clone(),
        pin: settings.sha256,
        compile: settings.limits.module,
        assignment: Arc::new(assignment),
        log,
    })
}
