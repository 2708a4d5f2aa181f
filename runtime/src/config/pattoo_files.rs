//! The parts of pattoo's own files that we use: `pattoo.yaml` in both of its shapes, and
//! `pattoo_agent.yaml`.
//!
//! The documented shape has `main:` and `polling:`; `pattoo_shared` (`configuration.py`) reads
//! `pattoo:` and, in `pattoo_agent.yaml`, `pattoo_agent_api:`. If both have a value, the second
//! shape takes precedence. Unknown keys belong to other programs and are ignored.

use std::path::{Path, PathBuf};

use pattoo_measurement::PollingInterval;
use pattoo_output::{NamedOutput, ServerUrl, pattoo};
use pattoo_settings::{ConfigError, Fields, Problem, Reported, read, shown};
use tracing::level_filters::LevelFilter;

use super::{
    directories::{ConfigDirectory, expand_home},
    forms, interval,
    source::{PathStep, Source},
};

/// The host of the server if only its port is set.
const DEFAULT_ADDRESS: &str = "localhost";
/// The port of the server if only its host is set.
const DEFAULT_PORT: u64 = 20_201;

/// Where the server is configured.
pub(super) const SERVER: [&[PathStep]; 2] = [
    &[PathStep::Key("pattoo_agent_api"), PathStep::Key("ip_address")],
    &[PathStep::Key("polling"), PathStep::Key("ip_address")],
];

/// The content of pattoo's files.
#[derive(Debug, Default)]
pub(super) struct PattooFiles {
    /// None only if there is no `pattoo.yaml`.
    pub(super) daemon_directory: Option<PathBuf>,
    pub(super) log_directory: Option<PathBuf>,
    pub(super) cache_directory: Option<PathBuf>,
    pub(super) log_level: Option<LevelFilter>,
    pub(super) polling_interval: Option<PollingInterval>,
    pub(super) server: Option<ServerUrl>,
    /// The files that were found.
    pub(super) sources: Vec<Source>,
}

/// Where pattoo's own agents leave what they could not post: `cache_directory` of `pattoo.yaml` in
/// a directory. Blocks while it reads.
///
/// # Errors
///
/// Everything that is wrong with pattoo's files.
pub fn agents_cache(directory: &ConfigDirectory) -> Result<Option<PathBuf>, ConfigError> {
    Ok(PattooFiles::read(directory)?.cache_directory)
}

/// The content of one section. All of it is optional.
#[derive(Debug, Default)]
struct Section {
    daemon_directory: Option<PathBuf>,
    log_directory: Option<PathBuf>,
    cache_directory: Option<PathBuf>,
    log_level: Option<LevelFilter>,
    polling_interval: Option<PollingInterval>,
    ip_address: Option<String>,
    ip_bind_port: Option<u64>,
}

