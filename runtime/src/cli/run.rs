//! `pattoo-wasm run`: one collection of one module, or one every so many seconds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytesize::ByteSize;
use pattoo_base::clock::unix_millis;
use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::AgentId;
use pattoo_output::ServerUrl;
use pattoo_output::pattoo::{Batch, Body, Memory};
use pattoo_sandbox::{
    Collector, Ending, Module, Outcome, Sandbox,
    capability::{Assignment, Denial},
    state::StateStore,
};

use super::{
    Exit, Failure, Interruption,
    collection::{self, load},
    output::{indented, print_datapoints},
    posting::{Outlet, PostArgs, Undelivered},
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

Without --post nothing is sent: the body that would be posted goes to stdout
as one line of JSON, logs go to stderr. With --post it is stored first. If the
server does not take it, it stays in the spool with exit code 5: the next run
of the same program, or the daemon, delivers it (see `pattoo-wasm spool`).
Limits of the spool, and the server's token, are those of `pattoo_wasm.yaml`.";

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The collector: a WebAssembly component or core module (.wasm), or the text format of either (.wat)
    module: PathBuf,

    #[command(flatten)]
    collection: collection::Flags,

    #[command(flatten)]
    post: PostArgs,

    /// Keep collecting, a collection every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,

    /// Print the body over several lines
    #[arg(long)]
    pretty: bool,
}

/// A collector that is ready to run, and where its bodies go.
struct Job {
    sandbox: Sandbox,
    collector: Collector,
    assignment: Arc<Assignment>,
    post: Option<Outlet>,
    pretty: bool,
}

/// Runs the command. Its data is kept in `directory`, else where the configuration says.
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
    let directory = directory.map_or_else(DataDirectory::find, Ok)?;
    let plan = args.post.plan()?;
    let grants = args.collection.grants()?;
    let own = own_endpoints(args.post.server()).await;
    if let Some(error) = grants.check(&limits.collection, &own).into_iter().next() {
        return Err(Failure::usage(error));
    }
    let (sandbox, collector) = load(&args.module, module, limits.module, &directory).await?;
    // Only now, when nothing else can be wrong, is anything made that stays.
    let post = plan.map(|plan| plan.open(&directory)).transpose()?;
    let ids = directory.agent_ids();
    let agent = Arc::new(args.collection.agent(&args.module, |program| AgentId::load_or_create(&ids, program))?);
    let assignment = Assignment::builder(agent)
        .settings(settings)
        .grants(grants)
        .limits(limits.collection)
        .own(own)
        .state(StateStore::at(&directory.state()))
        .sinks(Arc::new(Memory::default()))
        .build()
        .map_err(Failure::usage)?;
    let assignment = Arc::new(assignment);
    Ok(Job { sandbox, collector, assignment, post, pretty: args.pretty })
}

/// What no guest may talk to: the server that we post to, and the endpoints of the configuration that is there.
pub(super) async fn own_endpoints(server: Option<&ServerUrl>) -> OwnEndpoints {
    let found =
        tokio::task::spawn_blocking(|| config::own_addresses(&ConfigDirectory::find())).await.unwrap_or_default();
    let servers = server.into_iter().chain(&found.servers).map(ServerUrl::url);
    OwnEndpoints::of_all(servers, found.status).await
}

impl Job {
    /// Makes one collection. When `stop` is ready the guest is stopped, and what it emitted until then goes its way.
    async fn once(&self, stop: impl Future<Output = ()>) -> Result<Exit, Failure> {
        let outcome = self.sandbox.collect_until(&self.collector, Arc::clone(&self.assignment), stop).await;
        self.report_denials(&outcome);
        tracing::debug!(
            "{}: {} datapoints taken, {} rejected, in {:?}, with {} of memory",
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
                tracing::info!("{}: nothing was emitted, so nothing is sent", self.assignment.agent.program);
                Ok(())
            };
        if let Some(changes) = outcome.state {
            changes.keep().await?;
        }
        let failure = match outcome.ending {
            Ending::Completed => None,
            Ending::Failed(message) => {
                Some(Failure::new(Exit::GuestFailed, format!("the collector failed: {message}")))
            }
            Ending::Stopped(stop) => Some(stopped(&stop)),
        };
        // That nothing reached the server matters more to whoever looks at the code than how the guest ended.
        match (delivered, failure) {
            (Ok(()), None) => Ok(Exit::Good),
            (Ok(()), Some(failure)) => Err(failure),
            (Err(not_delivered), failure) => {
                if let Some(failure) = failure {
                    failure.print();
                }
                Err(not_delivered)
            }
        }
    }

    /// Posts or prints a body. The inner error says that it was not delivered, and where it is instead.
    async fn deliver(&self, body: &Body) -> Result<Result<(), Failure>, Failure> {
        let Some(outlet) = &self.post else {
            return self.print(body).map(Ok);
        };
        match outlet.deliver(body, &self.assignment.agent.program).await {
            Ok(()) => Ok(Ok(())),
            Err(Undelivered::Waits(failure)) => Ok(Err(failure)),
            // If not even printing succeeds, both are to be read.
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
            let mend = match (flag, line) {
                (Some(flag), _) => format!("; to grant it: {flag}"),
                (None, Some(line)) => format!("; to grant it, write into a --grants file: {line}"),
                (None, None) => String::new(),
            };
            tracing::warn!("{program}: {what}{mend}");
        }
    }

    /// Collects once every `period` until interrupted, and ends as the last collection did. One that fails is reported and
    /// ends nothing.
    async fn repeatedly(&self, period: Duration, mut stop: Interruption) -> Result<Exit, Failure> {
        let mut ticks = tokio::time::interval(period);
        // An overrun skips, and never piles up.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last = Exit::Good;
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(last),
                _ = ticks.tick() => {}
            }
            last = match self.once(stop.wait()).await {
                Ok(exit) => exit,
                Err(failure) if failure.exit == Exit::Fault => return Err(failure),
                Err(failure) => {
                    failure.print();
                    failure.exit
                }
            };
        }
    }
}

/// A guest that was stopped, with what its operator can do about it.
fn stopped(stop: &pattoo_sandbox::Stop) -> Failure {
    use pattoo_sandbox::Stop;
    let help = match stop {
        Stop::Trap { frames, .. } if frames.is_empty() => {
            "this is a mistake in the collector; what it emitted before is kept".to_owned()
        }
        Stop::Trap { frames, .. } => {
            format!("this is a mistake in the collector, in {}; what it emitted before is kept", frames.join(" ← "))
        }
        Stop::Interrupted => "what it emitted before is kept".to_owned(),
        Stop::Deadline(_) => "give it longer with --timeout, or find out what it waits for with -v".to_owned(),
        Stop::Limit(limit) if limit.setting == "memory" => "give it more with --memory".to_owned(),
        Stop::Limit(limit) => format!("give it more with --limit {}=VALUE", limit.setting),
        Stop::State(error) => error.help().to_owned(),
    };
    Failure::new(Exit::GuestStopped, stop).help(help)
}
