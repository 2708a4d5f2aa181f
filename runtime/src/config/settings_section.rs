//! The settings of a collector: any JSON object, written as YAML or JSON.

use std::{path::Path, sync::Arc};

use pattoo_base::text::one_line;
use pattoo_settings::{
    ConfigError, Problem, SourceFile,
    yaml::{Document, Node, YamlRefusal},
};
use serde_json::{Map, Value};

use super::source::{Source, SourceError};

/// How much of a name a message shows, in bytes.
const MAX_SHOWN: usize = 120;

/// The largest settings, in bytes of JSON.
const MAX_SETTINGS: usize = 1 << 20;

/// Why settings cannot be passed to a collector.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting on the command line has no name.
    #[error("invalid setting `{0}`: expected NAME=VALUE")]
    NoName(String),
    /// A setting on the command line is a number that JSON cannot hold, such as infinity.
    #[error("invalid setting `{0}`: JSON cannot represent the number")]
    Unholdable(String),
    /// A setting on the command line is unsupported YAML, such as `!!binary`.
    #[error("invalid setting `{}`: {what}", one_line(name, MAX_SHOWN))]
    Content {
        /// Its name.
        name: String,
        /// What is wrong with its value.
        what: String,
    },
    /// Together they are too large.
    #[error("the settings are too large: they have {0} bytes as JSON, and at most {MAX_SETTINGS} are allowed")]
    TooLarge(usize),
}

impl SettingsError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoName(_) => "write a name before the `=`, for example `--setting count=3`",
            Self::Unholdable(_) | Self::Content { .. } => "put the value in quotes to make it a string",
            Self::TooLarge(_) => "pass fewer or shorter settings",
        }
    }
}

/// Reads settings from a YAML or JSON file.
///
/// # Errors
///
/// When the file cannot be read, is neither, or contains anything but a map.
pub fn read_settings(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let source = Source::read(path).map_err(SourceError::into_problem)?;
    Ok(settings_of(&source)?)
}

/// The settings in a file.
///
/// # Errors
///
/// When it has the same name twice, or is anything but a map that JSON can hold.
pub(super) fn settings_of(source: &Source) -> Result<Map<String, Value>, Vec<Problem>> {
    if !source.document.duplicates.is_empty() {
        return Err(source.document.duplicates.clone());
    }
    let wrong = |node: &Node, what: String, help: &str| vec![Problem::error(what, source.place_of(&node.span), help)];
    let root = &source.document.root;
    match root.to_json() {
        Ok(Value::Object(settings)) => Ok(settings),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(wrong(
            root,
            format!("invalid settings: expected a map of names to values, found {}", root.kind()),
            "write `NAME: VALUE`, each on a line of its own",
        )),
        Err(node) => Err(wrong(
            node,
            "invalid number: JSON cannot represent it".to_owned(),
            "put it in quotes to make it a string",
        )),
    }
}

/// Checks that a YAML file of another format is within the limits of ours, aliases included.
///
/// # Errors
///
/// When it is not YAML, or exceeds the limits.
pub fn check_yaml(path: &Path, text: &str) -> Result<(), ConfigError> {
    let file = Arc::new(SourceFile { path: path.to_owned(), text: text.to_owned() });
    match Document::parse(&file) {
        Ok(_) | Err(YamlRefusal::Syntax(_)) => Ok(()),
        Err(YamlRefusal::Content(problem)) => Err(problem.into()),
    }
}

/// Adds one `NAME=VALUE` from the command line. The value is parsed as YAML (`3`, `[a, b]`); if it
/// is not valid YAML it is a string.
///
/// # Errors
///
/// When there is no name before a `=`, or the value is a number that JSON cannot hold.
pub fn merge_setting(settings: &mut Map<String, Value>, setting: &str) -> Result<(), SettingsError> {
    let (name, text) = setting
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| SettingsError::NoName(setting.to_owned()))?;
    let file = Arc::new(SourceFile { path: "--setting".into(), text: text.to_owned() });
    let value = match Document::parse(&file) {
        Ok(document) => document.root.to_json().map_err(|_| SettingsError::Unholdable(setting.to_owned()))?,
        Err(YamlRefusal::Syntax(_)) => Value::String(text.to_owned()),
        Err(YamlRefusal::Content(problem)) => {
            return Err(SettingsError::Content { name: name.to_owned(), what: problem.what });
        }
    };
    settings.insert(name.to_owned(), value);
    Ok(())
}

/// Settings as the JSON that a collector gets.
///
/// # Errors
///
/// When it is too large.
pub fn to_json(settings: Map<String, Value>) -> Result<String, SettingsError> {
    let text = Value::Object(settings).to_string();
    if text.len() > MAX_SETTINGS { Err(SettingsError::TooLarge(text.len())) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::merge_setting;

    fn setting(text: &str) -> Value {
        let mut settings = Map::new();
        merge_setting(&mut settings, text).unwrap();
        Value::Object(settings)
    }

    #[test]
    fn valid_yaml_is_parsed() {
        assert_eq!(setting("count=3"), json!({"count": 3}));
        assert_eq!(setting("tickers=[ABC, DEF]"), json!({"tickers": ["ABC", "DEF"]}));
        assert_eq!(setting("on=true"), json!({"on": true}));
        assert_eq!(setting("nothing="), json!({"nothing": null}));
    }

    #[test]
    fn other_value_is_a_string() {
        assert_eq!(setting("note=[a"), json!({"note": "[a"}));
        assert_eq!(setting("password=!secret"), json!({"password": "!secret"}));
        assert_eq!(setting("url=http://a/?b=c"), json!({"url": "http://a/?b=c"}));
    }

    #[test]
    fn setting_without_a_name_or_json_representation_is_refused() {
        for text in ["", "x", "=3", "a=.nan", "a=[.inf]", "a=!!binary aGk=", "a=[!!int x]"] {
            assert!(merge_setting(&mut Map::new(), text).is_err(), "{text}");
        }
    }
}
