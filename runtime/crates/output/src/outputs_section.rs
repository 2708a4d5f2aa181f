//! The outputs of a configuration: `outputs:`, and the short form of a single one.

use std::{collections::HashMap, str::FromStr};

use pattoo_settings::{
    Fields, Form, Key, Kind, Reported, all, closest, shown,
    yaml::{Entry, Node},
};
use pattoo_spool::OutputId;
use serde_json::{Map, Value};

use crate::{
    Output, OutputName,
    output_type::{Folders, OutputSettings as _},
    pattoo::{self, short_form},
};

/// The key of the outputs by their names.
const OUTPUTS: &str = "outputs";

/// Where outputs are configured, as paths of keys: of those that are there the first is meant.
pub const PLACES: [&[&str]; 2] = [&[OUTPUTS], &[short_form::KEY, "url"]];

/// An output under the name that the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedOutput {
    /// Its name.
    pub name: OutputName,
    /// What it is.
    pub output: Output,
}

impl NamedOutput {
    /// What names its queues in the spool.
    pub fn id(&self) -> OutputId {
        self.output.settings().id(&self.name)
    }
}

/// The form of the section of an output.
pub fn form() -> Form {
    let tag = Key::new("type", Kind::Choice(Output::TYPES), "what kind of output it is", "pattoo");
    Form::tagged("an output", tag, Output::VARIANTS)
}

/// The keys of a configuration that say where datapoints go.
pub fn keys() -> Vec<Key> {
    let outputs = Key::new(
        OUTPUTS,
        Kind::Named(form),
        "the outputs of datapoints by their names: 1 to 64 letters, digits, `_` and `-`; not together with `server`",
        "{ archive: { type: file, path: archive/values.jsonl } }",
    );
    vec![short_form::key(), outputs]
}

/// Reads the outputs of a configuration; the one that is `installed` if it has none.
///
/// # Errors
///
/// When something in them is wrong, which is reported then.
pub fn read_outputs(
    fields: Fields<'_>,
    folders: Folders<'_>,
    installed: Option<NamedOutput>,
) -> Result<Vec<NamedOutput>, Reported> {
    match (fields.node(short_form::KEY), fields.entry(OUTPUTS)) {
        (Some(_), Some(entry)) => {
            let what = format!("`{}` and `{OUTPUTS}` cannot be set together", short_form::KEY);
            Err(fields.wrong_key(entry, what, short_form::INSTEAD))
        }
        (Some(node), None) => short_form::read(fields, node, folders).map(|output| vec![output]),
        (None, Some(_)) => read_named(fields, fields.map(OUTPUTS), folders),
        (None, None) => Ok(installed.into_iter().collect()),
    }
}

/// The sections of the outputs of a configuration, valid or not.
pub fn output_sections(configuration: &Node) -> impl Iterator<Item = &Node> {
    let named = configuration.entry(OUTPUTS).and_then(|outputs| outputs.node.map()).unwrap_or_default();
    configuration.entry(short_form::KEY).into_iter().chain(named).map(|entry| &entry.node)
}

/// The URL in the section of an output, if it has one that is valid.
pub fn url_of<U: FromStr>(section: &Node) -> Option<U> {
    section.entry("url")?.node.text()?.parse().ok()
}

/// What names the queues of an output in a configuration, which may be wrong; `installed` is the
/// one that is meant if it has none. An output that is not configured has its own name.
pub fn queues_of(
    configuration: Option<&Node>,
    name: &OutputName,
    installed: impl FnOnce() -> Option<NamedOutput>,
) -> OutputId {
    let named = configuration.and_then(|node| node.entry(OUTPUTS)?.node.entry(name.as_str()));
    let id = if let Some(Entry { node, .. }) = named {
        let kind = node.entry("type").and_then(|entry| entry.node.text());
        kind.and_then(|kind| Output::id_in(kind, node))
    } else {
        let short = configuration.and_then(|node| pattoo::Settings::id_in(&node.entry(short_form::KEY)?.node));
        let short = short.filter(|_| short_form::is_name(name.as_str()));
        short.or_else(|| installed().filter(|output| output.name == *name).map(|output| output.id()))
    };
    id.unwrap_or_else(|| name.id())
}

