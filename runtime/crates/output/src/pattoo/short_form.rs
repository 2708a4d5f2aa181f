//! `server:`, the short form of one output that is a pattoo server.

use pattoo_base::invariant::broken;
use pattoo_settings::{Fields, Key, Kind, Reported, yaml::Node};
use serde_json::{Map, Value, json};

use super::{Settings, form};
use crate::{
    NamedOutput, Output,
    output_type::{Folders, OutputSettings as _},
};

/// The key.
pub(crate) const KEY: &str = "server";
/// The name of the output.
pub(crate) const NAME: &str = "pattoo";

/// What to do when the key stands beside `outputs:`.
pub(crate) const INSTEAD: &str =
    "move the server below `outputs:`, as `pattoo: { type: pattoo, url: … }`, and remove `server:`";

/// The output with these settings, under the name of the short form.
pub fn short_form(settings: Settings) -> Option<NamedOutput> {
    let name = NAME.parse().ok();
    if name.is_none() {
        broken("the name of the short form is valid");
    }
    name.map(|name| NamedOutput { name, output: Output::Pattoo(settings) })
}

/// The key with its form.
pub(crate) fn key() -> Key {
    Key::new(
        KEY,
        Kind::Form(form),
        "the pattoo server, short for `outputs` with one output `pattoo`; by default the server of `ip_address` and `ip_bind_port` in pattoo's own files",
        "{ url: \"https://pattoo.example.org\" }",
    )
}

/// Reads the value of the key.
pub(crate) fn read(fields: Fields<'_>, node: &Node, folders: Folders<'_>) -> Result<NamedOutput, Reported> {
    let settings = Settings::read(fields.of(&form(), node), folders)?;
    short_form(settings).ok_or(Reported)
}

/// Whether outputs of this name are those of the short form.
pub(crate) fn is_name(name: &str) -> bool {
    name == NAME
}

/// Adds the key with the URL in use to a section that has no `outputs:`.
pub(crate) fn add_to(section: &mut Map<String, Value>, outputs: &[NamedOutput]) {
    let Some(url) = outputs.iter().find_map(|output| output.output.settings().url()) else { return };
    if let Value::Object(server) = section.entry(KEY).or_insert_with(|| json!({})) {
        server.insert("url".to_owned(), url.as_str().trim_end_matches('/').into());
    }
}
