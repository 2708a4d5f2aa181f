//! How a receiver behaves that is to be difficult, so that an agent can be tried against a server in trouble.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::files;
use serde::Deserialize;

/// The largest file of a mood, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// What happens to a request whose body is good.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mood {
    /// The status that is answered. A body is stored only if that is success.
    pub answer: u16,
    /// Seconds, sent as `Retry-After`.
    pub retry_after: Option<u32>,
    /// How long the answer waits.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// No answer comes at all.
    pub hang: bool,
    /// The body is stored whatever is answered, as when an answer is lost on its way.
    pub keep: bool,
    /// All this only for bodies with this text in them; others are taken as usual.
    pub only: Option<String>,
    /// Who does not send this as a bearer token is answered 401.
    pub token: Option<String>,
}

impl Default for Mood {
    /// Takes what is good, at once.
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

/// Where a receiver has its mood from.
#[derive(Debug, Clone, Default)]
pub struct Moods {
    /// The one that it has when no file says otherwise.
    pub usual: Mood,
    /// A YAML file that is read at each request, so that the mood can be changed while it runs.
    pub file: Option<PathBuf>,
}

impl Moods {
    /// The mood of this moment.
    pub(super) async fn now(&self) -> Mood {
        let Some(file) = &self.file else { return self.usual.clone() };
        let path = file.clone();
        let text = tokio::task::spawn_blocking(move || files::read_text(&path, MAX_FILE)).await;
        match text.map_err(std::io::Error::other).flatten() {
            Ok(text) => read(file, &text).unwrap_or_else(|| self.usual.clone()),
            // No file, no mood.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.usual.clone(),
            Err(error) => {
                tracing::error!("{}: {error}", file.display());
                self.usual.clone()
            }
        }
    }
}

fn read(file: &Path, text: &str) -> Option<Mood> {
    match serde_yaml::from_str::<Option<Mood>>(text) {
        Ok(mood) => mood,
        Err(error) => {
            tracing::error!("{}: {}", file.display(), pattoo_base::text::one_line(&error.to_string(), 200));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Mood, read};

    #[test]
    fn a_mood_says_only_what_is_not_usual() {
        let read = |text| read(Path::new("mood.yaml"), text);
        let delay = Duration::from_millis(1500);
        assert_eq!(
            read("answer: 503\nretry_after: 5\ndelay: 1500ms\n"),
            Some(Mood { answer: 503, retry_after: Some(5), delay, ..Mood::default() })
        );
        assert_eq!(read("hang: true"), Some(Mood { hang: true, ..Mood::default() }));
        assert_eq!((read(""), read("answers: 500"), read("delay: soon")), (None, None, None));
    }
}
