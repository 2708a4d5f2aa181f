//! `pattoo-wasm check`: finds what would fail later, each with its place and how to fix it.
//!
//! Nothing is collected, posted or stored. Files are checked with the permissions of the daemon: root
//! takes on those of the owner of `daemon_directory`. The documentation lists what cannot be checked:
//! a secret that only the environment of the daemon has, a certificate.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::{files, tls::Trust, users::User};
use pattoo_fetch::OwnEndpoints;
use pattoo_measurement::AgentId;
use pattoo_output::NamedOutput;
use pattoo_sandbox::{
    CompileLimits, LoadError, Module, ModuleDigest, Sandbox,
    capability::{CAPABILITIES, GrantError},
};
use pattoo_settings::{ConfigError, Place, Problem, Severity};
use url::Url;

use super::{Exit, Failure, exit::Finding, stdout::print_line};
use crate::config::{CollectorSettings, ConfigDirectory, DataDirectory, Loaded, OURS, PathStep, modules, schema};

/// The time for reaching an output.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

/// The interface for emitting datapoints. A collector without this import never emits one.
const DATAPOINTS: &str = "datapoints";

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm check
      Find what would fail later, with file, line and fix; wrong keys hide what follows from them
  pattoo-wasm check --config ./config --effective
      Check another configuration, and print its settings with all defaults
  pattoo-wasm check --schema > pattoo_wasm.schema.json
      Write the JSON Schema of pattoo_wasm.yaml, for editors

It reads pattoo.yaml, pattoo_agent.yaml, pattoo_wasm.yaml and the files in pattoo_wasm.d.
Findings go to stderr. Exit code 0: no errors; 2: errors.";

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Check the configuration in this directory [default: `PATTOO_CONFIGDIR`, or /etc/pattoo]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,

    /// Print the effective settings as YAML, with the variable or file of each secret
    #[arg(long)]
    effective: bool,

    /// Print the JSON Schema of `pattoo_wasm.yaml` and do nothing else
    #[arg(long, conflicts_with = "effective")]
    schema: bool,
}

/// Runs the command.
pub(super) async fn check(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        print_line(format!("{:#}", schema()))?;
        return Ok(Exit::Success);
    }
    let directory = ConfigDirectory::named_or_found(args.config.as_deref());
    let (user, loaded) = tokio::task::spawn_blocking(move || {
        let user = DaemonUser::find(&directory);
        let load = || Loaded::load(&directory).map_err(|error| with_missing_modules(&error, &directory));
        let loaded = user.does(load);
        (user, loaded)
    })
    .await
    .map_err(|error| Failure::internal(format!("internal error while reading the configuration: {error}")))?;
    let loaded = loaded?;
    let runtime = tokio::runtime::Handle::current();
    let reachable = tokio::task::block_in_place(|| user.does(|| runtime.block_on(reachable(&loaded))));
    let own = OwnEndpoints::of_all(&loaded.configuration.output_urls, loaded.configuration.status).await;
    let mut problems = tokio::task::block_in_place(|| everything_else(&loaded, &own, &user))?;
    problems.extend(reachable);
    problems.sort_by(|one, other| one.position().cmp(&other.position()));
    problems.iter().map(Finding::from).for_each(|finding| finding.print());
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let summary = format!(
        "collectors: {}, errors: {errors}, warnings: {}",
        loaded.configuration.collectors.len(),
        problems.len().saturating_sub(errors)
    );
    if args.effective {
        print_line(loaded.effective().trim_end())?;
        tracing::info!("{summary}");
    } else {
        print_line(summary)?;
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Usage })
}

/// The same error, and the modules that cannot be opened: they need no valid configuration.
fn with_missing_modules(error: &ConfigError, directory: &ConfigDirectory) -> ConfigError {
    let missing = modules(directory).into_iter().filter_map(|(path, place)| {
        let error = files::open(&path).err()?;
        let error = LoadError::Unreadable { path, error };
        Some(Problem::error(error.to_string(), place, error.help()))
    });
    error.problems().iter().cloned().chain(missing).collect::<Vec<_>>().into()
}

