//! `pattoo-wasm daemon`: every collector of `pattoo_wasm.yaml` on its interval, until stopped.

use std::{path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use pattoo_base::text::counted;
use pattoo_modbus::Endpoints;
use pattoo_output::{Spool, SpoolLimits};
use pattoo_sandbox::{Sandbox, state::StateStore};
use pattoo_settings::ConfigError;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing::level_filters::LevelFilter;

use super::{Exit, Failure, logging};
use crate::{
    config::{ConfigDirectory, Configuration},
    daemon::{
        Command, Daemon, DaemonResources, DaemonStatus, DirectoryLock, DirectoryLockError, Notifier, Plan,
        StatusServer, Supervisor, plan,
    },
};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm daemon
      Run what is in /etc/pattoo/pattoo_wasm.yaml, or in $PATTOO_CONFIGDIR
  pattoo-wasm check && systemctl reload pattoo-wasm
      See whether a changed configuration can be used, then take it

Signals: SIGHUP reads the configuration again; SIGTERM and SIGINT end it when the collections under way have ended, at most 10
seconds later, the second one at once.";

/// Arguments of `daemon`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory of `pattoo.yaml` and `pattoo_wasm.yaml` [default: what `PATTOO_CONFIGDIR` says, else /etc/pattoo]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,

    /// How log lines on stderr look
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: logging::Format,
}

/// Runs the command. `level` is the level of logging that the command line asks for, over the configuration's.
pub(super) async fn daemon(args: Args, level: Option<LevelFilter>) -> Result<Exit, Failure> {
    let mut commands = signals()?;
    let directory = args.config.as_deref().map_or_else(ConfigDirectory::find, ConfigDirectory::at);
    let configuration = load(&directory, level).await??;
    // The lock before all else: what follows writes.
    let own = configuration.directories.daemon.own();
    let lock = DirectoryLock::take(own).map_err(|error| {
        let help = match &error {
            DirectoryLockError::Taken { .. } => {
                "stop the other daemon, or give this one a `daemon_directory` of its own"
            }
            DirectoryLockError::Unusable { .. } => "give the daemon a `daemon_directory` in which its user may write",
        };
        Failure::usage(error).help(help)
    })?;
    let spool = open_spool(&configuration).await?;
    let server = match configuration.status {
        Some(address) => Some(StatusServer::bind(address).await.map_err(|error| {
            Failure::usage(format!("cannot listen on {address} for status: {error}"))
                .help("set another address under `pattoo_wasm: status:`, port 0 for any free one, or `none`")
        })?),
        None => None,
    };
    let state = StateStore::at(&configuration.directories.daemon.state());
    let resources =
        DaemonResources::new(spool.clone(), state, Endpoints::new(), server.as_ref().map(StatusServer::address));
    let resources = Arc::new(resources);
    let first = plan(&resources, &configuration).await.map_err(Failure::usage)?;

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
    let sandbox = tokio::task::spawn_blocking(move || Sandbox::with_trials(concurrent, compiler, super::cache(&compiled)))
        .await
        .map_err(|error| Failure::fault(format!("the engine's start ended: {error}")))?
        .map_err(|error| {
            Failure::fault(error).help(
                "a limit on address space may be too low: 8 GiB are reserved, not used, for each of `concurrent` collections",
            )
        })?;
    if let Some(bytes) = configuration.collection_memory {
        sandbox.memory().set_limit(bytes);
    }
    let status = Arc::new(DaemonStatus::default());
    let serving = server.map(|server| {
        tracing::info!("status on http://{}", server.address());
        tokio::spawn(server.serve(Arc::clone(&status), spool.clone()))
    });
    let supervisor = Supervisor::new(Arc::new(sandbox), concurrent, Arc::clone(&status), Arc::clone(&first.store));
    let make_plan = {
        let (resources, started) = (Arc::clone(&resources), Arc::new(configuration));
        Arc::new(move || {
            let (resources, directory, started) = (Arc::clone(&resources), directory.clone(), Arc::clone(&started));
            Box::pin(async move { reload(&resources, &directory, &started, level).await }) as BoxFuture<'static, _>
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
        () = told_to_stop(&mut commands) => {
            tracing::warn!("told to stop again: what is under way is abandoned");
        }
    }
    if let Some(serving) = serving {
        serving.abort();
    }
    // What is committed is safe either way; this leaves it in one file. A panic in there was printed, and changes nothing.
    let _ = tokio::task::spawn_blocking(move || spool.close()).await;
    drop(lock);
    tracing::info!("stopped");
    Ok(Exit::Good)
}

/// SIGHUP reloads, SIGTERM and SIGINT stop.
fn signals() -> Result<mpsc::Receiver<Command>, Failure> {
    // Who sends more signals than are taken has the last ones dropped.
    let (sender, commands) = mpsc::channel(8);
    let kinds = [
        (SignalKind::hangup(), Command::Reload),
        (SignalKind::terminate(), Command::Stop),
        (SignalKind::interrupt(), Command::Stop),
    ];
    for (kind, command) in kinds {
        let mut signals =
            signal(kind).map_err(|error| Failure::fault(format!("signals cannot be listened to: {error}")))?;
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
async fn told_to_stop(commands: &mut mpsc::Receiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Stop) => return,
            Some(Command::Reload) => {}
            // Nobody is left who could say it.
            None => std::future::pending().await,
        }
    }
}

/// Reads the configuration, and logs where and as much as it says. The outer error is a fault of our own.
async fn load(
    directory: &ConfigDirectory,
    level: Option<LevelFilter>,
) -> Result<Result<Configuration, ConfigError>, Failure> {
    let directory = directory.clone();
    let loaded = tokio::task::spawn_blocking(move || Configuration::load(&directory))
        .await
        .map_err(|error| Failure::fault(format!("reading the configuration ended: {error}")))?;
    if let Ok(configuration) = &loaded {
        logging::set_level(level.unwrap_or(configuration.log_level));
        let log = configuration.directories.log.as_deref();
        if let Err(error) = logging::to_file(log, configuration.log) {
            // What is measured matters more than where it is logged.
            let log = log.map(|log| log.display().to_string()).unwrap_or_default();
            tracing::error!("no log file in {log}: {error}");
        }
    }
    Ok(loaded)
}

/// Makes the plan of the configuration as it is now, but for what stays as it was when the daemon started.
async fn reload(
    resources: &DaemonResources,
    directory: &ConfigDirectory,
    started: &Configuration,
    level: Option<LevelFilter>,
) -> Result<Plan, String> {
    let mut configuration = match load(directory, level).await {
        Ok(Ok(configuration)) => configuration,
        Ok(Err(error)) => {
            for problem in error.problems() {
                tracing::error!("{problem}; {}", problem.help);
            }
            return Err(format!("it has {}", counted(error.problems().len() as u64, "problem", "problems")));
        }
        Err(_) => return Err("it could not be read".to_owned()),
    };
    for key in configuration.keep_from_start(started) {
        tracing::warn!("`{key}` is another now, and that takes a restart: until then it stays as it was");
    }
    plan(resources, &configuration).await.map_err(|error| error.to_string())
}

async fn open_spool(configuration: &Configuration) -> Result<Spool, Failure> {
    let path = configuration.directories.daemon.spool();
    let limits = SpoolLimits { bytes: configuration.spool_bytes, age: configuration.spool_age };
    let opened = tokio::task::spawn_blocking(move || Spool::open(&path, limits)).await;
    Ok(opened.map_err(|error| Failure::fault(format!("opening the spool ended: {error}")))??)
}
