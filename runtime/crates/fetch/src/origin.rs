//! An origin: scheme, host and port, in the one spelling that two equal origins share.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;
use url::Host;
use url::Url;

/// The schemes that can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP, port 80 unless named.
    Http,
    /// HTTP over TLS, port 443 unless named.
    Https,
}

impl Scheme {
    /// The scheme as it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A web origin (RFC 6454): scheme, host and port. `https://example.org` and `HTTPS://EXAMPLE.org.:443` are one.
///
/// Hosts are kept as the URL standard serialises them: lower case, IDNA in punycode, IPv4 in dotted decimal whatever
/// number form it came in, IPv6 compressed; and without the trailing dot of an absolute name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Not a URL at all.
    #[error("invalid origin {text:?}: {why}; expected scheme, host and port, for example https://site-a.example.org")]
    Syntax {
        /// What was given.
        text: String,
        /// What the URL parser says.
        why: String,
    },
    /// Another scheme than http and https.
    #[error("invalid origin {text:?}: expected http:// or https:// at its start")]
    Scheme {
        /// What was given.
        text: String,
    },
    /// A user name or password.
    #[error("invalid origin: it has a user name or a password; use `headers:` of the grant instead")]
    UserInfo,
    /// Something after the port.
    #[error(
        "invalid origin {text:?}: it has a path; name only scheme, host and port, and write `paths:` under `grants:`"
    )]
    Path {
        /// What was given.
        text: String,
    },
    /// A wildcard.
    #[error("invalid origin {text:?}: wildcards are not supported; grant each origin with its full name")]
    Wildcard {
        /// What was given.
        text: String,
    },
    /// A host name with empty or overlong labels, or characters that no host name has.
    #[error("invalid host name {host:?}")]
    Host {
        /// The host as it was understood.
        host: String,
    },
    /// Port 0.
    #[error("invalid origin {text:?}: expected a port from 1 to 65535")]
    Port {
        /// What was given.
        text: String,
    },
}

impl Origin {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as it stands in a URL: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, named or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether the host is the name `localhost`.
    pub fn is_localhost(&self) -> bool {
        matches!(&self.host, Host::Domain(name) if name == "localhost")
    }

    /// The origin of a URL, whatever its path.
    pub(super) fn of(url: &Url) -> Result<Self, OriginError> {
        let text = || url.as_str().to_owned();
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(OriginError::Scheme { text: text() }),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::UserInfo);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => Host::Domain(canonical(name)?),
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            None => return Err(OriginError::Host { host: String::new() }),
        };
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(OriginError::Port { text: text() });
        }
        Ok(Self { scheme, host, port })
    }
}

/// A host name without its trailing dot, if it is one that DNS could hold.
fn canonical(name: &str) -> Result<String, OriginError> {
    let stripped = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if stripped.len() <= 253 && stripped.split('.').all(label) {
        Ok(stripped.to_owned())
    } else {
        Err(OriginError::Host { host: name.to_owned() })
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    /// Parses `scheme://host[:port]`, a slash at the end allowed.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let owned = || text.to_owned();
        let syntax = |why: &str| OriginError::Syntax { text: owned(), why: why.to_owned() };
        // The URL parser is made for browsers: it drops tabs and line ends, takes `\` for `/`, and adds missing slashes.
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(syntax("it contains a space or a control character"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(syntax("it has no scheme"));
        };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(OriginError::Scheme { text: owned() });
        }
        if rest.contains('*') {
            return Err(OriginError::Wildcard { text: owned() });
        }
        if rest.contains('@') {
            return Err(OriginError::UserInfo);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() {
            return Err(syntax("it has no host"));
        }
        if authority.contains(['/', '\\', '?', '#']) {
            return Err(OriginError::Path { text: owned() });
        }
        if authority.contains('%') {
            return Err(syntax(if authority.starts_with('[') {
                "an IPv6 address cannot have a zone"
            } else {
                "a host cannot contain `%`"
            }));
        }
        let url = Url::parse(text).map_err(|_| syntax("its host or port is not valid"))?;
        Self::of(&url)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}
