//! `pattoo-wasm run`: one collection of one module, or repeated collections.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytesize::ByteSize;
use pattoo_base::clock::unix_millis;
use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::AgentId;
use pattoo_output::ServerUrl;
use pattoo_output::pattoo::{Batch, Body, PattooJson};
use pattoo_sandbox::{
    Collector, Module, Outcome, Sandbox, Termination,
    capability::{Assignment, Denial},
    state_store::StateStore,
};

use super::{
    Exit, Failure, Interruption,
    collection_flags::{CollectionFlags, load},
    run_post::{Destination, PostArgs, Undelivered},
    stdout::{indented, print_datapoints},
    values,
};
use crate::config::{self, ConfigDirectory, DataDirectory};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm run lava_script.wasm --program LAVA_SCRIPT --interval 20 \\
      --settings settings.yaml --http http://site-a.example.org
  pattoo-wasm run modbus_registers.wasm --pretty \\
      --modbus 'plc1=tcp://192.0.2.10:502?unit=1' \\
      --setting 'spans=[{device: plc1, table: holding, address: 0, count: 4}]'
  pattoo-wasm run collector.wasm --grants grants.yaml \\
      --post http://192.0.2.5:20201

Without --post nothing is sent: the payload that would be posted goes to stdout
as one line of JSON, logs go to stderr. With --post it is stored first. If the
server does not accept it, it stays in the spool, with exit code 5: the next run
of the same program, or the daemon, delivers it (see `pattoo-wasm spool`). What
pattoo's own agent of this name could not post is delivered before it.
`pattoo_wasm.yaml` has the limits of the spool and the token of the server.";

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run this WebAssembly component or core module (.wasm), or its text format (.wat)
    module: PathBuf,

    #[command(flatten)]
    collection: CollectionFlags,

    #[command(flatten)]
    post: PostArgs,

    /// Repeat the collection at this interval, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = values::integer::<u64>(1..=u64::from(u32::MAX), "300"))]
    every: Option<u64>,

    /// Print the payload over several lines
    #[arg(long)]
    pretty: bool,
}

/// A collector that is ready to run, and the destination of its payloads.
struct Job {
    sandbox: Sandbox,
    collector: Collector,
    assignment: Arc<Assignment>,
    post: Option<Destination>,
    pretty: bool,
}

/// Runs the command. Its data is stored in `directory`, or in the directory of the configuration.
pub(super) async fn run(args: Args, directory: Option<DataDirectory>) -> Result<Exit, Failure> {
    let every = args.every.map(Duration::from_secs);
    let job = prepare(args, directory).await?;
    let mut stop = Interruption::listen();
    match every {
        None => job.once(stop.wait()).await,
        Some(period) => job.repeatedly(period, stop).await,
    }
}

async fn prepare(args: Args, directory: Option<DataDirectory>) -> Result<Job, Failure> {
    let limits = args.collection.limits()?;
    let module = Module::read_within(&args.module, &limits.module)?;
    let settings = args.collection.settings()?;
    // Another directory than that of the configuration has nothing to do with pattoo's own agents.
    let agents_cache = match directory {
        Some(_) => None,
        None => config::agents_cache(&ConfigDirectory::find())?,
    };
    let directory = directory.map_or_else(DataDirectory::find, Ok)?;
    directory.refuse_other_users()?;
    let plan = args.post.plan()?;
    let grants = args.collection.grants()?;
    let own = own_endpoints(args.post.server()).await?;
    if let Some(error) = grants.check(&limits.collection, &own).into_iter().next() {
        return Err(error.into());
    }
    let (sandbox, collector) = load(&args.module, module, limits.module, &directory).await?;
    // Files are created only now, when nothing else can fail.
    let post = plan.map(|plan| plan.open(&directory)).transpose()?;
    let ids = directory.agent_ids();
    let agent =
        Arc::new(args.collection.agent(&args.module, &directory, |program| AgentId::load_or_create(&ids, program))?);
    if let (Some(destination), Some(cache)) = (&post, agents_cache) {
        destination.take_over(&cache, &agent).await;
    }
    let assignment = Assignment::builder(agent)
        .settings(settings)
        .grants(grants)
        .limits(limits.collection)
        .own(own)
        .state(StateStore::at(&directory.state()))
        .sinks(Arc::new(PattooJson))
        .build()?;
    let assignment = Arc::new(assignment);
    Ok(Job { sandbox, collector, assignment, post, pretty: args.pretty })
}

/// The endpoints that no collector may reach: the server that is posted to, and those of the
/// configuration.
pub(super) async fn own_endpoints(server: Option<&ServerUrl>) -> Result<OwnEndpoints, Failure> {
    // Without them, a grant of one of ours would not be refused.
    let found = tokio::task::spawn_blocking(|| config::own_addresses(&ConfigDirectory::find()))
        .await
        .map_err(|error| Failure::internal(format!("internal error while reading the configuration: {error}")))?;
    let urls = server.map(ServerUrl::url).into_iter().chain(&found.outputs);
    Ok(OwnEndpoints::of_all(urls, found.status).await)
}

