//! `pattoo-wasm daemon`: every collector of `pattoo_wasm.yaml` on its interval, until stopped.

use std::{fs, io, path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use pattoo_base::{files, text::counted};
use pattoo_sandbox::{Sandbox, state_store::StateStore};
use pattoo_settings::ConfigError;
use pattoo_spool::Spool;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing::level_filters::LevelFilter;

use super::{Exit, Failure, logging};
use crate::{
    config::{ConfigDirectory, Configuration, DataDirectory, Loaded},
    daemon::{
        Command, Daemon, DaemonResources, DaemonStatus, DesiredCollector, DirectoryLock, DirectoryLockError, Notifier,
        StatusServer, Supervisor, TimeMark, plan,
    },
};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm daemon
      Run the collectors of pattoo_wasm.yaml and pattoo_wasm.d in /etc/pattoo, or in
      $PATTOO_CONFIGDIR
  pattoo-wasm check && systemctl reload pattoo-wasm
      Validate a changed configuration, then reload it

Signals: SIGHUP reads the configuration again. SIGUSR1 opens the log file again; a file
that was renamed or removed is noticed within a second also without it. SIGTERM and
SIGINT stop the daemon when the running collections have finished, at most 10 seconds
later; a second one stops it at once.";

/// Arguments of `daemon`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Read `pattoo.yaml` and `pattoo_wasm.yaml` in this directory [default: `PATTOO_CONFIGDIR`, or
    /// /etc/pattoo]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,

    /// Write log lines on stderr in this format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: logging::Format,
}

/// Runs the command. `level` is the level of logging of the command line, which overrides the
/// configuration.
pub(super) async fn daemon(args: Args, level: Option<LevelFilter>) -> Result<Exit, Failure> {
    let mut commands = signals()?;
    let directory = ConfigDirectory::named_or_found(args.config.as_deref());
    let loaded = load(level, {
        let directory = directory.clone();
        move || Loaded::load(&directory)
    });
    let loaded = loaded.await??;
    let digest = loaded.digest();
    let configuration = loaded.configuration;
    configuration.directories.daemon.refuse_other_users()?;
    // First the lock: everything that follows writes.
    let own = configuration.directories.daemon.own();
    let lock = DirectoryLock::take(own).map_err(|error| {
        let help = match &error {
            DirectoryLockError::Taken { .. } => "stop the other daemon, or set another `daemon_directory` for this one",
            DirectoryLockError::Unusable { .. } => "set a `daemon_directory` that the user of the daemon can write to",
        };
        Failure::usage(error).help(help)
    })?;
    keep_name(&configuration);
    let spool = open_spool(&configuration).await?;
    let server = match configuration.status {
        Some(address) => Some(StatusServer::bind(address).await.map_err(|error| {
            Failure::usage(format!("cannot listen on the status address {address}: {error}"))
                .help("set another `status:` in pattoo_wasm.yaml: an address with a free port, with port 0 for any free port, or `none`")
        })?),
        None => None,
    };
    let state = StateStore::at(&configuration.directories.daemon.state());
    let status = Arc::new(DaemonStatus::new(time_mark(&configuration.directories.daemon)));
    let address = server.as_ref().map(StatusServer::address);
    let resources = Arc::new(DaemonResources::new(spool.clone(), state, address, Arc::clone(&status)));
    let first = plan(&resources, &configuration).await?;
    resources.configured_by(digest);

    let concurrent = configuration.concurrent;
    let compiled = configuration.directories.daemon.compiled().to_owned();
    let compiler = super::compiler()?;
    tokio::task::spawn_blocking({
        let compiler = compiler.clone();
        move || {
            if let Some(note) = compiler.unconfined() {
                tracing::warn!("{note}");
            }
        }
    });
    let sandbox =
        tokio::task::spawn_blocking(move || Sandbox::with_trials(concurrent, compiler, super::cache(&compiled)))
            .await
            .map_err(|error| Failure::internal(format!("cannot start the engine: {error}")))?
            .map_err(|error| Failure::internal(error).help(super::ENGINE_HELP))?;
    if let Some(shortage) = sandbox.shortage() {
        tracing::warn!("{shortage}");
    }
    if let Some(bytes) = configuration.collection_memory {
        sandbox.memory().set_limit(bytes);
    }
    let serving = server.map(|server| {
        tracing::info!("status on http://{}", server.address());
        tokio::spawn(server.serve(Arc::clone(&status), spool.clone()))
    });
    let supervisor = Supervisor::new(Arc::new(sandbox), Arc::clone(&status), resources.store());
    let make_plan = {
        let (resources, started) = (Arc::clone(&resources), Arc::new(configuration));
        Arc::new(move || {
            let (resources, directory, started) = (Arc::clone(&resources), directory.clone(), Arc::clone(&started));
            Box::pin(async move { reload(&resources, directory, started, level).await }) as BoxFuture<'static, _>
        })
    };
    let mut daemon = Daemon::new(supervisor, status, Notifier::from_environment());
    daemon.run(first, &mut commands, make_plan).await;
    let finish = async {
        daemon.finish().await;
        resources.close().await;
    };
    tokio::select! {
        () = finish => {}
        () = stop_requested(&mut commands) => {
            tracing::warn!("received a second signal to stop: running collections are abandoned");
        }
    }
    if let Some(serving) = serving {
        serving.abort();
    }
    // Committed payloads are safe either way; this leaves them in one file. A panic in there was
    // printed, and changes nothing.
    let _ = tokio::task::spawn_blocking(move || spool.close()).await;
    drop(lock);
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// SIGHUP reloads, SIGTERM and SIGINT stop. SIGUSR1 opens the log file again.
fn signals() -> Result<mpsc::Receiver<Command>, Failure> {
    // If signals arrive faster than they are handled, the last ones are dropped.
    let (sender, commands) = mpsc::channel(8);
    let listen = |kind| signal(kind).map_err(|error| Failure::internal(format!("cannot handle signals: {error}")));
    let mut reopen = listen(SignalKind::user_defined1())?;
    tokio::spawn(async move {
        while reopen.recv().await.is_some() {
            logging::reopen();
        }
    });
    let kinds = [
        (SignalKind::hangup(), Command::Reload),
        (SignalKind::terminate(), Command::Stop),
        (SignalKind::interrupt(), Command::Stop),
    ];
    for (kind, command) in kinds {
        let mut signals = listen(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if sender.send(command).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(commands)
}

/// Waits for the command to stop.
async fn stop_requested(commands: &mut mpsc::Receiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Stop) => return,
            Some(Command::Reload) => {}
            // The signal handlers are gone, so no command will come.
            None => std::future::pending().await,
        }
    }
}

