//! Posting a body to the pattoo server, once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use pattoo_base::{secret::Secret, text::one_line, tls::Trust};
use pattoo_spool::{AgentKey, Clocks, QueueId};
use reqwest::header;

use super::{
    CONTENT_TYPE, ServerUrl,
    answer::{PostError, retry_after},
    answer_help,
    name_lookup::NameLookup,
    split,
};
use crate::output_type::{Client, Encoded, SendError};

/// How long the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the server's answer is read for the message about a refusal, in bytes.
const MAX_ANSWER: usize = 1000;

/// A client of one pattoo server, which keeps its connections.
///
/// The server was chosen by the operator, so its address is not subject to the policy for guests. It is reached directly: a
/// proxy named in the environment is not used, and a redirect is a refusal, since a body must not end up elsewhere.
#[derive(Debug, Clone)]
pub struct Poster {
    server: ServerUrl,
    client: reqwest::Client,
    lookup: NameLookup,
    token: Option<Secret>,
    /// What the `Date` of the last answer was less the time since the start of this machine, in milliseconds; [`i64::MAX`] before that.
    clock_at_boot: Arc<AtomicI64>,
}

impl Poster {
    /// A client of `server`, which sends `token` as a bearer token if there is one. A post may take `timeout`, from the
    /// connection to the last byte of the answer.
    ///
    /// # Errors
    ///
    /// When the server is an `https` one and there are no certificate authorities.
    pub fn new(server: ServerUrl, token: Option<Secret>, trust: &Trust, timeout: Duration) -> Result<Self, PostError> {
        let unusable = |detail: String| PostError::Unusable { server: server.to_string(), detail };
        let is_https = server.url().scheme() == "https";
        let tls = trust
            .config(usize::from(is_https))
            .map_err(|error| PostError::Untrusted { server: server.to_string(), error })?;
        let lookup = NameLookup::default();
        let client = reqwest::Client::builder()
            .dns_resolver(lookup.clone())
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("pattoo-wasm/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .build()
            .map_err(|error| unusable(chain(&error)))?;
        Ok(Self { server, client, lookup, token, clock_at_boot: Arc::new(AtomicI64::new(i64::MAX)) })
    }

    /// Posts a body of `agent` once. Success is any status from 200 to 299.
    ///
    /// # Errors
    ///
    /// When the server refused it or did not answer.
    pub async fn post(&self, agent: &AgentKey, json: Vec<u8>) -> Result<(), PostError> {
        let unreachable = |error: reqwest::Error| {
            let (server, detail) = (self.server.to_string(), chain(&error));
            if error.is_connect() || error.is_builder() {
                let port = self.server.url().port_or_known_default().unwrap_or_default();
                PostError::Unreachable { server, detail: format!("{detail}{}", self.lookup.describe(port)) }
            } else {
                PostError::NoAnswer { server, detail }
            }
        };
        let mut request = self.client.post(self.server.receive_url(agent)).header(header::CONTENT_TYPE, CONTENT_TYPE);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.bearer());
        }
        let response = request.body(json).send().await.map_err(unreachable)?;
        let status = response.status();
        let date =
            response.headers().get(header::DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let since_1970 = date.and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(millis) = since_1970.and_then(|since| i64::try_from(since.as_millis()).ok()) {
            self.clock_at_boot.store(millis.saturating_sub(Clocks::boot_millis()), Ordering::Relaxed);
        }
        let now = date.unwrap_or_else(SystemTime::now);
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
        if status.is_success() {
            // Read to its end, so that the connection can be used again.
            let _ = beginning(response).await;
            return Ok(());
        }
        let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let help = answer_help::for_status(status.as_u16(), location, &self.server, self.token.is_some());
        let answer = beginning(response).await;
        Err(PostError::Refused { server: self.server.to_string(), status: status.as_u16(), answer, retry_after, help })
    }
}

impl Client for Poster {
    fn send<'a>(&'a self, queue: &'a QueueId, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), SendError>> {
        async move { self.post(&queue.agent, bytes).await.map_err(SendError::from) }.boxed()
    }

    fn split(&self, bytes: &[u8], depth: u32) -> Option<[Encoded; 2]> {
        split::split(bytes, depth)
    }

    fn clock_at_boot(&self) -> Option<i64> {
        Some(self.clock_at_boot.load(Ordering::Relaxed)).filter(|clock| *clock != i64::MAX)
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
        // An I/O error hides the error it was made from behind that error's own source.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = cause.downcast_ref().or_else(|| inner?.downcast_ref());
        causes.extend(tls.and_then(pattoo_base::tls::clock_of));
        next = cause.source();
    }
    if error.is_timeout() {
        causes.insert(0, "timeout".to_owned());
    }
    causes.dedup();
    one_line(&causes.join(": "), MAX_ANSWER)
}
