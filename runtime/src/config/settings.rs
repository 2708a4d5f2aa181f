//! The settings that a collector is given: any JSON object, written as YAML or JSON.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The largest settings, in bytes of JSON.
const MAX_SETTINGS: usize = 1 << 20;

/// Why settings cannot be given to a collector.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is neither JSON nor YAML, or has what JSON cannot hold.
    #[error("{} is not YAML or JSON: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        detail: String,
    },
    /// The file holds something else than an object.
    #[error("{} holds {found}, and settings are a mapping of names to values", path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// A setting on the command line has no name.
    #[error("`{0}` is not a setting: write it as NAME=VALUE")]
    NoName(String),
    /// Together they are too large.
    #[error("the settings have {0} bytes as JSON, and may have {MAX_SETTINGS}")]
    TooLarge(usize),
}

/// Reads settings from a YAML or JSON file.
///
/// # Errors
///
/// When the file cannot be read, is neither, or holds something else than a mapping.
pub fn read_settings(path: &Path) -> Result<Map<String, Value>, SettingsError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| SettingsError::Unreadable { path: path.to_owned(), error })?;
    // JSON is YAML, but for numbers of more digits than YAML's reader keeps: so each by its own reader.
    let value = serde_json::from_str(&text)
        .or_else(|_| serde_yaml::from_str(&text))
        .map_err(|error| SettingsError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
    let found = match value {
        Value::Object(settings) => return Ok(settings),
        Value::Null => return Ok(Map::new()),
        Value::Array(_) => "a list",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a single value",
    };
    Err(SettingsError::NotAnObject { path: path.to_owned(), found })
}

/// Adds one `NAME=VALUE` from the command line. The value is read as YAML (`3`, `[a, b]`); what is no YAML is text.
///
/// # Errors
///
/// When there is no name before a `=`.
pub fn merge_setting(settings: &mut Map<String, Value>, setting: &str) -> Result<(), SettingsError> {
    let (name, text) = setting
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| SettingsError::NoName(setting.to_owned()))?;
    let value = serde_yaml::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    settings.insert(name.to_owned(), value);
    Ok(())
}

/// Settings as the JSON text that a guest gets.
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
    fn a_value_is_yaml_when_it_can_be() {
        assert_eq!(setting("count=3"), json!({"count": 3}));
        assert_eq!(setting("tickers=[ABC, DEF]"), json!({"tickers": ["ABC", "DEF"]}));
        assert_eq!(setting("on=true"), json!({"on": true}));
        assert_eq!(setting("nothing="), json!({"nothing": null}));
    }

    #[test]
    fn a_value_that_is_no_yaml_is_text() {
        assert_eq!(setting("note=[a"), json!({"note": "[a"}));
        assert_eq!(setting("url=http://a/?b=c"), json!({"url": "http://a/?b=c"}));
    }

    #[test]
    fn a_setting_without_a_name_is_refused() {
        for text in ["", "x", "=3"] {
            assert!(merge_setting(&mut Map::new(), text).is_err(), "{text}");
        }
    }
}
