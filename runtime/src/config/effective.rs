//! The effective configuration: the files with all defaults filled in.
//!
//! It is a `pattoo_wasm.yaml` and a `pattoo.yaml` in one, and reading it again gives the same
//! configuration. A secret is shown by the name of its variable or file. Its value is not known
//! here.

use std::sync::Arc;

use pattoo_base::invariant::Invariant as _;
use pattoo_settings::{
    Form, Kind, SourceFile,
    yaml::{Document, Node},
};
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;

use super::{forms, load::Loaded};

impl Loaded {
    /// The effective settings as YAML: `pattoo` and `pattoo_wasm`.
    pub(crate) fn effective(&self) -> String {
        let configuration = &self.configuration;
        let written = self.ours.document.root.entry("pattoo_wasm").map(|entry| &entry.node);
        let mut ours = filled(&forms::pattoo_wasm(), written);
        pattoo_output::add_defaults(&mut ours, &configuration.outputs);
        ours.insert("hostname".to_owned(), configuration.hostname.as_str().into());
        let entries = ours.get_mut("collectors").and_then(Value::as_array_mut).into_iter().flatten();
        for (entry, collector) in entries.zip(&configuration.collectors) {
            set(entry, "module", collector.module.display().to_string());
            set(entry, "polling_interval", collector.polling_interval.seconds());
        }
        let directories = &configuration.directories;
        let mut pattoo = Map::new();
        let paths = [
            ("daemon_directory", Some(directories.daemon.root())),
            ("log_directory", directories.log.as_deref()),
            ("cache_directory", directories.cache.as_deref()),
        ];
        for (key, path) in paths {
            if let Some(path) = path {
                pattoo.insert(key.to_owned(), path.display().to_string().into());
            }
        }
        pattoo.insert("log_level".to_owned(), level(configuration.log_level).into());
        let all = json!({ "pattoo": pattoo, "pattoo_wasm": ours });
        serde_yaml::to_string(&all).or_broken("YAML has all that JSON has", String::new())
    }
}

fn set(entry: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(entry) = entry {
        entry.insert(key.to_owned(), value.into());
    }
}

/// The name of a level in pattoo's files.
fn level(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::ERROR => "error",
        LevelFilter::WARN => "warning",
        LevelFilter::DEBUG | LevelFilter::TRACE => "debug",
        _ => "info",
    }
}

/// The keys of a form, with their values in the file or their defaults.
fn filled(form: &Form, written: Option<&Node>) -> Map<String, Value> {
    let mut all = Map::new();
    for key in &form.keys {
        let node = written.and_then(|node| key.entry(node)).map(|entry| &entry.node).filter(|node| !node.is_null());
        let value = match (node, key.kind) {
            (Some(node), kind) => Some(value(kind, node)),
            (None, Kind::Form(form)) if defaults_alone(&form()) => Some(Value::Object(filled(&form(), None))),
            (None, _) => default(&key.default),
        };
        if let Some(value) = value {
            all.insert(key.name.to_owned(), value);
        }
    }
    all
}

/// Whether every key of a form has a default.
fn defaults_alone(form: &Form) -> bool {
    form.keys.iter().all(|key| !key.default.is_empty())
}

fn value(kind: Kind, node: &Node) -> Value {
    let list = node.list().unwrap_or_default();
    let map = node.map().unwrap_or_default();
    match kind {
        Kind::Form(form) => Value::Object(filled(&form(), Some(node))),
        Kind::List(kind) => list.iter().map(|node| value(*kind, node)).collect(),
        Kind::Named(form) => {
            let member = |entry: &pattoo_settings::yaml::Entry| {
                (entry.key.clone(), Value::Object(filled(&form().resolved(&entry.node), Some(&entry.node))))
            };
            Value::Object(map.iter().map(member).collect())
        }
        Kind::Text => node.text().map_or(Value::Null, Value::from),
        _ => node.to_json().ok().or_broken("a value that was read is one of JSON", Value::Null),
    }
}

/// A default, as it is written in a file.
fn default(text: &str) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let file = Arc::new(SourceFile { path: "default".into(), text: text.to_owned() });
    Document::parse(&file).ok()?.root.to_json().ok()
}
