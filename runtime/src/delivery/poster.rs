//! Posting a body to the pattoo server, once.

use std::{fmt, str::FromStr, time::Duration};

use url::Url;

use crate::{http::Trust, pattoo::Body, text::one_line};

/// How long a post may take, from the connection to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the server's answer is read for the message about a refusal, in bytes.
const MAX_ANSWER: usize = 1000;
/// Where pattoo's agents post, below the server's base URL; the agent id follows.
const RECEIVE_PATH: &str = "/pattoo/api/v1/agent/receive/";

/// The base URL of a pattoo server, such as `http://192.0.2.5:20201`. Pattoo's own path is appended to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Why a text is no server URL.
#[derive(Debug, thiserror::Error)]
pub enum ServerUrlError {
    /// It is no absolute URL.
    #[error("`{url}` is not a URL: {error}")]
    NotAUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        error: url::ParseError,
    },
    /// It is a URL of another kind.
    #[error(
        "`{0}` is not the base URL of a server: it must be http:// or https://, a host and a port, without user, query or fragment"
    )]
    NotAServer(String),
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|error| ServerUrlError::NotAUrl { url: text.to_owned(), error })?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain { Ok(Self(url)) } else { Err(ServerUrlError::NotAServer(text.to_owned())) }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ServerUrl {
    /// The URL as it was parsed.
    pub fn url(&self) -> &Url {
        &self.0
    }

    fn receive_url(&self, body: &Body) -> String {
        format!("{self}{RECEIVE_PATH}{}", body.agent_id())
    }
}

/// Why a body was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The server answered, and not with success.
    #[error("{server} answered {status}{}", if answer.is_empty() { String::new() } else { format!(": {answer}") })]
    Refused {
        /// The base URL of the server.
        server: ServerUrl,
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer, on one line.
        answer: String,
    },
    /// No client for it can be made.
    #[error("{server} cannot be posted to: {detail}")]
    Unusable {
        /// The base URL of the server.
        server: ServerUrl,
        /// Why.
        detail: String,
    },
    /// There was no answer.
    #[error("{server} cannot be reached: {detail}")]
    Unreachable {
        /// The base URL of the server.
        server: ServerUrl,
        /// What happened.
        detail: String,
    },
}

/// A client of one pattoo server.
///
/// The server was chosen by the operator, so its address is not subject to the policy for guests. It is reached directly: a
/// proxy named in the environment is not used, and a redirect is a refusal, since a body must not end up elsewhere.
#[derive(Debug, Clone)]
pub struct Poster {
    server: ServerUrl,
    client: reqwest::Client,
}

impl Poster {
    /// A client of `server`.
    ///
    /// # Errors
    ///
    /// When the system's trust store cannot be used.
    pub fn new(server: ServerUrl) -> Result<Self, PostError> {
        let unusable = |detail: String| PostError::Unusable { server: server.clone(), detail };
        let tls = Trust::default().client_config().map_err(|error| unusable(error.to_string()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| unusable(chain(&error)))?;
        Ok(Self { server, client })
    }

    /// Posts `body` once. Success is any status from 200 to 299.
    ///
    /// # Errors
    ///
    /// When the server refused it or did not answer.
    pub async fn post(&self, body: &Body) -> Result<(), PostError> {
        let unreachable =
            |error: reqwest::Error| PostError::Unreachable { server: self.server.clone(), detail: chain(&error) };
        let response = self
            .client
            .post(self.server.receive_url(body))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body.json().to_owned())
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let answer = beginning(response).await;
        Err(PostError::Refused { server: self.server.clone(), status: status.as_u16(), answer })
    }
}

/// The first bytes of an answer, on one line.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        bytes.extend_from_slice(&chunk);
    }
    one_line(String::from_utf8_lossy(&bytes).trim(), MAX_ANSWER)
}

/// An error and its causes, without the URL that is named beside it anyway.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if error.is_timeout() {
        causes.insert(0, "it took too long".to_owned());
    }
    causes.dedup();
    one_line(&causes.join(": "), MAX_ANSWER)
}

#[cfg(test)]
mod tests {
    use super::ServerUrl;

    #[test]
    fn a_base_url_may_have_a_path_and_a_trailing_slash() {
        for (given, shown) in [
            ("http://192.0.2.5:20201", "http://192.0.2.5:20201"),
            ("http://[::1]:20201/", "http://[::1]:20201"),
            ("https://pattoo.example.org/behind/", "https://pattoo.example.org/behind"),
        ] {
            assert_eq!(given.parse::<ServerUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in ["", "192.0.2.5:20201", "ftp://a", "http://u@a", "http://a/?q", "http://a#f", "http://"] {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }
}
