//! `pattoo-wasm run`: one collection of one module, or one every so many seconds.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytesize::ByteSize;
use serde_json::Map;

use super::{Exit, Failure, interrupted, output::print_line};
use crate::{
    capability::{
        Assignment, Denial, Limits,
        modbus::{DeviceGrant, Devices},
        unix_millis,
    },
    config::{self, DataDirectory, Grants},
    delivery::{DeliverySettings, ServerUrl, Spool, SpoolError, SpoolLimits, deliver_now},
    http::{self, OriginGrant, OwnEndpoints},
    modbus::{DeviceUrl, Endpoints},
    pattoo::{Agent, AgentId, Body, Hostname, PollingInterval, Program},
    sandbox::{Collector, Ending, Module, Outcome, Sandbox},
    state::StateStore,
};

/// After how long a compilation is announced, on a terminal.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long `--post` takes at most, together with what was stored before.
const POST_BOUND: Duration = Duration::from_mins(1);

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm run lava_script.wasm --program LAVA_SCRIPT --interval 20 --settings settings.yaml \\
      --http http://site-a.example.org --http http://work-1.example.org
  pattoo-wasm run modbus_registers.wasm --modbus 'plc1=tcp://192.0.2.10:502?unit=1' \\
      --setting 'spans=[{device: plc1, table: holding, address: 0, count: 4}]' --pretty
  pattoo-wasm run collector.wasm --grants grants.yaml --post http://192.0.2.5:20201

Without --post nothing is sent: the body that would be posted goes to stdout as one line of JSON, logs go to
stderr. With --post it is stored first. If the server does not take it, it stays in the spool with exit code 5: the
next run of the same program, or the daemon, delivers it (see `pattoo-wasm spool`).";

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The collector: a WebAssembly component or core module (.wasm), or the text format of either (.wat)
    module: PathBuf,

    /// Name of the program towards pattoo [default: the module's file name without its ending]
    #[arg(long, value_name = "NAME")]
    program: Option<Program>,

    /// Polling interval that is told to the collector and to pattoo
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = parse_interval)]
    interval: PollingInterval,

    /// A setting for the collector; the value is read as YAML, else taken as text (repeatable)
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// A YAML or JSON file of settings; --setting is laid over it
    #[arg(long = "settings", value_name = "FILE")]
    settings_file: Option<PathBuf>,

    /// Grant a web origin: scheme, host and port; GET and HEAD, every path (repeatable)
    #[arg(long = "http", value_name = "ORIGIN")]
    origins: Vec<http::Origin>,

    /// Grant a Modbus device under a name: all four tables of one unit (repeatable)
    #[arg(long = "modbus", value_name = "NAME=URL", value_parser = parse_device)]
    devices: Vec<DeviceGrant>,

    /// A YAML file of grants, as under `grants:` in `pattoo_wasm.yaml`
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,

    /// How long the whole collection may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// How much memory the collector may have
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    memory: ByteSize,

    /// Name of this machine towards pattoo [default: its fully qualified name]
    #[arg(long, value_name = "NAME")]
    hostname: Option<Hostname>,

    /// Post to the pattoo server at this base URL
    #[arg(long, value_name = "URL")]
    post: Option<ServerUrl>,

    /// Keep collecting, a collection every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,

    /// Print the body over several lines
    #[arg(long)]
    pretty: bool,
}

fn parse_interval(text: &str) -> Result<PollingInterval, String> {
    let seconds: u32 = text.parse().map_err(|_| "it is a whole number of seconds".to_owned())?;
    PollingInterval::from_seconds(seconds).map_err(|error| error.to_string())
}

fn parse_device(text: &str) -> Result<DeviceGrant, String> {
    let (name, url) = text.split_once('=').ok_or("write it as NAME=URL, for example plc1=tcp://192.0.2.10:502")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let url: DeviceUrl = url.parse().map_err(|error| format!("{error}"))?;
    Ok(DeviceGrant::new(name, &url))
}

/// A collector that is ready to run, and where its bodies go.
struct Job {
    sandbox: Sandbox,
    collector: Collector,
    assignment: Arc<Assignment>,
    post: Option<(ServerUrl, Spool)>,
    pretty: bool,
}

/// Runs the command. Its data is kept in `directory`, else where the configuration says.
pub(super) async fn run(args: Args, directory: Option<DataDirectory>) -> Result<Exit, Failure> {
    let every = args.every.map(Duration::from_secs);
    let job = prepare(args, directory).await?;
    match every {
        None => job.once().await,
        Some(period) => job.repeatedly(period).await,
    }
}

