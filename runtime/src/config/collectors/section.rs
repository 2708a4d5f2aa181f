//! One collector of a list.

use std::path::{Path, PathBuf};

use pattoo_output::read_choice;
use pattoo_settings::{Fields, Reported, shown, yaml::Node};
use serde_json::{Map, Value};

use super::{
    super::{
        collector_limits, forms,
        grants_section::grants,
        interval,
        settings_section::{settings_of, to_json},
        source::{Source, SourceError},
    },
    CollectorSettings, Shared,
};

/// Reads a collector, and the path of the file of its settings if there is one. Paths in it are
/// relative to `folder`.
pub(super) fn collector(
    fields: Fields<'_>,
    folder: &Path,
    shared: Shared<'_>,
) -> Result<(CollectorSettings, Option<PathBuf>), Reported> {
    let program = fields.required("program");
    let module = fields.required::<PathBuf>("module");
    let sha256 = fields.optional("sha256");
    let polling_interval = interval(fields, "polling_interval");
    let settings_file = fields.node("settings_file").and_then(Node::text).map(|path| folder.join(path));
    let settings = settings(fields, settings_file.as_deref());
    let limits =
        fields.node("limits").map(|node| collector_limits::read(fields.of(&forms::limits(), node))).transpose();
    let form = forms::grants();
    let grants = fields.node("grants").map(|node| grants(fields.of(&form, node), folder)).transpose();
    let outputs = shared.outputs.map_or(Ok(Vec::new()), |outputs| read_choice(fields, outputs));
    let collector = CollectorSettings {
        program: program?,
        module: folder.join(module?),
        sha256: sha256?,
        polling_interval: polling_interval?.unwrap_or(shared.interval),
        settings: settings?,
        limits: limits?.unwrap_or_default(),
        grants: grants?.unwrap_or_default(),
        outputs: outputs?,
    };
    Ok((collector, settings_file))
}

/// The settings of a collector as JSON: those in `file`, and those that are written in the collector.
fn settings(fields: Fields<'_>, file: Option<&Path>) -> Result<String, Reported> {
    let written = written(fields);
    let Some((path, node)) = file.zip(fields.node("settings_file")) else {
        return as_json(fields, fields.node("settings"), written?);
    };
    let (source, mut settings) = in_file(fields, node, path)?;
    let mut twice = Ok(());
    for entry in fields.map("settings") {
        if let Some(other) = source.document.root.entry(&entry.key) {
            let (line, _) = source.place_of(&other.key_span).line_and_column();
            let what = format!("`{}` is in `settings` and in {} too", shown(&entry.key), path.display());
            let help = format!("remove it here, or in line {line} of that file");
            twice = Err(fields.wrong_key(entry, what, &help));
        }
    }
    settings.extend(written?);
    twice.and_then(|()| as_json(fields, Some(node), settings))
}

/// The settings that are written in the collector.
fn written(fields: Fields<'_>) -> Result<Map<String, Value>, Reported> {
    let Some(node) = fields.node("settings") else { return Ok(Map::new()) };
    match node.to_json() {
        Ok(Value::Object(settings)) => Ok(settings),
        // A value that is not a map, or that JSON cannot hold, was reported when the form was
        // checked.
        _ => Err(Reported),
    }
}

/// The settings in the file that `node` names.
fn in_file(fields: Fields<'_>, node: &Node, path: &Path) -> Result<(Source, Map<String, Value>), Reported> {
    let source = Source::read_trusted(path).map_err(|error| match error {
        SourceError::Unreadable(..) => {
            let help = "name a YAML or JSON file that this user can read";
            fields.wrong_with(node, error.into_problem().what, help.to_owned())
        }
        SourceError::Exposed(exposure) => fields.wrong_with(node, &exposure, exposure.help()),
        SourceError::Malformed(problem) => {
            fields.report.add([problem]);
            Reported
        }
    })?;
    match settings_of(&source) {
        Ok(settings) => Ok((source, settings)),
        Err(problems) => {
            fields.report.add(problems);
            Err(Reported)
        }
    }
}

/// Settings as the JSON that the collector gets, with `node` as the place of what is wrong with them.
fn as_json(fields: Fields<'_>, node: Option<&Node>, settings: Map<String, Value>) -> Result<String, Reported> {
    to_json(settings).map_err(|error| match node {
        Some(node) => fields.wrong_with(node, &error, error.help().to_owned()),
        None => Reported,
    })
}
