//! The hostile collectors of `tests/hostile/tenants`, each in one or several variants.
//!
//! A file there is the middle of a core module. Its function `attack` is called after a datapoint
//! was emitted, because a collector that emits does not back off, however it ends. The file may not
//! use memory below 1024 and from 65536 to 131072. A file that holds a component is used as it is.

use std::{env, fs, net::SocketAddr, path::Path};

use pattoo_tests::{Site, dependent_branches};
use serde_json::{Value, json};

/// The bytes of settings that fit into a configuration file.
const SETTINGS: usize = 3_500_000;

/// The port of the web site in the text of modules that talk to it.
const SITE_PORT: &str = "54321";

/// The kinds, each with its file. What follows the `-` is a function of a component, or the answer
/// of the server.
const KINDS: [(&str, &str); 20] = [
    ("idna", "idna"),
    ("methods", "methods"),
    ("paths", "paths"),
    ("targets", "targets"),
    ("control-text", "control-text"),
    ("points", "points"),
    ("lines", "lines"),
    ("state-keys", "state-keys"),
    ("fetch-all", "fetch-all"),
    ("spinning", "spinning"),
    ("memory", "memory"),
    ("settings", "settings"),
    ("read-many", "read-many"),
    ("refused-403", "refused"),
    ("refused-500", "refused"),
    ("refused-429", "refused"),
    ("refused-gone", "refused"),
    ("wasi-handles", "wasi"),
    ("wasi-responses", "wasi"),
    (GIANT, ""),
];

/// The kind that is generated here, since it is too large for a file: it takes the compiler half a
/// minute.
const GIANT: &str = "giant";

/// `many` hostile collectors, each every second: one of each kind, or those that `TENANTS_HOSTILE`
/// names.
pub(crate) fn collectors(site: &Site, many: usize, web_site: SocketAddr) -> Vec<Value> {
    let wanted = env::var("TENANTS_HOSTILE").unwrap_or_else(|_| KINDS.map(|(name, _)| name).join(","));
    if wanted == "none" {
        return Vec::new();
    }
    let kinds = wanted.split(',').map(|name| {
        KINDS.into_iter().find(|(kind, _)| *kind == name).unwrap_or_else(|| panic!("there is no kind `{name}`"))
    });
    let kinds: Vec<_> = kinds.collect();
    // All of them fit into a configuration file.
    let with_settings = kinds.iter().cycle().take(many).filter(|(kind, _)| *kind == "settings").count();
    let settings = SETTINGS.checked_div(with_settings).map_or(0, |each| each.min(1_000_000));
    let collector = |(number, (kind, file)): (usize, &(&str, &str))| {
        let text = module(kind, file).replace(SITE_PORT, &web_site.port().to_string());
        let mut collector = json!({
            "program": format!("BAD_{number}-{kind}"),
            // In binary: text of more than a megabyte is refused before it is compiled.
            "module": site.file(&format!("{kind}.wasm"), wat::parse_str(text).expect("a module")),
            "polling_interval": 1,
        });
        match *kind {
            "settings" => collector["settings"] = json!({"text": "x".repeat(settings)}),
            "wasi-responses" => {
                collector["grants"] = json!({"http": [{"origin": format!("http://{web_site}")}]});
            }
            _ => {}
        }
        collector
    };
    kinds.iter().cycle().take(many).enumerate().map(collector).collect()
}

/// The program of a collector.
pub(crate) fn program(collector: &Value) -> String {
    collector["program"].as_str().expect("a name").to_owned()
}

/// The module of a kind, in text.
fn module(kind: &str, file: &str) -> String {
    let text = if kind == GIANT {
        giant()
    } else {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/tenants").join(file).with_extension("wat");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    if text.contains("\n(component") {
        let (_, variant) = kind.split_once('-').expect("a variant");
        return text.replace("$ATTACK", &format!("${variant}"));
    }
    let (imports, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("(import"));
    format!(
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          {}
          {}
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
          (data (i32.const 64) "\50\00\00\00\03\00\00\00") (data (i32.const 80) "key")
          (func (export "collect") (result i32)
            (call $emit (i32.const 80) (i32.const 3) (i32.const 64) (i32.const 1) (i32.const 512))
            (call $attack)
            i32.const 0))"#,
        imports.join("\n"),
        rest.join("\n"),
    )
}

/// A function of many branches that all depend on each other.
fn giant() -> String {
    format!("(memory (export \"memory\") 4)\n(func $attack (local i32 i32 i32)\n{})", dependent_branches(60_000))
}
