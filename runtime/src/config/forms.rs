//! The forms of our files, and of the parts of pattoo's files that we read.

use pattoo_measurement::PollingInterval;
use pattoo_sandbox::capability::CAPABILITIES;
use pattoo_settings::{Form, GIB, Key, Kind, MIB, Unit};
use pattoo_spool::SpoolLimits;

use super::{
    collector_limits, health_section,
    log_section::{LOG, LogBounds},
    spool_section::SPOOL,
};

pub(super) const SECONDS: Kind = Kind::Integer(1, PollingInterval::MAX_SECONDS as u64);
const PORT: Kind = Kind::Integer(1, u16::MAX as u64);
/// The names of levels in Python's logging.
pub(super) const LOG_LEVELS: &[&str] = &["debug", "info", "warning", "error", "critical"];

/// `pattoo_wasm.yaml` as a whole.
pub(super) fn pattoo_wasm_yaml() -> Form {
    Form::new(
        "pattoo_wasm.yaml",
        vec![
            Key::new(
                "pattoo_wasm",
                Kind::Form(pattoo_wasm),
                "the section of all settings in this file",
                "{ collectors: [] }",
            )
            .required(),
        ],
    )
}

pub(super) fn pattoo_wasm() -> Form {
    let mut form = Form::new(
        "`pattoo_wasm`",
        vec![
            Key::new(
                "hostname",
                Kind::Text,
                "the name of this machine in pattoo; by default the first fully qualified name found, kept in `daemon_directory`",
                "gateway-7",
            ),
            Key::new(
                "status",
                Kind::Text,
                "the address and port of the daemon's health and metrics; `none` for no address, port 0 for any free port",
                "\"127.0.0.1:20203\"",
            )
            .or("\"127.0.0.1:20203\""),
            Key::new("concurrent", Kind::Integer(1, 1000), "how many collections run at once", "256").or("256"),
            Key::new(
                "collection_memory",
                Kind::Quantity(Unit::Size, 16 * MIB, 16 * 1024 * GIB),
                "the memory of the process at which the largest collections are stopped; by default six tenths of the memory of the machine, or of the service's control group",
                "300MiB",
            ),
            Key::new("spool", Kind::Form(spool), "the limits of the spool", "{ size: 1GiB, age: 30d }"),
            Key::new("log", Kind::Form(log), "the limits of the log file", "{ size: 64MiB, keep: 4 }"),
            Key::new(
                "health",
                Kind::Form(health_section::form),
                "the daemon reports on itself under this program; by default it does not",
                "{ program: GATEWAY_HEALTH }",
            ),
            collectors(),
        ],
    );
    form.keys.splice(0..0, pattoo_output::keys());
    form
}

fn collectors() -> Key {
    Key::new(
        "collectors",
        Kind::List(&Kind::Form(collector)),
        "the collectors; further ones can be in files in `pattoo_wasm.d`",
        "[{ program: LAVA_SCRIPT, module: collectors/lava_script.wasm }]",
    )
}

/// A file with further collectors, as a whole.
pub(super) fn file_of_collectors() -> Form {
    let section = "the section of all settings in this file";
    let key = Key::new("pattoo_wasm", Kind::Form(only_collectors), section, "{ collectors: [] }");
    Form::new("a file in pattoo_wasm.d", vec![key.required()])
}

/// The section of such a file. Its reader refuses other keys: it says of some where they belong.
pub(super) fn only_collectors() -> Form {
    Form::new("`pattoo_wasm` in a file in pattoo_wasm.d", vec![collectors().required()]).open()
}

pub(super) fn spool() -> Form {
    Form::new("the spool", Key::of_quantities(SPOOL, &SpoolLimits::default()))
}

pub(super) fn log() -> Form {
    Form::new("the log file", Key::of_quantities(LOG, &LogBounds::default()))
}

