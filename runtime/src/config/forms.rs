//! The forms of our files, and of what we read in pattoo's.

use pattoo_measurement::PollingInterval;
use pattoo_output::SpoolLimits;
use pattoo_sandbox::capability::ROOMS;
use pattoo_settings::{Form, GIB, Key, Kind, MIB, Unit, secret};

use super::{
    limits,
    log::{LOG, LogBounds},
    spool::SPOOL,
};

const SECONDS: Kind = Kind::Integer(1, PollingInterval::MAX_SECONDS as u64);
const PORT: Kind = Kind::Integer(1, u16::MAX as u64);
/// As Python's logging calls them.
pub(super) const LOG_LEVELS: &[&str] = &["debug", "info", "warning", "error", "critical"];

/// `pattoo_wasm.yaml` as a whole.
pub(super) fn pattoo_wasm_yaml() -> Form {
    Form::new(
        "pattoo_wasm.yaml",
        vec![
            Key::new(
                "pattoo_wasm",
                Kind::Form(pattoo_wasm),
                "all that is set in this file stands below it",
                "{ collectors: [] }",
            )
            .required(),
        ],
    )
}

pub(super) fn pattoo_wasm() -> Form {
    Form::new(
        "`pattoo_wasm`",
        vec![
            Key::new(
                "server",
                Kind::Form(server),
                "the pattoo server; without it the one that `ip_address` and `ip_bind_port` of pattoo's own files name",
                "{ url: \"https://pattoo.example.org\" }",
            ),
            Key::new(
                "hostname",
                Kind::Text,
                "the name of this machine towards pattoo; without it its fully qualified name, as Python's `socket.getfqdn()` \
                 gives it",
                "gateway-7",
            ),
            Key::new(
                "status",
                Kind::Text,
                "the address where the daemon tells its health and metrics, with its port; `none` for nowhere, port 0 for any that \
                 is free",
                "\"127.0.0.1:20203\"",
            )
            .or("\"127.0.0.1:20203\""),
            Key::new("concurrent", Kind::Integer(1, 1000), "how many collections are under way at once", "256").or("256"),
            Key::new(
                "collection_memory",
                Kind::Quantity(Unit::Size, 16 * MIB, 16 * 1024 * GIB),
                "how much memory the process may have before the largest collections are stopped; without it six tenths of what the \
                 machine, or the control group of the service, has",
                "300MiB",
            ),
            Key::new("spool", Kind::Form(spool), "how much may wait for the server", "{ size: 1GiB, age: 30d }"),
            Key::new("log", Kind::Form(log), "how much the log file may hold", "{ size: 64MiB, keep: 4 }"),
            Key::new(
                "collectors",
                Kind::List(&Kind::Form(collector)),
                "what collects",
                "[{ program: LAVA_SCRIPT, module: collectors/lava_script.wasm }]",
            ),
        ],
    )
}

pub(super) fn spool() -> Form {
    Form::new("the spool", Key::of_quantities(SPOOL, &SpoolLimits::default()))
}

pub(super) fn log() -> Form {
    Form::new("the log file", Key::of_quantities(LOG, &LogBounds::default()))
}

pub(super) fn server() -> Form {
    Form::new(
        "a server",
        vec![
            Key::new(
                "url",
                Kind::Text,
                "the base URL of the server, to which pattoo's path is appended",
                "\"https://pattoo.example.org\"",
            )
            .required(),
            Key::new(
                "token",
                Kind::Form(secret::form),
                "what is sent to it as `Authorization: Bearer …`",
                "{ secret: PATTOO_TOKEN }",
            ),
        ],
    )
}

pub(super) fn collector() -> Form {
    Form::new(
        "a collector",
        vec![
            Key::new(
                "program",
                Kind::Text,
                "its name towards pattoo, once in the file: 1 to 64 letters, digits, `_`, `.` and `-`, of which `.` and `-` are \
                 not the first",
                "LAVA_SCRIPT",
            )
            .required(),
            Key::new(
                "module",
                Kind::Text,
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
                "seconds from one collection to the next; without it those of `pattoo.yaml`, else 300",
                "20",
            ),
            Key::new(
                "settings",
                Kind::Object,
                "anything that the collector wants to know, handed to it as JSON",
                "{ tickers: [ABC, DEF] }",
            )
            .or("{}"),
            Key::new("limits", Kind::Form(limits), "how much one collection may use", "{ timeout: 5s, memory: 64MiB }"),
            Key::new(
                "grants",
                Kind::Form(grants),
                "what it may reach; without it nothing",
                "{ http: [{ origin: \"https://site-a.example.org\" }] }",
            ),
        ],
    )
}

pub(super) fn limits() -> Form {
    Form::new("`limits`", limits::keys())
}

/// `grants:` of a collector, and the whole of a `--grants` file.
pub(super) fn grants() -> Form {
    Form::new("`grants`", ROOMS.iter().filter_map(|room| room.grant).map(|grant| (grant.key)()).collect())
}

/// `pattoo.yaml`, as far as we read it, in both of its shapes.
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

/// `pattoo_agent.yaml`, as far as we read it.
pub(super) fn pattoo_agent_yaml() -> Form {
    Form::new("pattoo_agent.yaml", vec![Key::new("pattoo_agent_api", Kind::Form(api), "", "")]).open()
}

/// `pattoo:` and `main:`.
pub(super) fn directories() -> Form {
    Form::new(
        "this section",
        vec![
            Key::new("daemon_directory", Kind::Text, "where agent ids and our own data are kept", "/var/lib/pattoo"),
            Key::new("log_directory", Kind::Text, "where logs are written", "/var/log/pattoo"),
            Key::new(
                "cache_directory",
                Kind::Text,
                "where Python agents keep what they could not deliver",
                "/var/cache/pattoo",
            ),
            Key::new("log_level", Kind::Choice(LOG_LEVELS), "how much is logged", "info").or("info"),
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
    format!("`{name}` is not a limit; {}", limits().suggestion(name))
}
