//! The base URL of a pattoo server.

use std::{fmt, str::FromStr};

use pattoo_spool::{AgentKey, OutputId};
use url::Url;

/// Where pattoo's agents post, below the server's base URL; the agent id follows.
pub(super) const RECEIVE_PATH: &str = "/pattoo/api/v1/agent/receive/";

/// The base URL of a pattoo server, such as `http://192.0.2.5:20201`. Pattoo's own path is appended to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl {
    url: Url,
    id: OutputId,
}

/// Why a text is no server URL.
#[derive(Debug, thiserror::Error)]
pub enum ServerUrlError {
    /// It is no absolute URL, or one of another kind.
    #[error(
        "invalid base URL `{0}`: expected http:// or https://, a host and a port, for example http://192.0.2.5:20201, without user, \
         query or fragment"
    )]
    NotAServer(String),
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url = Url::parse(text).map_err(|_| ServerUrlError::NotAServer(text.to_owned()))?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(ServerUrlError::NotAServer(text.to_owned()));
        }
        // One server has one name here, whether or not somebody typed a slash behind it.
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let id = url.as_str().trim_end_matches('/').parse().map_err(|_| ServerUrlError::NotAServer(text.to_owned()))?;
        Ok(Self { url, id })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(formatter)
    }
}

impl ServerUrl {
    /// The URL as it was parsed.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Itself as the name of queues in the spool.
    pub fn id(&self) -> &OutputId {
        &self.id
    }

    /// The URL for posts of an agent.
    pub(super) fn receive_url(&self, agent: &AgentKey) -> String {
        format!("{self}{RECEIVE_PATH}{agent}")
    }
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
    fn a_server_is_the_same_with_and_without_a_slash() {
        let parse = |text: &str| text.parse::<ServerUrl>().unwrap();
        assert_eq!(parse("http://a/b/"), parse("http://a/b"));
        assert_eq!(parse("HTTP://A:80"), parse("http://a/"));
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in ["", "192.0.2.5:20201", "ftp://a", "http://u@a", "http://a/?q", "http://a#f", "http://"] {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }
}