async fn prepare(args: Args, directory: Option<DataDirectory>) -> Result<Job, Failure> {
    let module = Module::read(&args.module).map_err(load_failure)?;
    let settings = settings(&args)?;
    let directory = directory.map_or_else(DataDirectory::find, Ok)?;
    let agent = Arc::new(agent(&args, &directory)?);
    let grants = grants(&args)?;
    let spool = args.post.is_some().then(|| Spool::open(&directory.spool(), SpoolLimits::default()));
    let spool = spool.transpose().map_err(spool_failure)?;
    let post = args.post.clone().zip(spool);
    let limits = Limits {
        timeout: args.timeout,
        memory: usize::try_from(args.memory.as_u64()).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let own = own_endpoints(args.post.as_ref());
    let http = http::Client::new(grants.http, http::Limits::default(), own).map_err(Failure::usage)?;
    let state = StateStore::at(&directory.state());
    let modbus = Devices::new(grants.modbus, &Endpoints::new());
    let assignment = Arc::new(Assignment { agent, settings, modbus, http, state, limits });
    let (sandbox, collector) = load(&args.module, module, &directory).await?;
    Ok(Job { sandbox, collector, assignment, post, pretty: args.pretty })
}

/// Compiles the module, and says so on a terminal when that takes a while.
async fn load(path: &Path, module: Module, directory: &DataDirectory) -> Result<(Sandbox, Collector), Failure> {
    let compiled = directory.compiled().to_owned();
    let mut loading = tokio::task::spawn_blocking(move || {
        let sandbox = Sandbox::new(1, super::compiler()?, super::cache(&compiled)).map_err(|error| {
            Failure::fault(error)
                .help("a limit on address space (`ulimit -v`) may be too low: 16 GiB are reserved, not used")
        })?;
        let collector = sandbox.load(&module).map_err(load_failure)?;
        Ok((sandbox, collector))
    });
    let done = tokio::select! {
        done = &mut loading => done,
        () = tokio::time::sleep(PATIENCE) => {
            if std::io::stderr().is_terminal() {
                tracing::info!("compiling {} …", path.display());
            }
            loading.await
        }
    };
    done.map_err(|error| Failure::fault(format!("the compilation ended: {error}")))?
}

fn load_failure(error: crate::sandbox::LoadError) -> Failure {
    let help = error.help().into_owned();
    Failure::usage(error).help(help)
}

pub(super) fn spool_failure(error: SpoolError) -> Failure {
    let help = error.help();
    let failure = Failure::usage(error);
    if let Some(help) = help { failure.help(help) } else { failure }
}

fn settings(args: &Args) -> Result<String, Failure> {
    let mut settings =
        args.settings_file.as_deref().map_or_else(|| Ok(Map::new()), config::read_settings).map_err(Failure::usage)?;
    for setting in &args.settings {
        config::merge_setting(&mut settings, setting).map_err(Failure::usage)?;
    }
    config::to_json(settings).map_err(Failure::usage)
}

fn agent(args: &Args, directory: &DataDirectory) -> Result<Agent, Failure> {
    let program = if let Some(program) = &args.program {
        program.clone()
    } else {
        let stem = args.module.file_stem().unwrap_or_default().to_string_lossy();
        stem.parse().map_err(|error| Failure::usage(error).help("name the program with --program NAME"))?
    };
    let hostname = match &args.hostname {
        Some(hostname) => hostname.clone(),
        None => config::fully_qualified_hostname()
            .map_err(|error| Failure::fault(error).help("name this machine with --hostname NAME"))?,
    };
    let id = AgentId::load_or_create(&directory.agent_ids(), &program).map_err(|error| {
        let help = error.help();
        let failure = Failure::usage(error);
        if let Some(help) = help { failure.help(help) } else { failure }
    })?;
    Ok(Agent { program, id, hostname, polling_interval: args.interval })
}

fn grants(args: &Args) -> Result<Grants, Failure> {
    let mut grants = args.grants.as_deref().map_or_else(|| Ok(Grants::default()), Grants::read)?;
    grants.http.extend(args.origins.iter().cloned().map(OriginGrant::new));
    for device in &args.devices {
        if grants.modbus.iter().any(|other| other.name == device.name) {
            return Err(Failure::usage(format!("the device `{}` is granted twice", device.name)).help(
                "give each device a name of its own; several units of one go into a --grants file: `units: [1, 7]`",
            ));
        }
        grants.modbus.push(device.clone());
    }
    Ok(grants)
}

/// The endpoints that no guest may talk to: the server that we post to.
fn own_endpoints(server: Option<&ServerUrl>) -> OwnEndpoints {
    let origins = server.and_then(|server| server.url().origin().ascii_serialization().parse().ok());
    OwnEndpoints { origins: origins.into_iter().collect(), ..OwnEndpoints::default() }
}

impl Job {
    async fn once(&self) -> Result<Exit, Failure> {
        let outcome = self.sandbox.collect(&self.collector, Arc::clone(&self.assignment)).await;
        self.report_denials(&outcome);
        tracing::debug!(
            "{}: {} datapoints taken, {} rejected, in {:?}, with {} of memory",
            self.assignment.agent.program,
            outcome.emission.batch.datapoints(),
            outcome.emission.rejected,
            outcome.duration,
            ByteSize(outcome.peak_memory as u64).display().iec(),
        );
        if outcome.emission.rejected > 0 {
            tracing::warn!("{}: {} datapoints were rejected", self.assignment.agent.program, outcome.emission.rejected);
        }
        let delivered = if let Some(body) = outcome.emission.batch.into_body(unix_millis()) {
            self.deliver(&body).await?
        } else {
            tracing::info!("{}: nothing was emitted, so nothing is sent", self.assignment.agent.program);
            Ok(())
        };
        if let Some(changes) = outcome.state {
            changes.keep().await.map_err(|error| {
                let help = error.help();
                Failure::fault(error).help(help)
            })?;
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
        let Some((server, spool)) = &self.post else {
            return self.print(body).map(Ok);
        };
        let program = &self.assignment.agent.program;
        let id = match spool.store(body, program, server).await {
            Ok(id) => id,
            Err(error) => {
                self.print(body)?;
                let failure = Failure::new(Exit::NotDelivered, format!("not stored, so not sent: {error}"));
                return Ok(Err(failure.help("the body is on stdout instead")));
            }
        };
        let settings = DeliverySettings::default();
        match deliver_now(spool, settings, body.agent_id(), server, id, POST_BOUND).await {
            Ok(()) => {
                tracing::info!("{program}: {} datapoints delivered", body.datapoints());
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(Failure::new(Exit::NotDelivered, format!("not delivered: {error}")).help(format!(
                "it is body {id} in the spool, and is posted before others by the next run of {program} with --post, or by the \
                 daemon; check the URL given with --post and that the server runs"
            )))),
        }
    }

    fn print(&self, body: &Body) -> Result<(), Failure> {
        if !self.pretty {
            return print_line(body.json());
        }
        let value: serde_json::Value = serde_json::from_slice(body.json())
            .map_err(|error| Failure::fault(format!("our own body is not JSON: {error}")))?;
        print_line(format!("{value:#}"))
    }

    fn report_denials(&self, outcome: &Outcome) {
        let program = &self.assignment.agent.program;
        for Denial { what, flag, line } in &outcome.denials {
            let mend = match (flag, line) {
                (Some(flag), _) => format!("; to grant it: {flag}"),
                (None, Some(line)) => format!("; to grant it, in the --grants file:\n{line}"),
                (None, None) => String::new(),
            };
            tracing::warn!("{program}: not granted: {what}{mend}");
        }
    }

    /// Collects once every `period` until interrupted, and ends as the last collection did. One that fails is reported and
    /// ends nothing; one that is under way is finished, unless interrupted again.
    async fn repeatedly(&self, period: Duration) -> Result<Exit, Failure> {
        let mut ticks = tokio::time::interval(period);
        // An overrun skips, and never piles up.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last = Exit::Good;
        loop {
            tokio::select! {
                () = interrupted() => return Ok(last),
                _ = ticks.tick() => {}
            }
            let collection = self.once();
            tokio::pin!(collection);
            let mut stopping = false;
            let ended = loop {
                tokio::select! {
                    ended = &mut collection => break ended,
                    () = interrupted(), if stopping => return Ok(last),
                    () = interrupted() => {
                        tracing::info!("finishing the collection under way; interrupt again to abandon it");
                        stopping = true;
                    }
                }
            };
            last = match ended {
                Ok(exit) => exit,
                Err(failure) if failure.exit == Exit::Fault => return Err(failure),
                Err(failure) => {
                    failure.print();
                    failure.exit
                }
            };
            if stopping {
                return Ok(last);
            }
        }
    }
}

/// A guest that was stopped, with what its operator can do about it.
fn stopped(stop: &crate::sandbox::Stop) -> Failure {
    use crate::sandbox::Stop;
    let help = match stop {
        Stop::Trap { frames, .. } if frames.is_empty() => {
            "this is a mistake in the collector; what it emitted before is kept".to_owned()
        }
        Stop::Trap { frames, .. } => {
            format!("this is a mistake in the collector, in {}; what it emitted before is kept", frames.join(" ← "))
        }
        Stop::Deadline(_) => "give it longer with --timeout, or find out what it waits for with -v".to_owned(),
        Stop::Limit(limit) if limit.setting == "memory" => "give it more with --memory".to_owned(),
        Stop::Limit(limit) => format!("the limit is `{}`", limit.setting),
        Stop::State(error) => error.help().to_owned(),
    };
    Failure::new(Exit::GuestStopped, stop).help(help)
}