/// The problem that there is no output, or those of outputs that cannot be reached.
async fn reachable(loaded: &Loaded) -> Vec<Problem> {
    let outputs = &loaded.configuration.outputs;
    if outputs.is_empty() {
        let help = "add `server: { url: \"https://pattoo.example.org\" }` or `outputs:`; the daemon does not start without an output";
        return vec![Problem::error("no output is configured", loaded.place(&[OURS]), help).as_warning()];
    }
    let probe = async |output: &NamedOutput| {
        let what = output.output.settings().probe(REACHABLE_WITHIN).await.err()?;
        let help =
            "start the server, or correct its address; payloads wait in the spool until it can be reached".to_owned();
        Some(Problem { severity: Severity::Warning, what, place: loaded.place_of_outputs(), help })
    };
    futures_util::future::join_all(outputs.iter().map(probe)).await.into_iter().flatten().collect()
}

/// The user of the daemon, as far as it is known.
struct DaemonUser(Option<User>);

impl DaemonUser {
    /// For root the owner of the directory of data, else this user.
    fn find(directory: &ConfigDirectory) -> Self {
        let owner = DataDirectory::find_in(directory).ok().and_then(|directory| directory.owner());
        let owner = owner.filter(|owner| User::current().is_root() && !owner.is_root());
        if let Some(owner) = &owner {
            tracing::info!("files are checked with the permissions of {owner}, who owns `daemon_directory`");
        }
        Self(owner)
    }

    /// Does `work` with the permissions of this user.
    fn does<T: Send>(&self, work: impl Fn() -> T + Sync) -> T {
        let done = self.0.as_ref().map(|user| user.does(&work));
        match done {
            None => work(),
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                tracing::warn!("cannot take on the permissions of another user, so root's are used: {error}");
                work()
            }
        }
    }
}

/// Outputs whose certificates cannot be verified.
fn untrusted(loaded: &Loaded) -> Vec<Problem> {
    let urls = loaded.configuration.outputs.iter().filter_map(|output| output.output.settings().url());
    let problem = |url: &Url| {
        let error = Trust::default().config(usize::from(url.scheme() == "https")).err()?;
        let what = format!("{url} cannot be posted to: {error}");
        let help = error.help().to_owned();
        Some(Problem { severity: Severity::Error, what, place: loaded.place_of_outputs(), help })
    };
    urls.filter_map(problem).collect()
}

/// Checks everything but the outputs. It takes the time of compiling all modules.
fn everything_else(loaded: &Loaded, own: &OwnEndpoints, user: &DaemonUser) -> Result<Vec<Problem>, Failure> {
    let compiler = super::compiler()?;
    if let Some(note) = compiler.unconfined() {
        tracing::warn!("{note}");
    }
    let concurrent = loaded.configuration.concurrent;
    let sandbox = Sandbox::with_trials(concurrent, compiler, None)
        .map_err(|error| Failure::internal(error).help(super::ENGINE_HELP))?;
    let mut modules = Modules { sandbox: &sandbox, user, loaded: HashMap::new() };
    let mut problems =
        user.does(|| [directories(loaded), untrusted(loaded), loaded.exposures(), own_files(loaded)].concat());
    problems.extend(status(loaded));
    problems.extend(loaded.configuration.change_of_name());
    problems.extend(sandbox.shortage().map(|what| {
        let help = format!("{}, or write `concurrent: {}`", super::ENGINE_HELP, sandbox.concurrent());
        Problem::error(what, loaded.place(&[OURS, PathStep::Key("concurrent")]), help).as_warning()
    }));
    for (index, collector) in loaded.configuration.collectors.iter().enumerate() {
        let at = |path: &[PathStep]| loaded.place_in_collector(index, path);
        problems.extend(grants(collector, own, &at));
        problems.extend(timeout(collector, &at));
        problems.extend(modules.check(collector, &at));
    }
    Ok(problems)
}

