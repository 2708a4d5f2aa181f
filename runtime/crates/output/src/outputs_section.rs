//! The outputs of a configuration: their section, and what is the same for each of them.

use std::collections::HashMap;

use pattoo_base::text::shown;
use pattoo_settings::{Fields, Form, Key, Kind, Reported, all, closest, yaml::Entry};
use pattoo_spool::OutputId;

use crate::{Output, OutputName, output_type::Folders};

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

/// Reads the entries of `outputs:`.
///
/// # Errors
///
/// When something in them is wrong, which is reported then.
pub fn read_outputs(fields: Fields<'_>, entries: &[Entry], folders: Folders<'_>) -> Result<Vec<NamedOutput>, Reported> {
    let outputs = all(entries.iter().map(|entry| named(fields, entry, folders)))?;
    let mut places: HashMap<String, &NamedOutput> = HashMap::new();
    let mut unique = Ok(());
    for (entry, output) in entries.iter().zip(&outputs) {
        let place = output.output.settings().place();
        if let Some(first) = places.get(&place) {
            let what = format!("the outputs `{}` and `{}` both lead to {place}", first.name, output.name);
            unique = Err(fields.wrong_key(entry, what, "leave one of them out"));
        } else {
            places.insert(place, output);
        }
    }
    unique.map(|()| outputs)
}

fn named(fields: Fields<'_>, entry: &Entry, folders: Folders<'_>) -> Result<NamedOutput, Reported> {
    let name = entry.key.parse().map_err(|error| fields.wrong_key(entry, error, "name it for example `archive`"));
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
        return Err(fields.wrong("outputs", node, "a collector needs an output"));
    }
    let find = |text: &str| outputs.iter().find(|output| output.name.as_str() == text);
    let mut names: Vec<OutputName> = all(chosen.iter().map(|node| {
        let text = node.text().ok_or(Reported)?;
        find(text).map(|output| output.name.clone()).ok_or_else(|| {
            let known: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let help = match (closest(text, known), all.as_slice()) {
                (Some(name), _) => format!("did you mean `{name}`? the outputs are {}", all.join(", ")),
                (None, []) => "add it below `outputs:`".to_owned(),
                (None, _) => format!("add it below `outputs:`; the outputs are {}", all.join(", ")),
            };
            fields.wrong_with(node, format!("there is no output {}", shown(text)), help)
        })
    }))?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
