//! The flags that `run` and `inspect --run` share: identity, grants and limits of a collector.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use pattoo_measurement::{Agent, AgentId, AgentIdError, Hostname, PollingInterval, Program};
use pattoo_sandbox::{Collector, CompileLimits, Module, Sandbox, capability::Grants};
use serde_json::Map;

use super::{Failure, grant_flags::GrantFlags, values};
use crate::config::{self, CollectorLimits, DataDirectory, Limit, MachineName};

/// The time after which a compilation is announced, on a terminal.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct CollectionFlags {
    /// Use this program name [default: the file name of the module without its
    /// extension]
    #[arg(long, value_name = "NAME")]
    program: Option<Program>,

    /// Report this polling interval to the collector and to pattoo; `--every` repeats collections
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = parse_interval)]
    interval: PollingInterval,

    /// Pass a setting to the collector; the value is YAML, or a string if it is not valid YAML
    /// (repeatable)
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Pass the settings of a YAML or JSON file; --setting overrides them
    #[arg(long = "settings", value_name = "FILE")]
    settings_file: Option<PathBuf>,

    #[command(flatten)]
    granted: GrantFlags,

    /// Grant what a YAML file lists, as under `grants:` in `pattoo_wasm.yaml`
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,

    /// Stop the collection after this time
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    timeout: Duration,

    /// Limit the memory of the collector
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = values::size)]
    memory: ByteSize,

    /// Set another limit, named as under `limits:` in `pattoo_wasm.yaml` (repeatable)
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    limits: Vec<(Limit, String)>,

    /// Use this host name [default: the name that the daemon keeps, else
    /// the fully qualified name]
    #[arg(long, value_name = "NAME")]
    hostname: Option<Hostname>,
}

fn parse_interval(text: &str) -> Result<PollingInterval, String> {
    let seconds = values::integer::<u32>(1..=u64::from(PollingInterval::MAX_SECONDS), "300")(text)?;
    PollingInterval::from_seconds(seconds).map_err(|error| error.to_string())
}

fn parse_limit(text: &str) -> Result<(Limit, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, for example datapoints=20000")?;
    let limit = config::limit_named(name).ok_or_else(|| config::unknown_limit(name))?;
    limit.set(&mut CollectorLimits::default(), value).map_err(|error| error.to_string())?;
    Ok((limit, value.to_owned()))
}

impl CollectionFlags {
    /// The settings as a JSON object.
    pub(super) fn settings(&self) -> Result<String, Failure> {
        let mut settings = self.settings_file.as_deref().map_or_else(|| Ok(Map::new()), config::read_settings)?;
        for setting in &self.settings {
            config::merge_setting(&mut settings, setting)?;
        }
        Ok(config::to_json(settings)?)
    }

    /// The grants.
    pub(super) fn grants(&self) -> Result<Grants, Failure> {
        let mut grants = self.grants.as_deref().map_or_else(|| Ok(Grants::default()), config::read_grants)?;
        self.granted.add_to(&mut grants)?;
        Ok(grants)
    }

    /// The limits.
    pub(super) fn limits(&self) -> Result<CollectorLimits, Failure> {
        let mut limits = CollectorLimits::default();
        limits.collection.timeout = self.timeout;
        limits.collection.memory = usize::try_from(self.memory.as_u64()).unwrap_or(usize::MAX);
        for (limit, value) in &self.limits {
            limit.set(&mut limits, value).map_err(Failure::usage)?;
        }
        Ok(limits)
    }

    /// The identity, with the id that `id` returns for the program.
    pub(super) fn agent(
        &self,
        module: &Path,
        directory: &DataDirectory,
        id: impl FnOnce(&Program) -> Result<AgentId, AgentIdError>,
    ) -> Result<Agent, Failure> {
        let program = if let Some(program) = &self.program {
            program.clone()
        } else {
            let stem = module.file_stem().unwrap_or_default().to_string_lossy();
            stem.parse()
                .map_err(|error| Failure::usage(error).help("set the name of the program with --program NAME"))?
        };
        let hostname = if let Some(hostname) = &self.hostname {
            hostname.clone()
        } else {
            let name = MachineName::find(directory).map_err(|problem| {
                Failure::internal(problem).help("set the name of this machine with --hostname NAME")
            })?;
            if let Some(change) = name.change(directory) {
                tracing::warn!("{change}");
            }
            name.used
        };
        let id = id(&program)?;
        Ok(Agent { program, id, hostname, polling_interval: self.interval })
    }
}

/// Compiles the module, and announces it on a terminal when that takes long.
pub(super) async fn load(
    path: &Path,
    module: Module,
    limits: CompileLimits,
    directory: &DataDirectory,
) -> Result<(Sandbox, Collector), Failure> {
    let compiled = directory.compiled().to_owned();
    let mut loading = tokio::task::spawn_blocking(move || {
        let sandbox = Sandbox::new(1, super::compiler()?, super::cache(&compiled))
            .map_err(|error| Failure::internal(error).help(super::ENGINE_HELP))?;
        let collector = sandbox.load_within(&module, &limits)?;
        Ok((sandbox, collector))
    });
    let done = tokio::select! {
        done = &mut loading => done,
        () = tokio::time::sleep(ANNOUNCE_AFTER) => {
            if std::io::stderr().is_terminal() {
                tracing::info!("compiling {} …", path.display());
            }
            loading.await
        }
    };
    done.map_err(|error| Failure::internal(format!("the compilation failed: {error}")))?
}