/// Directories that the daemon cannot write to.
fn directories(loaded: &Loaded) -> Vec<Problem> {
    let directories = &loaded.configuration.directories;
    let log = directories.log.as_deref().map(|path| ("log_directory", path));
    let daemon = &directories.daemon;
    if let Err(error) = daemon.refuse_other_users() {
        return vec![Problem::without_place(error.to_string(), error.help())];
    }
    let (own, ids, spool, state) = (daemon.own(), daemon.agent_ids(), daemon.spool(), daemon.state());
    let below = [Some(own), Some(&ids), spool.parent(), state.parent()].into_iter().flatten();
    let data = [daemon.root()].into_iter().chain(below).filter(|path| *path == daemon.root() || path.exists());
    let unwritable = |(key, path): (&'static str, &Path)| {
        let why = files::check_writable(path).err()?;
        let keys = |section| [PathStep::Key(section), PathStep::Key(key)];
        let place = loaded.place_in_pattoos(&[&keys("pattoo"), &keys("main")]);
        let what = format!("cannot write to {}: {why}", path.display());
        let help = format!("create it, owned by the user of the daemon, or set another `{key}`");
        Some(Problem { severity: Severity::Error, what, place, help })
    };
    data.map(|path| ("daemon_directory", path)).chain(log).filter_map(unwritable).collect()
}

/// The daemon's own files that it would refuse to use.
fn own_files(loaded: &Loaded) -> Vec<Problem> {
    let directory = &loaded.configuration.directories.daemon;
    let error = |what: String, help: String| Problem { severity: Severity::Error, what, place: None, help };
    let databases = [directory.spool(), directory.state()].into_iter().filter_map(|path| {
        let error_of = pattoo_base::database::refuse_unless_private(&path).err()?;
        Some(error(error_of.to_string(), pattoo_base::database::EXPOSED_HELP.to_owned()))
    });
    let ids = loaded.configuration.collectors.iter().filter_map(|collector| {
        let error_of = AgentId::check(&directory.agent_ids(), &collector.program).err()?;
        Some(error(error_of.to_string(), error_of.help().unwrap_or_default()))
    });
    let mut problems: Vec<Problem> = databases.chain(ids).collect();
    // Each collector reports the same about a wrong folder.
    problems.dedup_by(|one, other| one.what == other.what);
    problems
}

/// A status address that other machines can reach.
fn status(loaded: &Loaded) -> Option<Problem> {
    let status = loaded.configuration.status.filter(|status| !status.ip().is_loopback())?;
    let what = format!("other machines can read the status of the daemon at {status}");
    let help = "write `status: \"127.0.0.1:20203\"`, unless they are meant to read it";
    Some(Problem::error(what, loaded.place(&[OURS, PathStep::Key("status")]), help).as_warning())
}

/// Grants that can never be used.
fn grants(collector: &CollectorSettings, own: &OwnEndpoints, at: &impl Fn(&[PathStep]) -> Place) -> Vec<Problem> {
    let problem = |error: GrantError| {
        let place = at(&[PathStep::Key("grants"), PathStep::Key(error.capability)]);
        Problem::error(error.to_string(), place, error.help)
    };
    collector.grants.check(&collector.limits.collection, own).into_iter().map(problem).collect()
}

/// A timeout that is longer than the interval.
fn timeout(collector: &CollectorSettings, at: &impl Fn(&[PathStep]) -> Place) -> Option<Problem> {
    let (timeout, interval) = (collector.limits.collection.timeout, collector.polling_interval);
    if timeout <= interval.duration() {
        return None;
    }
    let what = format!(
        "a collection of `{}` may take {timeout:?}, which is longer than its interval of {} s",
        collector.program,
        interval.seconds()
    );
    let help = "lower `timeout` or raise `polling_interval`; while a collection runs, scheduled runs are skipped";
    Some(Problem::error(what, at(&[PathStep::Key("limits"), PathStep::Key("timeout")]), help).as_warning())
}

