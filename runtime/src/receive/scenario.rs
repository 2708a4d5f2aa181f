//! How a receiver responds, so that an agent can be tested against a failing server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::files;
use serde::Deserialize;

/// The largest scenario file, in bytes.
const MAX_FILE: u64 = 64 << 10;

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
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
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
    /// The scenario at this moment.
    pub(super) async fn current(&self) -> Scenario {
        let Some(file) = &self.file else { return self.default.clone() };
        let path = file.clone();
        let text = tokio::task::spawn_blocking(move || files::read_text(&path, MAX_FILE)).await;
        match text.map_err(std::io::Error::other).flatten() {
            Ok(text) => read(file, &text).unwrap_or_else(|| self.default.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.default.clone(),
            Err(error) => {
                tracing::error!("{}: {error}", file.display());
                self.default.clone()
            }
        }
    }
}

fn read(file: &Path, text: &str) -> Option<Scenario> {
    match serde_yaml::from_str::<Option<Scenario>>(text) {
        Ok(scenario) => scenario,
        Err(error) => {
            tracing::error!("{}: {}", file.display(), pattoo_base::text::one_line(&error.to_string(), 200));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Scenario, read};

    #[test]
    fn keys_that_a_scenario_file_omits_have_their_defaults() {
        let read = |text| read(Path::new("scenario.yaml"), text);
        let delay = Duration::from_millis(1500);
        assert_eq!(
            read("answer: 503\nretry_after: 5\ndelay: 1500ms\n"),
            Some(Scenario { answer: 503, retry_after: Some(5), delay, ..Scenario::default() })
        );
        assert_eq!(read("hang: true"), Some(Scenario { hang: true, ..Scenario::default() }));
        assert_eq!((read(""), read("answers: 500"), read("delay: soon")), (None, None, None));
    }
}