pub(super) fn collector() -> Form {
    Form::new(
        "a collector",
        vec![
            Key::new(
                "program",
                Kind::Text,
                "its program name in pattoo, unique in all files: 1 to 64 letters, digits, `_`, `.` and `-`; `.` and `-` cannot be the first",
                "LAVA_SCRIPT",
            )
            .required(),
            Key::new(
                "module",
                Kind::Path,
                "its WebAssembly file; a path is relative to this file",
                "collectors/lava_script.wasm",
            )
            .required(),
            Key::new(
                "sha256",
                Kind::Text,
                "the digest of the module as 64 hex digits, as `sha256sum` prints it; another file is refused",
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
            Key::new(
                "polling_interval",
                SECONDS,
                "seconds from one collection to the next; by default those of `pattoo.yaml`, else 300",
                "20",
            ),
            Key::new(
                "settings",
                Kind::Object,
                "the settings of the collector, passed to it as JSON",
                "{ tickers: [ABC, DEF] }",
            )
            .or("{}"),
            Key::new(
                "settings_file",
                Kind::Path,
                "a YAML or JSON file with settings, besides those in `settings`; a path is relative to the file that names it",
                "settings/lava_script.yaml",
            ),
            Key::new(
                "outputs",
                Kind::List(&Kind::Text),
                "the names of the outputs of its datapoints; by default all outputs",
                "[pattoo, archive]",
            ),
            Key::new("limits", Kind::Form(limits), "the limits of one collection", "{ timeout: 5s, memory: 64MiB }"),
            Key::new(
                "grants",
                Kind::Form(grants),
                "what it may access; by default nothing",
                "{ http: [{ origin: \"https://site-a.example.org\" }] }",
            ),
        ],
    )
}

pub(super) fn limits() -> Form {
    Form::new("`limits`", collector_limits::keys())
}

/// `grants:` of a collector, and the whole of a `--grants` file.
pub(super) fn grants() -> Form {
    Form::new(
        "`grants`",
        CAPABILITIES.iter().filter_map(|capability| capability.grant).map(|grant| (grant.key)()).collect(),
    )
}

/// The part of `pattoo.yaml` that we read, in both of its shapes.
pub(super) fn pattoo_yaml() -> Form {
    let key = |name, form| Key::new(name, Kind::Form(form), "", "");
    Form::new(
        "pattoo.yaml",
        vec![
            key("pattoo", directories),
            key("main", directories),
            key("pattoo_agent_api", api),
            key("polling", polling),
        ],
    )
    .open()
}

/// The part of `pattoo_agent.yaml` that we read.
pub(super) fn pattoo_agent_yaml() -> Form {
    Form::new("pattoo_agent.yaml", vec![Key::new("pattoo_agent_api", Kind::Form(api), "", "")]).open()
}

/// `pattoo:` and `main:`.
pub(super) fn directories() -> Form {
    Form::new(
        "this section",
        vec![
            Key::new("daemon_directory", Kind::Text, "the directory of agent ids and our own data", "/var/lib/pattoo"),
            Key::new("log_directory", Kind::Text, "the directory of logs", "/var/log/pattoo"),
            Key::new(
                "cache_directory",
                Kind::Text,
                "the directory of payloads that Python agents could not deliver",
                "/var/cache/pattoo",
            ),
            Key::new("log_level", Kind::Choice(LOG_LEVELS), "the level of logging", "info").or("info"),
        ],
    )
    .open()
}

/// `pattoo_agent_api:`.
pub(super) fn api() -> Form {
    Form::new(
        "this section",
        vec![
            Key::new("ip_address", Kind::Text, "the address or name of the pattoo server", "192.0.2.5").or("localhost"),
            Key::new("ip_bind_port", PORT, "the port of the pattoo server", "20201").or("20201"),
        ],
    )
    .open()
}

/// `polling:`.
pub(super) fn polling() -> Form {
    let mut form = api();
    form.keys.push(Key::new("polling_interval", SECONDS, "seconds from one collection to the next", "300").or("300"));
    form
}

/// The message about a name that no limit has.
pub(crate) fn unknown_limit(name: &str) -> String {
    format!("unknown limit `{name}`: {}", limits().suggestion(name))
}
