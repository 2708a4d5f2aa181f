//! How a receiver responds, so that an agent can be tested against a failing server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::{files, text::one_line};
use serde::Deserialize;

/// The largest scenario file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// How much of an error is shown, in bytes.
const MAX_SHOWN: usize = 200;

/// What happens to a request with a valid payload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The status of the response. A payload is stored only if that is a success.
    pub answer: u16,
    /// Seconds, sent as `Retry-After`.
    pub retry_after: Option<u32>,
    /// The delay of the response.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// There is no response at all.
    pub hang: bool,
    /// The payload is stored whatever the status is, as when a response is lost on the network.
    pub keep: bool,
    /// All this only for payloads that contain this text; others are accepted.
    pub only: Option<String>,
    /// The response to a client that does not send this bearer token is 401.
    pub token: Option<String>,
}

impl Scenario {
    /// The keys of a scenario file.
    pub const KEYS: [&str; 7] = ["answer", "retry_after", "delay", "hang", "keep", "only", "token"];
}

impl Default for Scenario {
    /// Accepts valid payloads, without delay.
    fn default() -> Self {
        Self {
            answer: 200,
            retry_after: None,
            delay: Duration::ZERO,
            hang: false,
            keep: false,
            only: None,
            token: None,
        }
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = |_| serde::de::Error::custom(format!("expected a duration, for example 2s, found `{text}`"));
    humantime::parse_duration(&text).map_err(expected)
}

/// Where a receiver reads its scenario.
#[derive(Debug, Clone, Default)]
pub struct ScenarioSource {
    /// The scenario if there is no file, or it is empty.
    pub default: Scenario,
    /// A YAML file that is read at each request, so that the scenario can be changed while the
    /// receiver runs.
    pub file: Option<PathBuf>,
}

impl ScenarioSource {
    /// Checks the file before the receiver starts. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is not a scenario.
    pub fn check(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = files::read_text(file, MAX_FILE);
        let text = text.map_err(|error| format!("cannot read the scenario {}: {error}", file.display()))?;
        read(file, &text).map(drop)
    }

    /// The scenario at this moment.
    pub(super) async fn current(&self) -> Scenario {
        let Some(file) = &self.file else { return self.default.clone() };
        let path = file.clone();
        let text = tokio::task::spawn_blocking(move || files::read_text(&path, MAX_FILE)).await;
        let scenario = match text.map_err(std::io::Error::other).flatten() {
            Ok(text) => read(file, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read the scenario {}: {error}", file.display())),
        };
        let scenario = scenario.inspect_err(|error| tracing::error!("{error}"));
        scenario.ok().flatten().unwrap_or_else(|| self.default.clone())
    }
}

/// The scenario in a file; none if the file is empty.
fn read(file: &Path, text: &str) -> Result<Option<Scenario>, String> {
    let invalid = |error: serde_yaml::Error| one_line(&error.to_string(), MAX_SHOWN);
    serde_yaml::from_str(text).map_err(|error| format!("invalid scenario {}: {}", file.display(), invalid(error)))
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Scenario, read};

    #[test]
    fn keys_that_a_scenario_file_omits_have_their_defaults() {
        let read = |text| read(Path::new("scenario.yaml"), text).unwrap();
        let delay = Duration::from_millis(1500);
        assert_eq!(
            read("answer: 503\nretry_after: 5\ndelay: 1500ms\n"),
            Some(Scenario { answer: 503, retry_after: Some(5), delay, ..Scenario::default() })
        );
        assert_eq!(read("hang: true"), Some(Scenario { hang: true, ..Scenario::default() }));
        assert_eq!(read(""), None);
    }

    #[test]
    fn invalid_scenario_is_refused_with_what_is_expected() {
        let refusal = |text| read(Path::new("scenario.yaml"), text).unwrap_err();
        let unknown = refusal("answers: 500");
        assert!(Scenario::KEYS.iter().all(|key| unknown.contains(&format!("`{key}`"))), "{unknown}");
        assert!(refusal("delay: soon").contains("expected a duration, for example 2s, found `soon`"));
    }
}