/// The names of the outputs of a configuration, which may be wrong; `installed` is the one that is
/// meant if it has none.
pub fn output_names(configuration: Option<&Node>, installed: impl FnOnce() -> Option<NamedOutput>) -> Vec<String> {
    if let Some(named) = configuration.and_then(|node| node.entry(OUTPUTS)?.node.map()) {
        return named.iter().map(|entry| entry.key.clone()).collect();
    }
    let short = configuration.and_then(|node| node.entry(short_form::KEY)).map(|_| short_form::NAME.to_owned());
    short.or_else(|| installed().map(|output| output.name.to_string())).into_iter().collect()
}

/// Adds to the values of a configuration the outputs in use that it leaves to a default.
pub fn add_defaults(configuration: &mut Map<String, Value>, outputs: &[NamedOutput]) {
    if !configuration.contains_key(OUTPUTS) {
        short_form::add_to(configuration, outputs);
    }
}

fn read_named(fields: Fields<'_>, entries: &[Entry], folders: Folders<'_>) -> Result<Vec<NamedOutput>, Reported> {
    let outputs = all(entries.iter().map(|entry| named(fields, entry, folders)))?;
    let mut places: HashMap<String, &NamedOutput> = HashMap::new();
    let mut unique = Ok(());
    for (entry, output) in entries.iter().zip(&outputs) {
        let place = output.output.settings().place();
        if let Some(first) = places.get(&place) {
            let what = format!("the outputs `{}` and `{}` have the same destination {place}", first.name, output.name);
            unique = Err(fields.wrong_key(entry, what, "remove one of them"));
        } else {
            places.insert(place, output);
        }
    }
    unique.map(|()| outputs)
}

fn named(fields: Fields<'_>, entry: &Entry, folders: Folders<'_>) -> Result<NamedOutput, Reported> {
    let name =
        entry.key.parse().map_err(|error| fields.wrong_key(entry, error, "choose another name, for example `archive`"));
    let form = form().resolved(&entry.node);
    let section = fields.of(&form, &entry.node);
    // A type that is missing or unknown was reported when the form was checked.
    let kind = section.node("type").and_then(|node| node.text()).ok_or(Reported)?;
    let output = Output::read(kind, section, folders).ok_or(Reported)?;
    Ok(NamedOutput { name: name?, output: output? })
}

/// Reads the outputs that a collector names under `outputs:`; all of them if it names none.
///
/// # Errors
///
/// When a name is not that of an output, which is reported then.
pub fn read_choice(fields: Fields<'_>, outputs: &[NamedOutput]) -> Result<Vec<OutputName>, Reported> {
    let Some(node) = fields.node("outputs") else {
        return Ok(outputs.iter().map(|output| output.name.clone()).collect());
    };
    let chosen = node.list().unwrap_or_default();
    if chosen.is_empty() {
        return Err(fields.wrong("outputs", node, "a collector needs at least one output"));
    }
    let find = |text: &str| outputs.iter().find(|output| output.name.as_str() == text);
    let mut names: Vec<OutputName> = all(chosen.iter().map(|node| {
        let text = node.text().ok_or(Reported)?;
        find(text).map(|output| output.name.clone()).ok_or_else(|| {
            let known: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let help = match (closest(text, known), all.as_slice()) {
                (Some(name), _) => format!("did you mean `{name}`? the outputs are {}", all.join(", ")),
                (None, []) => "add it below `outputs:` in pattoo_wasm.yaml".to_owned(),
                (None, _) => format!("add it below `outputs:` in pattoo_wasm.yaml; the outputs are {}", all.join(", ")),
            };
            fields.wrong_with(node, format!("there is no output `{}`", shown(text)), help)
        })
    }))?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