impl Job {
    /// Collects once. When `stop` is ready the collector is stopped; the datapoints that it emitted
    /// before are kept.
    async fn once(&self, stop: impl Future<Output = ()>) -> Result<Exit, Failure> {
        let outcome = self.sandbox.collect_until(&self.collector, Arc::clone(&self.assignment), stop).await;
        self.report_denials(&outcome);
        tracing::debug!(
            "{}: {} datapoints accepted, {} rejected, in {:?}, with {} of memory",
            self.assignment.agent.program,
            outcome.emission.sink.datapoints(),
            outcome.emission.rejected,
            outcome.duration,
            ByteSize(outcome.peak_memory as u64).display().iec(),
        );
        if outcome.emission.rejected > 0 {
            tracing::warn!("{}: {} datapoints were rejected", self.assignment.agent.program, outcome.emission.rejected);
        }
        let delivered =
            if let Some(body) = Batch::of(outcome.emission.sink).and_then(|batch| batch.into_body(unix_millis())) {
                self.deliver(&body).await?
            } else {
                let what = if outcome.emission.rejected > 0 { "accepted" } else { "emitted" };
                tracing::info!("{}: no datapoint was {what}, so nothing is sent", self.assignment.agent.program);
                Ok(())
            };
        if let Some(changes) = outcome.state {
            changes.keep().await?;
        }
        let failure = match outcome.ending {
            Termination::Completed => None,
            Termination::Failed(message) => {
                Some(Failure::new(Exit::CollectorFailed, format!("the collector failed: {message}")))
            }
            Termination::Stopped(stop) => Some(stopped(&stop)),
        };
        // An undelivered payload matters more for the exit code than how the collector ended.
        match (delivered, failure) {
            (Ok(()), None) => Ok(Exit::Success),
            (Ok(()), Some(failure)) => Err(failure),
            (Err(not_delivered), failure) => {
                if let Some(failure) = failure {
                    failure.print();
                }
                Err(not_delivered)
            }
        }
    }

    /// Posts or prints a payload. The inner error says that it was not delivered, and where it is
    /// stored.
    async fn deliver(&self, body: &Body) -> Result<Result<(), Failure>, Failure> {
        let Some(destination) = &self.post else {
            return self.print(body).map(Ok);
        };
        match destination.deliver(body, &self.assignment.agent.program).await {
            Ok(()) => Ok(Ok(())),
            Err(Undelivered::Queued(failure)) => Ok(Err(failure)),
            // If printing fails as well, both errors are printed.
            Err(Undelivered::NotStored(failure)) => match self.print(body) {
                Ok(()) => Ok(Err(failure)),
                Err(lost) => {
                    failure.print();
                    Err(lost)
                }
            },
        }
    }

    fn print(&self, body: &Body) -> Result<(), Failure> {
        if !self.pretty {
            return print_datapoints(body.json(), body.datapoints());
        }
        print_datapoints(indented(&String::from_utf8_lossy(body.json())), body.datapoints())
    }

    fn report_denials(&self, outcome: &Outcome) {
        let program = &self.assignment.agent.program;
        for Denial { what, flag, line } in &outcome.denials {
            let fix = match (flag, line) {
                (Some(flag), _) => format!("; to grant it: {flag}"),
                (None, Some(line)) => format!("; to grant it, write in a --grants file: {line}"),
                (None, None) => String::new(),
            };
            tracing::warn!("{program}: {what}{fix}");
        }
    }

    /// Collects once every `period` until interrupted, and ends like the last collection. A failed
    /// collection is reported, and the next one runs.
    async fn repeatedly(&self, period: Duration, mut stop: Interruption) -> Result<Exit, Failure> {
        let mut ticks = tokio::time::interval(period);
        // After an overrun ticks are skipped.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last = Exit::Success;
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(last),
                _ = ticks.tick() => {}
            }
            last = match self.once(stop.wait()).await {
                Ok(exit) => exit,
                Err(failure) if failure.exit == Exit::InternalError => return Err(failure),
                Err(failure) => {
                    failure.print();
                    failure.exit
                }
            };
        }
    }
}

/// The failure of a collector that was stopped.
fn stopped(stop: &pattoo_sandbox::StopReason) -> Failure {
    use pattoo_sandbox::StopReason;
    let help = match stop {
        StopReason::Trap { frames, .. } if frames.is_empty() => {
            "fix the collector; datapoints that it emitted earlier are kept".to_owned()
        }
        StopReason::Trap { frames, .. } => {
            format!("fix the collector, in {}; datapoints that it emitted earlier are kept", frames.join(" ← "))
        }
        StopReason::Interrupted => {
            "run it again to collect everything; datapoints that it emitted earlier are kept".to_owned()
        }
        StopReason::Deadline(_) => {
            "raise the limit with --timeout, or add -v to see what the collector waits for".to_owned()
        }
        StopReason::Limit(limit) if limit.setting == "memory" => "raise the limit with --memory".to_owned(),
        StopReason::Limit(limit) => format!("raise the limit with --limit {}=VALUE", limit.setting),
        StopReason::State(error) => error.help().to_owned(),
    };
    Failure::new(Exit::CollectorStopped, stop).help(help)
}