/// Reads the configuration, and applies its level and file of logging. The outer error is an
/// internal one.
async fn load(
    level: Option<LevelFilter>,
    read: impl FnOnce() -> Result<Loaded, ConfigError> + Send + 'static,
) -> Result<Result<Loaded, ConfigError>, Failure> {
    let loaded = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Failure::internal(format!("internal error while reading the configuration: {error}")))?;
    if let Ok(loaded) = &loaded {
        loaded.log_exposures();
        let configuration = &loaded.configuration;
        logging::set_level(level.unwrap_or(configuration.log_level));
        let log = configuration.directories.log.as_deref();
        if let Err(error) = logging::to_file(log, configuration.log) {
            // Without a log file collections still run.
            let log = log.map(|log| log.display().to_string()).unwrap_or_default();
            tracing::error!("cannot open a log file in {log}: {error}");
        }
        if let Some(change) = configuration.change_of_name() {
            tracing::error!("{change}; help: {}", change.help);
        }
    }
    Ok(loaded)
}

/// Makes the plan of the current configuration, except for settings that only a restart changes.
async fn reload(
    resources: &DaemonResources,
    directory: ConfigDirectory,
    started: Arc<Configuration>,
    level: Option<LevelFilter>,
) -> Result<Vec<DesiredCollector>, String> {
    let read = move || {
        let (loaded, differ) = Loaded::load_again(&directory, &started)?;
        for key in differ {
            tracing::warn!("`{key}` changed: the previous value stays in effect until the daemon is restarted");
        }
        Ok(loaded)
    };
    let loaded = match load(level, read).await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(error)) => {
            for problem in error.problems() {
                tracing::error!("{problem}; help: {}", problem.help);
            }
            return Err(format!("it has {}", counted(error.problems().len() as u64, "problem", "problems")));
        }
        Err(_) => return Err("it could not be read".to_owned()),
    };
    keep_name(&loaded.configuration);
    let planned = plan(resources, &loaded.configuration).await.map_err(|error| match error.help() {
        Some(help) => format!("{error}; help: {help}"),
        None => error.to_string(),
    })?;
    resources.configured_by(loaded.digest());
    Ok(planned)
}

/// Keeps the name of this machine that was looked up from now on, unless one is kept.
fn keep_name(configuration: &Configuration) {
    let Some(name) = &configuration.machine_name else { return };
    let path = configuration.directories.daemon.hostname();
    let draft = path.with_extension("draft");
    if path.exists() {
        return;
    }
    // A previous daemon may have been killed while it wrote the draft. This one has the lock.
    let _ = fs::remove_file(&draft);
    if let Err(error) = files::publish(&path, &draft, format!("{}\n", name.used).as_bytes()) {
        tracing::error!("the name of this machine is not kept: {error}");
    }
}

/// The newest time at which payloads were stored. Without its file, that of this process.
fn time_mark(directory: &DataDirectory) -> TimeMark {
    let opened = TimeMark::open(&directory.newest());
    let failed = |error: io::Error| tracing::error!("{}: {error}", directory.newest().display());
    opened.map_err(failed).unwrap_or_default()
}

async fn open_spool(configuration: &Configuration) -> Result<Spool, Failure> {
    let path = configuration.directories.daemon.spool();
    let limits = configuration.spool;
    let opened = tokio::task::spawn_blocking(move || Spool::open(&path, limits)).await;
    Ok(opened.map_err(|error| Failure::internal(format!("internal error while opening the spool: {error}")))??)
}