impl PattooFiles {
    /// Reads the files of a configuration directory. In a directory that the user did not name both
    /// are optional.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub(super) fn read(directory: &ConfigDirectory) -> Result<Self, Vec<Problem>> {
        let path = directory.path().join("pattoo.yaml");
        let main = match Source::read_trusted(&path) {
            Ok(source) => Some(source),
            Err(error) if error.is_missing() && !directory.is_named() => None,
            Err(error) if error.is_missing() => {
                let problem = error.into_problem();
                let help = "create it, with at least the lines `main:` and `  daemon_directory: /var/lib/pattoo`, or set \
                            PATTOO_CONFIGDIR to its directory";
                return Err(vec![Problem { help: help.to_owned(), ..problem }]);
            }
            Err(error) => return Err(vec![error.into_problem()]),
        };
        let agent = match Source::read_trusted(&directory.path().join("pattoo_agent.yaml")) {
            Ok(source) => Some(source),
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(vec![error.into_problem()]),
        };
        Self::of(main, agent)
    }

    /// The output that they configure: their server.
    pub(super) fn output(&self) -> Option<NamedOutput> {
        pattoo::short_form(pattoo::Settings::new(self.server.clone()?))
    }

    /// Reads the content of the files that were found.
    pub(super) fn of(main: Option<Source>, agent: Option<Source>) -> Result<Self, Vec<Problem>> {
        let mut sections = Vec::new();
        let mut problems = Vec::new();
        if let Some(source) = &agent {
            let form = forms::pattoo_agent_yaml();
            match read(&source.file, &source.document, &form, |fields| {
                section(fields, "pattoo_agent_api", &forms::api())
            }) {
                Ok(section) => sections.push(section),
                Err(more) => problems.extend(more),
            }
        }
        if let Some(source) = &main {
            match read(&source.file, &source.document, &forms::pattoo_yaml(), pattoo_yaml) {
                Ok(found) => sections.extend(found),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut files = Self { sources: main.into_iter().chain(agent).collect(), ..Self::default() };
        let (mut address, mut port) = (None, None);
        // The first section with a value takes precedence.
        for section in sections {
            files.daemon_directory = files.daemon_directory.or(section.daemon_directory);
            files.log_directory = files.log_directory.or(section.log_directory);
            files.cache_directory = files.cache_directory.or(section.cache_directory);
            files.log_level = files.log_level.or(section.log_level);
            files.polling_interval = files.polling_interval.or(section.polling_interval);
            address = address.or(section.ip_address);
            port = port.or(section.ip_bind_port);
        }
        if address.is_some() || port.is_some() {
            let url = server_url(address.as_deref().unwrap_or(DEFAULT_ADDRESS), port.unwrap_or(DEFAULT_PORT));
            files.server = Some(url.map_err(|what| {
                vec![Problem::without_place(
                    what,
                    "correct `ip_address`: write an address such as 192.0.2.5, or a name",
                )]
            })?);
        }
        Ok(files)
    }
}

/// The base URL of the server at an address or name, as pattoo_shared's `agent_api_server_url`
/// makes it.
fn server_url(address: &str, port: u64) -> Result<ServerUrl, String> {
    let bracketed =
        if address.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{address}]") } else { address.to_owned() };
    // A name with a `/` or `@` would become another part of the URL.
    let sound = !address.is_empty() && !bracketed.contains(['/', '@', '?', '#', '\\', ' ']);
    let url = sound.then(|| format!("http://{bracketed}:{port}").parse().ok()).flatten();
    url.ok_or_else(|| format!("`{}` is not the address of a server", shown(address)))
}

/// The sections of `pattoo.yaml`, those with precedence first. One of them must have a daemon
/// directory.
fn pattoo_yaml(fields: Fields<'_>) -> Result<Vec<Section>, Reported> {
    let (directories, api, polling) = (forms::directories(), forms::api(), forms::polling());
    let sections = [
        section(fields, "pattoo", &directories),
        section(fields, "pattoo_agent_api", &api),
        section(fields, "main", &directories),
        section(fields, "polling", &polling),
    ];
    let sections = pattoo_settings::all(sections)?;
    if sections.iter().all(|section| section.daemon_directory.is_none()) {
        return Err(fields.missing(
            &["pattoo", "main"],
            "`daemon_directory` is set neither under `pattoo` nor under `main`",
            "add `daemon_directory: /var/lib/pattoo` under `main:`: the directory of agent ids and our own data",
        ));
    }
    Ok(sections)
}

/// Reads the keys of a section that are in its form.
fn section(fields: Fields<'_>, name: &str, form: &pattoo_settings::Form) -> Result<Section, Reported> {
    let Some(node) = fields.node(name) else { return Ok(Section::default()) };
    let fields = fields.of(form, node);
    let has = |key: &str| form.key(key).is_some();
    let path = |key| fields.node(key).and_then(|node| node.text()).map(|text| expand_home(Path::new(text)));
    let mut section = Section::default();
    if has("daemon_directory") {
        section.daemon_directory = path("daemon_directory");
        section.log_directory = path("log_directory");
        section.cache_directory = path("cache_directory");
        section.log_level = fields.node("log_level").and_then(|node| node.text()).and_then(level);
    }
    if has("ip_address") {
        if let Some(node) = fields.node("ip_address") {
            let address = node.text().ok_or(Reported)?;
            server_url(address, DEFAULT_PORT).map_err(|what| fields.wrong("ip_address", node, what))?;
            section.ip_address = Some(address.to_owned());
        }
        section.ip_bind_port = fields.integer("ip_bind_port")?;
    }
    if has("polling_interval") {
        section.polling_interval = interval(fields, "polling_interval")?;
    }
    Ok(section)
}

/// A level by its name in Python's logging.
fn level(name: &str) -> Option<LevelFilter> {
    match name.to_lowercase().as_str() {
        "debug" => Some(LevelFilter::DEBUG),
        "info" => Some(LevelFilter::INFO),
        "warning" => Some(LevelFilter::WARN),
        "error" | "critical" => Some(LevelFilter::ERROR),
        _ => None,
    }
}
