//! What an answer of the pattoo server means.

use std::time::{Duration, SystemTime};

use pattoo_base::tls::TrustError;
use reqwest::header;

use crate::output_type::{SendError, Verdict};

/// Why a body was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The server answered, and not with success.
    #[error("{server} answered {status}{}", if answer.is_empty() { String::new() } else { format!(": {answer}") })]
    Refused {
        /// The base URL of the server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer, on one line.
        answer: String,
        /// How long to wait before the next attempt (`Retry-After`).
        retry_after: Option<Duration>,
        /// What can be done about it.
        help: String,
    },
    /// No client for it can be made.
    #[error("cannot post to {server}: {detail}")]
    Unusable {
        /// The base URL of the server.
        server: String,
        /// Why.
        detail: String,
    },
    /// Its certificate cannot be verified, whatever it is.
    #[error("{server} cannot be posted to: {error}")]
    Untrusted {
        /// The base URL of the server.
        server: String,
        /// Why.
        error: TrustError,
    },
    /// No connection could be made, so that nothing of the body was sent.
    #[error("{server} cannot be reached: {detail}")]
    Unreachable {
        /// The base URL of the server.
        server: String,
        /// What happened.
        detail: String,
    },
    /// There was a connection, and no answer to the body.
    #[error("{server} did not respond: {detail}")]
    NoAnswer {
        /// The base URL of the server.
        server: String,
        /// What happened.
        detail: String,
    },
}

impl PostError {
    /// What it can mean.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Unusable { .. } | Self::Untrusted { .. } | Self::Unreachable { .. } => Verdict::Unavailable,
            Self::Refused { status: 401 | 403, .. } => Verdict::Unauthorised,
            Self::Refused { status: 408 | 429 | 502 | 503 | 504, .. } | Self::NoAnswer { .. } => Verdict::Busy,
            Self::Refused { status: 413, .. } => Verdict::TooLarge,
            // Pattoo answers 404 or 500 to a bad body, and to a good one when the server itself fails: which of the two is
            // not to be seen from one answer.
            Self::Refused { .. } => Verdict::Refused,
        }
    }

    /// What can be done about it.
    pub fn help(&self) -> String {
        match self {
            Self::Refused { help, .. } => help.clone(),
            Self::Untrusted { error, .. } => error.help().to_owned(),
            Self::Unusable { .. } | Self::Unreachable { .. } => {
                "start the server, or correct the URL of the output".to_owned()
            }
            Self::NoAnswer { .. } => {
                "check that the URL of the output is that of a pattoo server, and that it is not overloaded".to_owned()
            }
        }
    }

    /// How long the server asked to wait before the next attempt (`Retry-After`).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unusable { .. } | Self::Untrusted { .. } | Self::Unreachable { .. } | Self::NoAnswer { .. } => None,
        }
    }
}

impl From<PostError> for SendError {
    fn from(error: PostError) -> Self {
        let (verdict, retry_after) = (error.verdict(), error.retry_after());
        Self { verdict, retry_after, text: error.to_string(), help: Some(error.help()) }
    }
}

/// How long to wait before the next attempt: seconds, or a date (RFC 9110, section 10.2.3), where its clock shows `now`.
pub(super) fn retry_after(value: &header::HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::retry_after;

    #[test]
    fn a_server_says_in_seconds_or_by_date_how_long_it_wants_to_be_left_alone() {
        let parse = |text: &str| retry_after(&text.parse().unwrap(), SystemTime::now());
        assert_eq!(parse("120"), Some(Duration::from_mins(2)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_hours(1));
        assert!(parse(&date).is_some_and(|wait| wait > Duration::from_mins(59) && wait <= Duration::from_hours(1)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!((parse("soon"), parse("-1")), (None, None));
    }
}
