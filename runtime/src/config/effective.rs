//! The effective configuration: the files with all defaults filled in.
//!
//! It is a `pattoo_wasm.yaml` and a `pattoo.yaml` in one, and reading it again gives the same
//! configuration. A secret is shown by the name of its variable or file. Its value is not known
//! here.

use std::{path::Path, sync::Arc};

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
        let mut ours = filled(&forms::pattoo_wasm(), written, self.ours.folder());
        pattoo_output::add_defaults(&mut ours, &configuration.outputs);
        ours.insert("hostname".to_owned(), configuration.hostname.as_str().into());
        let collectors = self.origins.iter().zip(&configuration.collectors).map(|(origin, collector)| {
            let mut entry = filled(&forms::collector(), origin.node(), origin.folder());
            entry.insert("polling_interval".to_owned(), collector.polling_interval.seconds().into());
            Value::Object(entry)
        });
        ours.insert("collectors".to_owned(), collectors.collect());
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

/// The name of a level in pattoo's files.
fn level(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::ERROR => "error",
        LevelFilter::WARN => "warning",
        LevelFilter::DEBUG | LevelFilter::TRACE => "debug",
        _ => "info",
    }
}

/// The keys of a form, with their values in the file or their defaults. Paths in the file are
/// relative to `folder`.
fn filled(form: &Form, written: Option<&Node>, folder: &Path) -> Map<String, Value> {
    let mut all = Map::new();
    for key in &form.keys {
        let node = written.and_then(|node| key.entry(node)).map(|entry| &entry.node).filter(|node| !node.is_null());
        let value = match (node, key.kind) {
            (Some(node), kind) => Some(value(kind, node, folder)),
            (None, Kind::Form(form)) if defaults_alone(&form()) => Some(Value::Object(filled(&form(), None, folder))),
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

fn value(kind: Kind, node: &Node, folder: &Path) -> Value {
    let list = node.list().unwrap_or_default();
    let map = node.map().unwrap_or_default();
    match kind {
        Kind::Form(form) => Value::Object(filled(&form(), Some(node), folder)),
        Kind::List(kind) => list.iter().map(|node| value(*kind, node, folder)).collect(),
        Kind::Named(form) => {
            let member = |entry: &pattoo_settings::yaml::Entry| {
                let filled = filled(&form().resolved(&entry.node), Some(&entry.node), folder);
                (entry.key.clone(), Value::Object(filled))
            };
            Value::Object(map.iter().map(member).collect())
        }
        Kind::Text => node.text().map_or(Value::Null, Value::from),
        Kind::Path => node.text().map_or(Value::Null, |path| folder.join(path).display().to_string().into()),
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
