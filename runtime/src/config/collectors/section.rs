//! One collector of a list.

use std::path::{Path, PathBuf};

use pattoo_output::read_choice;
use pattoo_settings::{Fields, Reported};
use serde_json::Value;

use super::{
    super::{collector_limits, forms, grants_section::grants, interval, settings_section::to_json},
    CollectorSettings, Shared,
};

/// Reads a collector. Paths in it are relative to `folder`.
pub(super) fn collector(fields: Fields<'_>, folder: &Path, shared: Shared<'_>) -> Result<CollectorSettings, Reported> {
    let program = fields.required("program");
    let module = fields.required::<PathBuf>("module");
    let sha256 = fields.optional("sha256");
    let polling_interval = interval(fields, "polling_interval");
    let settings = settings(fields);
    let limits =
        fields.node("limits").map(|node| collector_limits::read(fields.of(&forms::limits(), node))).transpose();
    let form = forms::grants();
    let grants = fields.node("grants").map(|node| grants(fields.of(&form, node), folder)).transpose();
    let outputs = shared.outputs.map_or(Ok(Vec::new()), |outputs| read_choice(fields, outputs));
    Ok(CollectorSettings {
        program: program?,
        module: folder.join(module?),
        sha256: sha256?,
        polling_interval: polling_interval?.unwrap_or(shared.interval),
        settings: settings?,
        limits: limits?.unwrap_or_default(),
        grants: grants?.unwrap_or_default(),
        outputs: outputs?,
    })
}

/// The settings of a collector as JSON.
fn settings(fields: Fields<'_>) -> Result<String, Reported> {
    let Some(node) = fields.node("settings") else { return Ok("{}".to_owned()) };
    match node.to_json() {
        Ok(Value::Object(settings)) => {
            to_json(settings).map_err(|error| fields.wrong_with(node, &error, error.help().to_owned()))
        }
        // A value that is not a map, or that JSON cannot hold, was reported when the form was
        // checked.
        _ => Err(Reported),
    }
}