/// The modules that were loaded: several collectors may share one.
struct Modules<'a> {
    sandbox: &'a Sandbox,
    user: &'a DaemonUser,
    loaded: HashMap<PathBuf, Result<LoadedModule, (String, String)>>,
}

/// What is checked of a module that can be loaded.
#[derive(Clone)]
struct LoadedModule {
    sha256: ModuleDigest,
    imports: Vec<String>,
}

impl Modules<'_> {
    fn check(&mut self, collector: &CollectorSettings, at: &impl Fn(&[PathStep]) -> Place) -> Vec<Problem> {
        let (sandbox, user) = (self.sandbox, self.user);
        let loaded = self.loaded.entry(collector.module.clone()).or_insert_with(|| {
            load(sandbox, user, &collector.module, &collector.limits.module)
                .map_err(|error| (error.to_string(), error.help().into_owned()))
        });
        match loaded {
            Err((what, help)) => vec![Problem::error(what.as_str(), at(&[PathStep::Key("module")]), help.as_str())],
            Ok(loaded) => digest(collector, loaded, at).into_iter().chain(imports(collector, loaded, at)).collect(),
        }
    }
}

fn load(sandbox: &Sandbox, user: &DaemonUser, path: &Path, limits: &CompileLimits) -> Result<LoadedModule, LoadError> {
    let module = user.does(|| Module::read_within(path, limits))?;
    let collector = sandbox.load_within(&module, limits)?;
    Ok(LoadedModule { sha256: collector.sha256(), imports: collector.imports() })
}

/// A module whose digest is not the pinned one.
fn digest(collector: &CollectorSettings, loaded: &LoadedModule, at: &impl Fn(&[PathStep]) -> Place) -> Option<Problem> {
    let pinned = collector.sha256.filter(|pinned| *pinned != loaded.sha256)?;
    let what = format!("{} does not have the pinned digest {pinned}", collector.module.display());
    let help = format!("replace the file, or write `sha256: {}` if you trust this file", loaded.sha256);
    Some(Problem::error(what, at(&[PathStep::Key("sha256")]), help))
}

/// Grants without imports, and imports without grants.
fn imports(collector: &CollectorSettings, loaded: &LoadedModule, at: &impl Fn(&[PathStep]) -> Place) -> Vec<Problem> {
    let imported =
        |interface: &str| loaded.imports.iter().any(|name| name.starts_with(&format!("pattoo:agent/{interface}@")));
    let mut problems = Vec::new();
    for (capability, grant) in CAPABILITIES.iter().filter_map(|capability| Some((capability, capability.grant?))) {
        let interface = capability.name;
        let path = [PathStep::Key("grants"), PathStep::Key(interface)];
        let is_used = loaded.imports.iter().any(|import| capability.is_reached_by(import));
        if !(grant.is_empty)(&collector.grants) {
            if !is_used {
                let what = format!(
                    "the grant of `{interface}` to `{}` has no use: its module does not import `{interface}`",
                    collector.program
                );
                let help = "remove the grant, or correct `module:`";
                problems.push(Problem::error(what, at(&path), help));
            }
        } else if imported(interface) {
            // Some languages always import `wasi:http`, so that a missing grant for it is not
            // reported.
            let what = format!("`{}` has no grant of `{interface}`, which its module imports", collector.program);
            let help = format!("add `grants: {{ {} }}`, unless the collector works without it", grant.example);
            problems.push(Problem::error(what, at(&path), help).as_warning());
        }
    }
    if !imported(DATAPOINTS) {
        let what =
            format!("`{}` cannot emit a datapoint: its module does not import `{DATAPOINTS}`", collector.program);
        let help = "set `module:` to the module of a collector";
        problems.push(Problem::error(what, at(&[PathStep::Key("module")]), help).as_warning());
    }
    problems
}
