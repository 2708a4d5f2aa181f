//! Who this collector is, and what its operator set. Nothing here can fail except settings that do not fit.

use core::time::Duration;

use serde::de::DeserializeOwned;

use crate::{Error, clock::Timestamp, host};

/// The name under which the datapoints reach pattoo, such as `LAVA_SCRIPT`.
pub fn program() -> String {
    host::program()
}

/// The time between the starts of two collections, a whole number of seconds.
pub fn polling_interval() -> Duration {
    Duration::from_secs(host::polling_interval().into())
}

/// When this collection began. It does not change during a collection: give it to every datapoint that should have the
/// same timestamp.
pub fn collection_time() -> Timestamp {
    Timestamp::from_unix_millis(host::collection_time())
}

/// What the operator set for this collector, as the type that the collector wants.
///
/// An operator who set nothing gives an empty object, so a type whose fields all have defaults always fits. With
/// `#[serde(deny_unknown_fields)]` a misspelt setting is an error instead of silence.
///
/// ```
/// use pattoo_guest::{settings, testing::Host};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     tickers: Vec<String>,
/// }
///
/// fn collect() -> pattoo_guest::Result {
///     let settings: Settings = settings()?;
///     pattoo_guest::target("SITE_A").emit("tickers", settings.tickers.len() as i64)?;
///     Ok(())
/// }
///
/// let nothing_set = Host::new().collect(collect);
/// assert_eq!(nothing_set.outcome, Err("the settings do not fit: missing field `tickers`".to_owned()));
///
/// let one = Host::new().settings(serde_json::json!({ "tickers": ["ABC", 7] })).collect(collect);
/// let text = "the settings do not fit: tickers[1]: invalid type: integer `7`, expected a string";
/// assert_eq!(one.outcome, Err(text.to_owned()));
/// ```
///
/// # Errors
/// The settings are not what `T` wants; the text says where they differ.
pub fn settings<T: DeserializeOwned>() -> Result<T, Error> {
    let text = host::settings();
    let read = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text));
    read.map_err(|error| {
        // The operator wrote YAML or flags and never sees the JSON, so a place in it helps nobody; the key does.
        let key = error.path().to_string();
        let error = error.into_inner();
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = text.strip_suffix(&place).unwrap_or(&text);
        let key = if key == "." { String::new() } else { format!("{key}: ") };
        format!("the settings do not fit: {key}{reason}").into()
    })
}
