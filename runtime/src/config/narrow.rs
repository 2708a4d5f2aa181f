//! The grant that allows exactly the access that a collection requested, as a `--grants` file.
//!
//! It consists of canonical parts in quotes, so that no string of a collector can change the
//! structure of the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use pattoo_base::secret::SecretSource;
use pattoo_fetch::{OriginGrant, PathPrefix};
use pattoo_modbus::{EndpointSettings, Ranges, Table};
use pattoo_sandbox::capability::{
    Asked, DeviceAsked, OriginAsked,
    modbus::{DEFAULT_UNIT, DeviceGrant, grant_key},
};

use super::devices::ENDPOINT;

/// The lines of the file; none if no access was requested that can be granted.
///
/// An origin has an item for each set of methods with which paths were requested. Units of a device
/// share its tables: if different addresses of its units were requested, each unit gets all of
/// them. A device without an address has a placeholder.
pub fn grants_of(asked: &Asked) -> String {
    let mut text = String::new();
    if !asked.web.is_empty() {
        text.push_str("http:\n");
    }
    for (origin, asked) in &asked.web {
        for (methods, paths) in by_methods(asked) {
            origin_item(&mut text, origin, asked, methods, &paths);
        }
    }
    if !asked.devices.is_empty() {
        text.push_str("modbus:\n");
    }
    for (name, asked) in &asked.devices {
        device_entry(&mut text, name, asked);
    }
    text
}

/// A string in quotes. Those of JSON are valid in YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<T>(all: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    format!("[{}]", all.into_iter().map(show).collect::<Vec<_>>().join(", "))
}

/// The paths, by the methods with which they were requested.
fn by_methods(asked: &OriginAsked) -> BTreeMap<&BTreeSet<String>, Vec<&str>> {
    let mut items: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (path, methods) in &asked.paths {
        items.entry(methods).or_default().push(path);
    }
    items
}

fn origin_item(text: &mut String, origin: &str, asked: &OriginAsked, methods: &BTreeSet<String>, paths: &[&str]) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "  - origin: {}", quoted(origin));
    let _ = writeln!(text, "    methods: {}", list(methods, |method| quoted(method)));
    // An ambiguous path is not a valid prefix. Only a grant of all paths allows it.
    if paths.iter().all(|path| path.parse::<PathPrefix>().is_ok()) {
        let _ = writeln!(text, "    paths: {}", list(paths, |path| quoted(path)));
    }
    if asked.private {
        let _ = writeln!(text, "    private: true    # its name resolves to an address that is not public");
    }
    if asked.granted.as_ref().is_some_and(OriginGrant::is_own) {
        let _ = writeln!(text, "    own: true    # it may be pattoo-wasm itself, or its pattoo server");
    }
    let attached = asked.granted.as_ref().map(OriginGrant::attached).unwrap_or_default();
    let source = |source: &SecretSource| match source {
        SecretSource::Given => None,
        SecretSource::Environment(name) => Some(format!("{{ secret: {} }}", quoted(name))),
        SecretSource::File(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Some(format!("{{ secret_file: {} }}", quoted(&path.display().to_string())))
        }
    };
    let headers: Vec<_> = attached
        .iter()
        .filter_map(|(name, secret)| Some(format!("{}: {}", quoted(name.as_str()), source(secret.source())?)))
        .collect();
    if !headers.is_empty() {
        let _ = writeln!(text, "    headers: {{ {} }}", headers.join(", "));
    }
}

/// The requested addresses of a table of these units.
fn ranges(asked: &DeviceAsked, table: Table, of: impl Fn(u8) -> bool) -> Ranges {
    let spans = asked.spans.iter().filter(|span| span.1 == table && of(span.0));
    spans.map(|(_, _, first, last)| Ranges::run(*first, *last)).collect()
}

/// Whether different addresses of the units were requested.
fn differ(asked: &DeviceAsked, units: &BTreeSet<u8>) -> bool {
    let mut each = units.iter().map(|unit| Table::ALL.map(|table| ranges(asked, table, |of| of == *unit)));
    each.next().is_some_and(|first| each.any(|next| next != first))
}

fn device_entry(text: &mut String, name: &str, asked: &DeviceAsked) {
    let _ = writeln!(text, "  {}:", quoted(name));
    match &asked.granted {
        Some(grant) => {
            let _ = writeln!(text, "    url: {}", quoted(&grant.endpoint.to_string()));
        }
        None => text.push_str("    url: \"tcp://HOST:502\"    # the address of the device\n"),
    }
    let default = asked.granted.as_ref().map_or(DEFAULT_UNIT, DeviceGrant::default_unit);
    let units: BTreeSet<u8> = asked.spans.iter().map(|(unit, ..)| *unit).collect();
    // The first one is read if the collector names none.
    let first = units.get(&default).copied();
    let ordered = first.into_iter().chain(units.iter().copied().filter(|unit| Some(*unit) != first));
    let _ = write!(text, "    units: {}", list(ordered, |unit| unit.to_string()));
    text.push_str(if differ(asked, &units) { "    # each of them gets all of the following\n" } else { "\n" });
    for table in Table::ALL {
        let ranges = ranges(asked, table, |_| true);
        if ranges != Ranges::none() {
            let _ = writeln!(text, "    {}: {}", grant_key(table), list(ranges.to_string().split(", "), quoted));
        }
    }
    let Some(grant) = &asked.granted else { return };
    if grant.settings.own {
        let _ = writeln!(text, "    own: true    # it may be pattoo-wasm itself, or its pattoo server");
    }
    let usual = EndpointSettings::default();
    for quantity in ENDPOINT {
        let set = quantity.show(&grant.settings);
        if set != quantity.show(&usual) {
            let _ = writeln!(text, "    {}: {set}", quantity.name);
        }
    }
}
